"""The audit says what is known and what nobody could be asked; the SBOM names what is installed."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.image.files import ROOT, make_variable
from tests.image.locked import installed_packages

CLEAN: dict[str, Any] = {"name": "clean", "version": "1.0", "vulns": []}
VULNERABLE = {
    "name": "holed",
    "version": "2.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"], "aliases": [], "description": "bad"}],
}
UNKNOWN = {"name": "nobody", "skip_reason": "Dependency not found on PyPI"}


def _audit(folder: Path, said: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Audit with a pip-audit that says *said*."""
    stand_in = folder / "pip_audit.py"
    stand_in.write_text(f"print({said!r})\n", encoding="utf-8")
    return subprocess.run(
        [sys.executable, ROOT / ".ci" / "audit.py", *options, "locked.txt"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def _of(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_nothing_known_of_everything_is_good(tmp_path: Path) -> None:
    audit = _audit(tmp_path, _of(CLEAN, CLEAN), "--strict")

    assert audit.returncode == 0
    assert audit.stdout == "2 packages judged, 0 of them with known vulnerabilities.\n"
    assert audit.stderr == ""


def test_a_known_vulnerability_is_named_with_its_remedy(tmp_path: Path) -> None:
    audit = _audit(tmp_path, _of(CLEAN, VULNERABLE, UNKNOWN))

    assert audit.returncode == 1
    assert "holed 2.0: PYSEC-1, fixed in 2.1" in audit.stdout


@pytest.mark.parametrize("said", [_of(CLEAN, UNKNOWN), "no connection", _of()])
def test_who_could_not_be_asked_has_not_said_that_all_is_well(tmp_path: Path, said: str) -> None:
    lenient, strict = _audit(tmp_path, said), _audit(tmp_path, said, "--strict")

    assert lenient.returncode == 0
    assert "Not audited" in lenient.stderr
    assert strict.returncode == 1


def test_the_bill_of_materials_is_valid_and_names_what_the_image_holds(tmp_path: Path) -> None:
    made = ROOT / ".tools" / "bin" / "uv"
    uv = str(made) if made.exists() else shutil.which("uv")
    if uv is None:
        pytest.skip("there is no uv: `make sbom` brings it")
    if importlib.util.find_spec("cyclonedx") is None:
        pytest.skip("cyclonedx-python-lib is not installed: `make sbom` does it")
    extras = make_variable("IMAGE_EXTRAS").split()
    file = tmp_path / "sbom.json"
    export = ["export", "--offline", "--quiet", "--locked", "--no-default-groups", "--format=cyclonedx1.5"]
    subprocess.run([uv, *export, *extras, f"--output-file={file}"], cwd=ROOT, check=True, timeout=60)

    checked = subprocess.run([sys.executable, ROOT / ".ci" / "check_sbom.py", file], check=False, timeout=60)
    components = json.loads(file.read_text(encoding="utf-8"))["components"]

    assert checked.returncode == 0
    named = {component["purl"].split("?")[0] for component in components}
    needed = installed_packages(re.findall(r"--extra (\w+)", " ".join(extras)))
    missing = [p["name"] for p in needed if f"pkg:pypi/{p['name']}@{p['version']}" not in named]
    assert missing == []
