"""What the API server checks before it stores a Job (kubernetes: object names, labels, Job v1 validation)."""

import re
from collections.abc import Iterator
from typing import Any

from tests.kubernetes.objects import Json, part, parts
from tests.kubernetes.statuses import Cause, bad_request, invalid

_LONGEST_LABEL = 63
_LONGEST_NAME = 253
_MOST_ANNOTATIONS = 256 * 1024
_LABEL_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_QUANTITY = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?")
_TOO_LONG = f"must be no more than {_LONGEST_LABEL} characters"


def check_job(job: Json) -> None:
    """Refuse what the API server would not store.

    Raises:
        RefusedError: 400 for what cannot be decoded, 422 for what is not valid.
    """
    _check_types(job)
    name = str(job["metadata"].get("name", ""))
    causes = [*_metadata(job["metadata"]), *_spec(job["spec"], name)]
    if causes:
        raise invalid(name, causes)


def restricted_violations(job: Json) -> list[str]:
    """What the Pod Security Standard "restricted" has against this Job's pods; empty when nothing."""
    pod = part(job, "spec", "template", "spec")
    found: list[str] = []
    for container in parts(pod, "containers"):
        own = part(container, "securityContext")
        merged = part(pod, "securityContext") | own
        if own.get("allowPrivilegeEscalation") is not False:
            found.append("allowPrivilegeEscalation != false")
        if "ALL" not in (part(own, "capabilities").get("drop") or []):
            found.append("unrestricted capabilities")
        if merged.get("runAsNonRoot") is not True:
            found.append("runAsNonRoot != true")
        if merged.get("runAsUser") == 0:
            found.append("runAsUser=0")
        if part(merged, "seccompProfile").get("type") not in {"RuntimeDefault", "Localhost"}:
            found.append("seccompProfile")
    return found


def _check_types(job: Json) -> None:
    if not isinstance(job.get("metadata"), dict) or not isinstance(job.get("spec"), dict):
        raise bad_request("the object provided is unrecognized")
    for field in ("activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished", "completions"):
        if not isinstance(job["spec"].get(field, 0), int):
            raise bad_request(f"Job in version v1 cannot be handled: spec.{field} is not an integer")
    for container in _containers(job["spec"]):
        for kind in ("requests", "limits"):
            for amount in part(container, "resources", kind).values():
                if not isinstance(amount, str) or not _QUANTITY.fullmatch(amount):
                    raise bad_request("quantities must match the regular expression of resource.Quantity")


def _metadata(metadata: Json) -> Iterator[Cause]:
    name: Any = metadata.get("name")
    if not name:
        yield Cause("metadata.name", "Required value: name or generateName is required", "FieldValueRequired")
    elif len(name) > _LONGEST_NAME or not _SUBDOMAIN.fullmatch(name):
        yield Cause("metadata.name", f'Invalid value: "{name}": a lowercase RFC 1123 subdomain is wanted')
    yield from _labels("metadata.labels", part(metadata, "labels"))
    annotations: dict[str, str] = part(metadata, "annotations")
    for key in annotations:
        yield from _qualified("metadata.annotations", key.lower())
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _MOST_ANNOTATIONS:
        too_long = f"Too long: may not be more than {_MOST_ANNOTATIONS} bytes"
        yield Cause("metadata.annotations", too_long, "FieldValueTooLong")


def _labels(field: str, labels: dict[str, Any]) -> Iterator[Cause]:
    for key, value in labels.items():
        yield from _qualified(field, key)
        if len(value) > _LONGEST_LABEL:
            yield Cause(field, f'Invalid value: "{value}": {_TOO_LONG}')
        if not _VALUE.fullmatch(value):
            yield Cause(field, f'Invalid value: "{value}": a valid label is wanted')


def _qualified(field: str, key: str) -> Iterator[Cause]:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > _LONGEST_NAME or not _SUBDOMAIN.fullmatch(prefix)):
        yield Cause(field, f'Invalid value: "{key}": the prefix is no DNS subdomain')
    if len(name) > _LONGEST_LABEL:
        yield Cause(field, f'Invalid value: "{key}": name part {_TOO_LONG}')
    elif not name or not _VALUE.fullmatch(name):
        yield Cause(field, f'Invalid value: "{key}": a valid name part is wanted')


def _spec(spec: Json, name: str) -> Iterator[Cause]:
    for field in ("activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"):
        if spec.get(field, 0) < 0:
            yield Cause(f"spec.{field}", f"Invalid value: {spec[field]}: must be greater than or equal to 0")
    if (policy := spec.get("podReplacementPolicy", "Failed")) not in {"Failed", "TerminatingOrFailed"}:
        words = f'Unsupported value: "{policy}": supported values: "Failed", "TerminatingOrFailed"'
        yield Cause("spec.podReplacementPolicy", words, "FieldValueNotSupported")
    # The server labels the pods with the Job's name: that is what limits it, before its own 253 characters.
    if len(name) > _LONGEST_LABEL:
        yield Cause("spec.template.labels", f'Invalid value: "{name}": {_TOO_LONG}')
    yield from _labels("spec.template.labels", part(spec, "template", "metadata", "labels"))
    pod = part(spec, "template", "spec")
    if (restarts := pod.get("restartPolicy", "Always")) not in {"Never", "OnFailure"}:
        words = f'Required value: valid values: "OnFailure", "Never" (not "{restarts}")'
        yield Cause("spec.template.spec.restartPolicy", words, "FieldValueRequired")
    limit: int = pod.get("activeDeadlineSeconds") or 1
    if limit < 1:
        words = f"Invalid value: {limit}: must be between 1 and 2147483647, inclusive"
        yield Cause("spec.template.spec.activeDeadlineSeconds", words)
    if not _containers(spec):
        yield Cause("spec.template.spec.containers", "Required value", "FieldValueRequired")
    volumes = {volume.get("name") for volume in parts(pod, "volumes")}
    for index, container in enumerate(_containers(spec)):
        yield from _container(f"spec.template.spec.containers[{index}]", container, volumes)


def _container(field: str, container: Json, volumes: set[Any]) -> Iterator[Cause]:
    name = container.get("name") or ""
    if len(name) > _LONGEST_LABEL or not _LABEL_NAME.fullmatch(name):
        yield Cause(f"{field}.name", f'Invalid value: "{name}": a lowercase RFC 1123 label is wanted')
    if not container.get("image"):
        yield Cause(f"{field}.image", "Required value", "FieldValueRequired")
    for number, variable in enumerate(parts(container, "env")):
        if not variable.get("name") or "=" in variable["name"]:
            yield Cause(f"{field}.env[{number}].name", f'Invalid value: "{variable.get("name", "")}"')
    seen: set[str] = set()
    for number, mount in enumerate(parts(container, "volumeMounts")):
        where = f"{field}.volumeMounts[{number}]"
        if mount.get("name") not in volumes:
            yield Cause(f"{where}.name", f'Not found: "{mount.get("name")}"', "FieldValueNotFound")
        if not mount.get("mountPath"):
            yield Cause(f"{where}.mountPath", "Required value", "FieldValueRequired")
        elif mount["mountPath"] in seen:
            yield Cause(f"{where}.mountPath", f'Invalid value: "{mount["mountPath"]}": must be unique')
        seen.add(mount.get("mountPath", ""))


def _containers(spec: Json) -> list[Json]:
    return parts(spec, "template", "spec", "containers")
