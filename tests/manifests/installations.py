"""The installations that the manifests describe, rendered, and the ways to what is in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import yaml
from tests.kubernetes.objects import Json, part, parts
from tests.manifests.kustomize import Documents, build

ROOT: Final = Path(__file__).parents[2]
DIRECTORIES: Final = {
    "base": ROOT / "k8s" / "base",
    "dev": ROOT / "k8s" / "overlays" / "dev",
    "production": ROOT / "k8s" / "overlays" / "production",
    "everything": Path(__file__).parent / "overlays" / "everything",
}
ALL: Final = list(DIRECTORIES)
OVERLAYS: Final = [name for name in ALL if name != "base"]
"""What can be applied; a base has neither a tag nor a namespace."""

SERVICE: Final = "globeco-allocation-service"
_EXPECTED: Final = DIRECTORIES["production"] / "secrets.example.yaml"


@dataclass(frozen=True)
class PodTemplate:
    """What pods are made from.

    Attributes:
        owner: Kind and name of what makes them.
        labels: Of each pod.
        spec: Of each pod.
    """

    owner: str
    labels: dict[str, str]
    spec: Json

    @property
    def containers(self) -> list[Json]:
        """All containers, the init containers first."""
        return parts(self.spec, "initContainers") + parts(self.spec, "containers")

    def container(self, name: str) -> Json:
        """The container of this name."""
        (found,) = [one for one in self.containers if one["name"] == name]
        return found


@dataclass(frozen=True)
class Installation:
    """One rendered installation."""

    name: str
    documents: Documents

    def all(self, kind: str) -> Documents:
        """All documents of a kind."""
        return [one for one in self.documents if one["kind"] == kind]

    def one(self, kind: str, name: str = SERVICE) -> Json:
        """The document of this kind and name."""
        (found,) = [one for one in self.all(kind) if one["metadata"]["name"] == name]
        return found

    @property
    def deployment(self) -> Json:
        """The service's Deployment."""
        return self.one("Deployment")

    @property
    def pods(self) -> list[PodTemplate]:
        """Every pod template, whatever makes the pods."""
        return list(self._pods())

    @property
    def service_pod(self) -> PodTemplate:
        """The service's own."""
        (found,) = [one for one in self.pods if one.owner == f"Deployment {SERVICE}"]
        return found

    def data(self, kind: str, name: str) -> dict[str, str]:
        """The data of a ConfigMap or Secret: rendered here, or to be there before (production)."""
        for one in self.documents:
            if one["kind"] == kind and one["metadata"]["name"] == name:
                return part(one, "data")
        if self.name != "dev":
            for one in yaml.safe_load_all(_EXPECTED.read_text("utf-8")):
                if one["kind"] == kind and one["metadata"]["name"] == name:
                    return part(one, "stringData")
        raise AssertionError(f"{self.name}: nothing makes the {kind} {name}")

    def environment(self, container: Json) -> dict[str, str]:
        """The environment variables of a container."""
        found: dict[str, str] = {}
        for source in parts(container, "envFrom"):
            found |= self.data("ConfigMap", source["configMapRef"]["name"])
        return found | {one["name"]: one["value"] for one in parts(container, "env")}

    def _pods(self) -> Iterator[PodTemplate]:
        for one in self.documents:
            spec = part(one, "spec", "jobTemplate", "spec") or part(one, "spec")
            template = part(spec, "template")
            if "spec" in template:
                owner = f"{one['kind']} {one['metadata']['name']}"
                yield PodTemplate(owner, part(template, "metadata", "labels"), template["spec"])


@cache
def installation(name: str) -> Installation:
    """Render an installation; tests only read it."""
    return Installation(name, build(DIRECTORIES[name]))
