"""The GitHub workflows: valid, bounded, with the least rights, and of targets that exist."""

import re
import shutil
import subprocess
from typing import Any

import pytest
from tests.image.files import ROOT, load_yaml, make_targets, project

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[Any, Any]] = {file.name: load_yaml(str(file)) for file in FILES}
JOBS = {
    f"{file} {name}": job for file, workflow in WORKFLOWS.items() for name, job in workflow["jobs"].items()
}
STEPS = [step for job in JOBS.values() for step in job.get("steps", ())]

MAY_WRITE = {
    "image.yml publish": {"id-token", "attestations"},
    "release.yml image": {"id-token", "attestations"},
    "release.yml package": {"id-token", "attestations"},
    "release.yml pypi": {"id-token"},
    "release.yml release": {"contents"},
}
"""What each job may write beside nothing."""


def _triggers(name: str) -> dict[str, Any]:
    return WORKFLOWS[name][True]  # YAML 1.1 reads `on` as a truth value


def test_there_are_the_four_of_them() -> None:
    assert list(WORKFLOWS) == ["ci.yml", "fuzz.yml", "image.yml", "release.yml"]


@pytest.mark.parametrize("name", JOBS)
def test_each_job_is_bounded_in_time(name: str) -> None:
    job = JOBS[name]

    assert ("uses" in job) != (0 < job.get("timeout-minutes", 0) <= 120)  # one that is called has its own


@pytest.mark.parametrize("name", JOBS)
def test_each_job_says_its_rights_and_writes_no_more_than_it_must(name: str) -> None:
    rights = JOBS[name]["permissions"]

    assert {right for right, level in rights.items() if level == "write"} == MAY_WRITE.get(name, set())


@pytest.mark.parametrize("name", WORKFLOWS)
def test_each_workflow_reads_only_and_never_runs_beside_itself(name: str) -> None:
    workflow = WORKFLOWS[name]

    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"]


def test_every_target_of_make_exists() -> None:
    called = {
        target for step in STEPS for target in re.findall(r"\bmake ([a-z-]+)", str(step.get("run", "")))
    }

    assert len(called) >= 10
    assert called - make_targets() == set()


def test_every_python_that_the_project_supports_is_tested() -> None:
    classifiers = project()["project"]["classifiers"]
    supported = [found[1] for one in classifiers if (found := re.search(r":: (3\.\d+)$", one))]

    assert JOBS["ci.yml test"]["strategy"]["matrix"]["python"] == supported


def test_every_action_has_a_version() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]

    assert len(used) > 10
    unpinned = [one for one in used if not re.search(r"@(v\d+(\.\d+)*|[0-9a-f]{40}|release/v1)$", one)]
    assert unpinned == []


def test_no_checkout_leaves_a_token_behind() -> None:
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]

    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_no_command_is_put_together_from_what_others_wrote() -> None:
    assert [step["run"] for step in STEPS if "${{" in str(step.get("run", ""))] == []


def test_the_image_is_pushed_from_main_and_from_tags_alone() -> None:
    push = JOBS["image.yml publish"]["env"]["PUSH"]
    guarded = [step for step in JOBS["image.yml publish"]["steps"] if step.get("if") == "env.PUSH == 'true'"]

    assert "github.event_name == 'push'" in push
    assert "refs/heads/main" in push
    assert "refs/tags/v" in push
    assert [step["uses"].split("@")[0] for step in guarded] == [
        "docker/login-action",
        "actions/attest-build-provenance",
    ]


def test_the_image_is_for_both_platforms_and_says_where_it_comes_from() -> None:
    (build,) = [
        step["with"] for step in JOBS["image.yml publish"]["steps"] if "build-push" in step.get("uses", "")
    ]
    declared = set(re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))

    assert build["platforms"] == "linux/amd64,linux/arm64"
    assert (build["provenance"], build["sbom"]) == ("mode=max", True)
    assert set(re.findall(r"^(\w+)=", build["build-args"], re.MULTILINE)) == declared


def test_a_release_is_made_by_a_tag_after_everything_passed() -> None:
    assert _triggers("release.yml") == {"push": {"tags": ["v*"]}}
    assert JOBS["release.yml ci"]["needs"] == "version"
    assert JOBS["release.yml release"]["needs"] == ["image", "package"]


def test_every_part_of_the_repository_is_kept_up_to_date() -> None:
    ecosystems = {update["package-ecosystem"] for update in load_yaml(".github/dependabot.yml")["updates"]}

    assert ecosystems == {"uv", "github-actions", "docker", "docker-compose"}


def test_actionlint_finds_nothing() -> None:
    made = ROOT / ".tools" / "bin" / "actionlint"
    actionlint = str(made) if made.exists() else shutil.which("actionlint")
    if actionlint is None:
        pytest.skip("there is no actionlint: `make actionlint` makes it, where Go is")

    found = subprocess.run(
        [actionlint, *map(str, FILES)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )

    assert (found.returncode, found.stdout) == (0, "")
