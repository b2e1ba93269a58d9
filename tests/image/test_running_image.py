"""The image does its work as it is deployed: read-only, 100 MiB, no capability, beside PostgreSQL 17."""

import json
import time
from collections.abc import Generator

import pytest
from tests.image.running_image import Stack, UnusableEngineError, docker, image_under_test, running_stack

EXECUTION = {
    "executionServiceId": 27,
    "executionStatus": "FULL",
    "tradeType": "BUY",
    "destination": "ML",
    "securityId": "68336002fe95851f0a2aeda9",
    "ticker": "IBM",
    "quantity": 1000,
    "receivedTimestamp": "2026-03-02T15:00:00Z",
    "sentTimestamp": "2026-03-03T04:59:59.999999999Z",
    "quantityFilled": 1000,
    "totalAmount": 33333.33,
    "averagePrice": 33.33,
}


@pytest.fixture(scope="module")
def image() -> str:
    try:
        return image_under_test()
    except UnusableEngineError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def stack(image: str) -> Generator[Stack]:
    with running_stack(image) as running:
        yield running


def test_it_receives_sends_and_ends_in_order(stack: Stack) -> None:
    began = time.monotonic()
    with stack.service() as service:
        service.wait_until_ready()
        ready_seconds = time.monotonic() - began

        created = service.ask("/api/v1/executions", [EXECUTION])
        execution_id = created[1]["results"][0]["executionId"]
        shown = service.ask(f"/api/v1/executions/{execution_id}")
        sent = service.ask("/api/v1/executions/send", {})
        verified = docker("exec", service.name, "globeco-allocation", "smoke", check=False)
        service.wait_until("healthy", lambda: service.inspect("{{.State.Health.Status}}") == "healthy")
        resident = service.most_resident_kibibytes()
        docker("stop", service.name)

        assert (created[0], shown[0], sent[0]) == (201, 200, 200)
        assert sent[1]["status"] == "success"
        assert sent[1]["processedCount"] == 1
        assert service.inspect("{{.State.ExitCode}} {{.State.OOMKilled}}") == "0 false"
        assert verified.returncode == 0, verified.stdout
        assert resident < 100 * 1024
    print(f"ready after {ready_seconds:.2f} s, at most {resident / 1024:.0f} MiB resident")


def test_its_other_commands_work_too(stack: Stack) -> None:
    migrated = stack.run("migrate", "--wait", "30")
    listed = stack.run("batches", "list")
    checked = stack.run("config", "check")

    assert migrated.returncode == 0, migrated.stderr
    assert listed.returncode == 0, listed.stderr
    assert checked.returncode == 0, checked.stderr
    assert "secret" not in checked.stdout


def test_several_workers_need_no_temporary_directory(stack: Stack) -> None:
    with stack.service(WORKERS="2") as service:
        # Each worker takes about as much as one alone.
        docker("update", "--memory=200m", "--memory-swap=200m", service.name)
        service.wait_until_ready()

        assert service.ask("/healthz")[0] == 200


def test_a_database_that_lacks_nothing_has_nothing_to_recover(stack: Stack) -> None:
    assert stack.run("migrate", "--wait", "30").returncode == 0

    said = stack.run("recover")

    assert said.returncode == 0, said.stderr
    assert "nothing to do" in said.stdout


def test_it_turns_unhealthy_where_nobody_listens(stack: Stack) -> None:
    with stack.service() as service:
        service.wait_until_ready()
        asked = ("exec", "--env=PORT=8090", service.name, "/usr/local/bin/python3", "-I", "-S")

        told = docker(*asked, "/usr/local/lib/globeco-allocation/healthcheck.py", check=False)

        assert told.returncode == 1
        assert "refused" in told.stdout


def test_nothing_in_it_builds_or_installs_anything(image: str) -> None:
    inside = ("run", "--rm", "--entrypoint=sh", image, "-c")
    tools = docker(*inside, "command -v uv pip pip3 gcc cc make git curl; true").stdout
    modules = docker(*inside, "python3 -m pip --version || python3 -m ensurepip --version", check=False)

    assert tools == ""
    assert modules.returncode != 0


def test_nothing_in_it_belongs_to_who_runs_it(image: str) -> None:
    find = "find / -xdev -user 65532 -not -path '/proc/*' -not -path /usr/local/share/files"
    mine = docker("run", "--rm", "--entrypoint=sh", image, "-c", find, check=False).stdout
    volume = docker(
        "run", "--rm", "--entrypoint=stat", image, "-c", "%u:%g %a", "/usr/local/share/files"
    ).stdout

    assert mine == ""
    assert volume.strip() == "65532:65532 2775"


def test_it_says_what_it_is(image: str) -> None:
    config = json.loads(docker("image", "inspect", image).stdout)[0]["Config"]

    assert config["User"] == "65532:65532"
    assert config["StopSignal"] == "SIGTERM"
    assert list(config["Volumes"]) == ["/usr/local/share/files"]
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
