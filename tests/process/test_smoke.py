"""`globeco-allocation smoke` asks a real service, and says what is wrong with one that is not well."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.process.conftest import StartService
from tests.process.records import record
from tests.process.service_process import wait_until

from globeco_allocation import __version__
from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.entrypoints.api_tokens import Right, line_of, new_token
from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.entrypoints.smoke.checks import CHECKS

NOT_HERE = {"token asked for"}
"""What a service without tokens is not asked."""


def smoke(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "globeco_allocation", "smoke", url, *arguments],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def marks(done: "subprocess.CompletedProcess[str]") -> dict[str, str]:
    """What became of each check that was made."""
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        mark, _, rest = line.partition("  ")
        found |= {name: mark.strip() for name in CHECKS if rest.strip().startswith(name)}
    return found


def failed(done: "subprocess.CompletedProcess[str]") -> set[str]:
    return {name for name, mark in marks(done).items() if mark == "failed"}


def test_a_service_that_works_passes_every_check_and_keeps_nothing_of_it(
    start_service: StartService, database: DatabaseAddress, trade_service: str
) -> None:
    service = start_service(database, TRADE_SERVICE_URL=trade_service)
    wait_until(service.is_ready, "ready")
    service.post("/api/v1/executions", [record(1)])
    service.post("/api/v1/executions/send", {})
    begun = time.monotonic()

    done = smoke(service.url, "--wait", "30", "--expect", __version__)

    assert (done.returncode, done.stderr) == (ExitCode.OK, ""), done
    assert set(marks(done)) == set(CHECKS)
    assert {name for name, mark in marks(done).items() if mark == "ok"} >= set(CHECKS) - {
        *NOT_HERE,
        "operator's page",
    }
    assert f"version {__version__}" in done.stdout
    assert time.monotonic() - begun < 10
    with connect(database, {}) as session:
        kept = session.execute(
            "SELECT (SELECT count(*) FROM execution), (SELECT count(*) FROM pending_execution),"
            " (SELECT count(*) FROM batch_claim)"
        ).fetchone()
    assert kept == (1, 0, 1)


def test_several_workers_pass_as_one_service(start_service: StartService, database: DatabaseAddress) -> None:
    service = start_service(database, WORKERS="2")

    done = smoke(service.url, "--wait", "30")

    assert done.returncode == ExitCode.OK, done
    assert marks(done)["fit to deliver"] == "ok"


def test_a_service_that_cannot_deliver_is_named_as_such(
    start_service: StartService, database: DatabaseAddress, tmp_path: Path
) -> None:
    (tmp_path / "files").write_text("no directory")
    service = start_service(database)
    wait_until(service.is_ready, "ready")

    done = smoke(service.url)

    assert done.returncode == ExitCode.TRY_AGAIN
    assert failed(done) == {"fit to deliver"}
    assert "does not write or deliver files" in done.stdout
    assert "OUTPUT_DIR" in done.stdout


def test_a_service_without_metrics_is_not_said_to_deliver(
    start_service: StartService, database: DatabaseAddress
) -> None:
    service = start_service(database, METRICS_ENABLED="false")
    wait_until(service.is_ready, "ready")

    done = smoke(service.url)

    assert done.returncode == ExitCode.OK
    assert (marks(done)["metrics"], marks(done)["fit to deliver"]) == ("skipped", "skipped")


def test_a_database_that_was_not_migrated_is_named(
    start_service: StartService, empty_database: DatabaseAddress
) -> None:
    service = start_service(empty_database, MIGRATE_ON_START="false")

    done = smoke(service.url)

    assert done.returncode == ExitCode.TRY_AGAIN
    assert {"ready", "executions listed", "batches listed"} <= failed(done)
    assert "run `globeco-allocation migrate`" in done.stdout


def test_a_stop_of_all_delivery_is_named(
    start_service: StartService, database: DatabaseAddress, trade_service: str
) -> None:
    service = start_service(database, TRADE_SERVICE_URL=trade_service)
    wait_until(service.is_ready, "ready")
    service.post("/api/v1/executions", [record(1)])
    service.post("/api/v1/executions/send", {})
    with connect(database, {}) as session:
        session.execute("INSERT INTO delivery_stop (delivery_id, reason) SELECT id, 'foreign' FROM delivery")

    done = smoke(service.url)

    assert done.returncode == ExitCode.FAILED
    assert failed(done) == {"batches listed"}
    assert "all delivery is stopped: " in done.stdout


def test_another_version_than_the_one_rolled_out_is_named(
    start_service: StartService, database: DatabaseAddress
) -> None:
    service = start_service(database)

    done = smoke(service.url, "--expect", "99.0")

    assert done.returncode == ExitCode.TRY_AGAIN
    assert failed(done) == {"alive"}
    assert "not 99.0" in done.stdout


def test_a_service_that_hangs_costs_no_more_than_the_time_given(
    start_service: StartService, database: DatabaseAddress
) -> None:
    service = start_service(database)
    url = service.url
    service.signal(signal.SIGSTOP)
    begun = time.monotonic()
    try:
        done = smoke(url, "--timeout", "2")
    finally:
        service.signal(signal.SIGCONT)

    assert done.returncode == ExitCode.TRY_AGAIN
    assert "not within the 2 s of --timeout" in done.stdout
    assert time.monotonic() - begun < 5


def test_a_service_that_asks_for_tokens_passes_with_one_and_not_without(
    start_service: StartService, database: DatabaseAddress, tmp_path: Path
) -> None:
    token = new_token()
    (tmp_path / "tokens").write_text(f"{line_of('reader', Right.READ, token)}\n")
    (tmp_path / "token").write_text(token)
    service = start_service(database, API_TOKENS_FILE=str(tmp_path / "tokens"))

    with_one = smoke(service.url, "--wait", "30", "--token-file", str(tmp_path / "token"))
    without = smoke(service.url)

    assert with_one.returncode == ExitCode.OK, with_one
    assert marks(with_one)["token asked for"] == "ok"
    assert without.returncode == ExitCode.FAILED
    assert "--token-file" in without.stdout
