"""The Dockerfile keeps the rules of the house, and agrees with what the project says elsewhere."""

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
from tests.image.files import ROOT, Instruction, make_variable, project, stages
from tests.image.locked import PLATFORMS, installed_packages, usable_wheels

from globeco_allocation.entrypoints.settings import declared

STAGES = stages()
LAST = STAGES[-1]
EVERY = [instruction for stage in STAGES for instruction in stage]


def _only(name: str) -> Instruction:
    """Return the one instruction of this name in the last stage."""
    (found,) = [instruction for instruction in LAST if instruction.name == name]
    return found


def test_it_runs_as_a_user_without_rights_or_name() -> None:
    assert _only("USER").text == "65532:65532"
    assert "USER=" in _only("ENV").text  # yoyo asks for a name when it migrates


def test_it_starts_and_stops_the_service_without_a_shell() -> None:
    assert _only("ENTRYPOINT").words == ["globeco-allocation"]
    assert _only("CMD").words == ["serve"]
    assert _only("STOPSIGNAL").text == "SIGTERM"


def test_its_health_is_asked_by_a_file_that_is_in_it() -> None:
    asked = _only("HEALTHCHECK").text
    copied = [instruction.words for instruction in LAST if instruction.name == "COPY"]

    script = re.findall(r'"([^"]+\.py)"', asked)[-1]

    assert ["deploy/image/healthcheck.py", script] in copied
    assert {"--interval", "--timeout", "--start-period", "--retries"} <= set(re.findall(r"--[a-z-]+", asked))


def test_port_and_volume_are_the_settings_defaults() -> None:
    settings = declared()

    assert _only("EXPOSE").text == settings["port"].default
    assert _only("VOLUME").text == settings["output_dir"].default


def test_the_last_stage_installs_nothing_and_keeps_no_installer() -> None:
    runs = " ".join(instruction.text for instruction in LAST if instruction.name == "RUN")

    assert not re.search(r"\b(apt-get|apt|uv|curl|gcc|pip install)\b", runs)
    assert "rm -rf /usr/local/bin/pip*" in runs
    assert [instruction.words for instruction in LAST if "uv" in instruction.words] == []


def test_every_base_has_a_version_or_is_an_earlier_stage() -> None:
    known: set[str] = set()
    for instruction in (stage[0] for stage in STAGES):
        base, *name = re.split(r"\s+AS\s+", instruction.text)
        assert base in known or re.search(r":\d[\w.-]*(@sha256:[0-9a-f]{64})?$", base), base
        known.update(name)


def test_uv_is_the_makefiles_and_python_one_that_is_supported() -> None:
    bases = [stage[0].text for stage in STAGES]
    (python,) = {found for base in bases for found in re.findall(r"python:(\d+\.\d+)-slim", base)}
    text = "\n".join(instruction.text for instruction in EVERY)

    assert f"ghcr.io/astral-sh/uv:{make_variable('UV_VERSION')} AS uv" in bases
    assert f"Programming Language :: Python :: {python}" in project()["project"]["classifiers"]
    assert set(re.findall(r"lib/python(\d+\.\d+)", text)) == {python}


def test_it_is_made_from_the_lock_with_what_a_deployment_may_need() -> None:
    syncs = re.findall(r"uv sync [^&\n]*", "\n".join(instruction.text for instruction in STAGES[2]))
    extras = {extra for sync in syncs for extra in re.findall(r"--extra (\w+)", sync)}

    assert len(syncs) == 2
    assert all("--locked" in sync and "--no-default-groups" in sync for sync in syncs)
    assert "--no-editable" in syncs[-1]
    assert extras == set(project()["project"]["optional-dependencies"]) - {"embedded"}
    assert extras == set(re.findall(r"--extra (\w+)", make_variable("IMAGE_EXTRAS")))


def test_what_it_copies_exists_and_is_let_through() -> None:
    let_through = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copies = [i.words for i in EVERY if i.name == "COPY" and "--from" not in i.text]
    sources = [word for words in copies for word in words[:-1]]

    assert len(sources) >= 6
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if not any(p.startswith(source) for p in let_through)] == []


@pytest.mark.parametrize("platform", PLATFORMS)
def test_everything_in_it_comes_as_a_wheel_so_that_nothing_is_compiled(platform: str) -> None:
    packages = installed_packages(re.findall(r"--extra (\w+)", make_variable("IMAGE_EXTRAS")))

    assert len(packages) > 30
    assert [package["name"] for package in packages if not usable_wheels(package, platform)] == []


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sysconfig.get_path("scripts"), "hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint is not installed: `make lint` does it, on Linux on x86-64")

    found = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (found.returncode, found.stdout) == (0, "")
