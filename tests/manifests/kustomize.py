"""As much of kustomize as the manifests use, where kustomize itself is not installed; it refuses the rest.

`test_kustomize.py` holds it against the real one.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml
from tests.kubernetes.objects import Json, part, parts

Documents = list[Json]

_KNOWN = {
    "apiVersion",
    "kind",
    "namespace",
    "resources",
    "components",
    "images",
    "configMapGenerator",
    "secretGenerator",
    "patches",
}
MERGED_BY = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
}
"""The lists that a patch adds to, by what their entries are known; other lists it replaces."""

_NO_WORDS = str.maketrans("013ae", "ghkmt")


def build(directory: Path) -> Documents:
    """Return what ``kustomize build`` makes of a directory.

    Raises:
        ValueError: it uses what this does not know, or names what is not there.
    """
    documents = _accumulated(directory, [])
    renamed = {
        (one["kind"], one["metadata"]["name"]): f"{one['metadata']['name']}-{_hash(one)}"
        for one in documents
        if one.pop("needs hash", None)
    }
    for one in documents:
        about = one["metadata"]
        about["name"] = renamed.get((one["kind"], about["name"]), about["name"])
        _rename(one, renamed)
    return documents


def identity(document: Json) -> tuple[str, str]:
    """Return a document's kind and name."""
    return document["kind"], document["metadata"]["name"]


def _accumulated(directory: Path, documents: Documents) -> Documents:
    wanted = _read(directory / "kustomization.yaml")[0]
    if unknown := wanted.keys() - _KNOWN:
        raise ValueError(f"{directory}: nothing is known here of {sorted(unknown)}")
    for name in parts(wanted, "resources"):
        path = directory / str(name)
        documents += _accumulated(path, []) if path.is_dir() else _read(path)
    for name in parts(wanted, "components"):
        _accumulated(directory / str(name), documents)
    _change(directory, wanted, documents)
    return documents


def _change(directory: Path, wanted: Json, documents: Documents) -> None:
    """Generate, and then change what is there, in kustomize's order."""
    for kind, key in (("ConfigMap", "configMapGenerator"), ("Secret", "secretGenerator")):
        for generator in parts(wanted, key):
            _generate(directory, kind, generator, documents)
    for patch in parts(wanted, "patches"):
        for one in _read(directory / patch["path"]):
            _merge(_the(documents, identity(one)), one)
    for image in parts(wanted, "images"):
        _set_tag(documents, image["name"], image["newTag"])
    if "namespace" in wanted:
        for one in documents:
            one["metadata"]["namespace"] = wanted["namespace"]


def _read(path: Path) -> Documents:
    found = [one for one in yaml.safe_load_all(path.read_text("utf-8")) if one is not None]
    return cast("Documents", json.loads(json.dumps(found)))  # what an anchor shares becomes two


def _generate(directory: Path, kind: str, generator: Json, documents: Documents) -> None:
    unknown = generator.keys() - {"name", "behavior", "envs", "literals"}
    if unknown or generator.get("behavior", "create") not in {"create", "merge"}:
        raise ValueError(f"{directory}: nothing is known here of {sorted(unknown)}, or of this behavior")
    lines = [str(one) for one in parts(generator, "literals")]
    for file in parts(generator, "envs"):
        lines += (directory / str(file)).read_text("utf-8").splitlines()
    data: dict[str, str] = {}
    for line in lines:
        if line.strip() and not line.startswith("#"):
            name, _, value = line.partition("=")
            data[name] = value
    if kind == "Secret":
        data = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    if generator.get("behavior") == "merge":
        _the(documents, (kind, generator["name"]))["data"].update(data)
        return
    made: Json = {"apiVersion": "v1", "kind": kind, "metadata": {"name": generator["name"]}, "data": data}
    if kind == "Secret":
        made["type"] = "Opaque"
    documents.append(made | {"needs hash": True})


def _the(documents: Documents, wanted: tuple[str, str]) -> Json:
    found = [one for one in documents if identity(one) == wanted]
    if len(found) != 1:
        raise ValueError(f"there are {len(found)} of {wanted}")
    return found[0]


def _merge(target: Json, patch: Json) -> None:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], cast("Json", value))
        elif key in MERGED_BY and key in target:
            _merge_list(target[key], cast("Documents", value), MERGED_BY[key])
        else:
            target[key] = value


def _merge_list(target: Documents, patch: Documents, known_by: str) -> None:
    for entry in patch:
        same = [one for one in target if one[known_by] == entry[known_by]]
        if same:
            _merge(same[0], entry)
        else:
            target.append(entry)


def _set_tag(documents: Documents, image: str, tag: str) -> None:
    for one in _objects(documents):
        if one.get("image") == image:
            one["image"] = f"{image}:{tag}"


def _rename(document: Json, renamed: dict[tuple[str, str], str]) -> None:
    for one in _objects(document):
        for key, kind, name in (
            ("configMapRef", "ConfigMap", "name"),
            ("configMapKeyRef", "ConfigMap", "name"),
            ("configMap", "ConfigMap", "name"),
            ("secretRef", "Secret", "name"),
            ("secretKeyRef", "Secret", "name"),
            ("secret", "Secret", "secretName"),
        ):
            reference = part(one, key) if isinstance(one.get(key), dict) else {}
            if name in reference:
                reference[name] = renamed.get((kind, reference[name]), reference[name])


def _objects(thing: object) -> Iterator[Json]:
    if isinstance(thing, dict):
        found = cast("Json", thing)
        yield found
        for value in found.values():
            yield from _objects(value)
    elif isinstance(thing, list):
        for value in cast("list[Any]", thing):
            yield from _objects(value)


def _hash(document: Json) -> str:
    """Return the end of a generated name, made from Go's JSON of the content, which escapes markup."""
    hashed = {key: document[key] for key in ("kind", "type", "data") if key in document}
    hashed["name"] = ""  # kustomize looks for it where it is not
    text = json.dumps(hashed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for markup in "<>&":
        text = text.replace(markup, f"\\u{ord(markup):04x}")
    return hashlib.sha256(text.encode()).hexdigest()[:10].translate(_NO_WORDS)
