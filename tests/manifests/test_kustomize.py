"""The rendering that the other tests look at is kustomize's own."""

import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from tests.kubernetes.objects import Json
from tests.manifests.installations import ALL, DIRECTORIES
from tests.manifests.kustomize import MERGED_BY, Documents, build, identity


def real() -> list[str]:
    """Return the command of an installed kustomize."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    pytest.skip("neither kustomize nor kubectl is installed: the rendering cannot be held against theirs")


@pytest.mark.parametrize("name", ALL)
def test_what_the_tests_render_is_what_kustomize_renders(name: str) -> None:
    printed = subprocess.run([*real(), str(DIRECTORIES[name])], check=True, capture_output=True).stdout

    assert by_identity(build(DIRECTORIES[name])) == by_identity(list(yaml.safe_load_all(printed)))


@pytest.mark.parametrize(
    "kustomization",
    [
        "namePrefix: x-",
        "configMapGenerator: [{name: a, files: [b]}]",
        "configMapGenerator: [{name: a, behavior: replace}]",
    ],
)
def test_what_is_not_known_is_refused_and_not_left_out(tmp_path: Path, kustomization: str) -> None:
    (tmp_path / "kustomization.yaml").write_text(kustomization)

    with pytest.raises(ValueError, match="nothing is known here of"):
        build(tmp_path)


def by_identity(documents: Documents) -> dict[tuple[str, str], Json]:
    found = {identity(one): ordered(one) for one in documents}
    assert len(found) == len(documents)
    return found


def ordered(thing: Json) -> Json:
    """Put the lists that patches add to into one order: it means nothing, and kustomize has its own."""
    for key, value in thing.items():
        entries = cast("list[Any]", value if isinstance(value, list) else [value])
        for one in entries:
            if isinstance(one, dict):
                ordered(cast("Json", one))
        if key in MERGED_BY and isinstance(value, list):
            thing[key] = sorted(entries, key=lambda one: one[MERGED_BY[key]])
    return thing
