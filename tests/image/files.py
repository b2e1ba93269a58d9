"""The files of the image and around it, as the tests read them."""

import json
import re
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Instruction:
    """One instruction of the Dockerfile."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """Its arguments, be they written as JSON or not."""
        if self.text.startswith("["):
            return cast("list[str]", json.loads(self.text))
        return shlex.split(self.text)


def stages() -> list[list[Instruction]]:
    """Return the Dockerfile's stages, each from its FROM on."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    found: list[list[Instruction]] = []
    for line in re.sub(r"\\\n", " ", lines).splitlines():
        if not line.strip():
            continue
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            found.append([])
        found[-1].append(Instruction(name, rest.strip()))
    return found


def project() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def make_variable(name: str) -> str:
    """Return what the Makefile sets."""
    found = re.search(rf"^{name} :?\??= (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found, name
    return found[1]


def make_targets() -> set[str]:
    """Return what `make` can be asked for."""
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def load_yaml(path: str) -> Any:  # noqa: ANN401 (whatever it holds)
    """Return a YAML file of the project."""
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
