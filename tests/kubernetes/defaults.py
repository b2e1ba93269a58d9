"""What the API server adds to a Job before it stores it."""

import copy
from datetime import UTC, datetime

from tests.kubernetes.objects import Json, part


def moment() -> str:
    """Now, as the API writes times: UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def with_defaults(job: Json, namespace: str, uid: str, manager: str) -> Json:
    """A copy of *job* as it is stored: identity, defaults of spec and pod, the controller's labels."""
    stored = copy.deepcopy(job)
    name, now = stored["metadata"]["name"], moment()
    stored["apiVersion"], stored["kind"] = "batch/v1", "Job"
    stored["metadata"] |= {
        "namespace": namespace,
        "uid": uid,
        "generation": 1,
        "creationTimestamp": now,
        "managedFields": [
            {
                "manager": manager,
                "operation": "Update",
                "apiVersion": "batch/v1",
                "time": now,
                "fieldsType": "FieldsV1",
                "fieldsV1": {},
            }
        ],
    }
    spec: Json = stored["spec"]
    for field, default in (
        ("parallelism", 1),
        ("completions", 1),
        ("backoffLimit", 6),
        ("completionMode", "NonIndexed"),
        ("suspend", False),
        ("podReplacementPolicy", "TerminatingOrFailed"),
    ):
        spec.setdefault(field, default)
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    about: Json = spec["template"].setdefault("metadata", {})
    about["labels"] = part(about, "labels") | {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    if not stored["metadata"].get("labels"):
        stored["metadata"]["labels"] = dict(about["labels"])
    _pod_defaults(spec["template"]["spec"])
    stored["status"] = {}
    return stored


def _pod_defaults(pod: Json) -> None:
    pod.setdefault("dnsPolicy", "ClusterFirst")
    pod.setdefault("schedulerName", "default-scheduler")
    pod.setdefault("securityContext", {})
    pod.setdefault("terminationGracePeriodSeconds", 30)
    for container in pod["containers"]:
        latest = container["image"].rpartition("/")[2].partition(":")[2] in {"", "latest"}
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
