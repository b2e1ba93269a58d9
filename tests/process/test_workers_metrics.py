"""One look at the metrics shows all workers, whichever of them is asked."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.process.conftest import StartService
from tests.process.records import record, records
from tests.process.service_process import ServiceProcess, wait_until
from tests.process.several_workers import (
    ask_until_each_has_answered,
    metrics_directories,
    scrape,
    wait_until_all_are_ready,
    workers_of,
)

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.entrypoints.metrics.shared import NoMetricsDirectoryError, metrics_directory

ASKED = 'http_requests_total{method="GET",route="/api/v1/executions/{id}",status="404"}'
TIMED = 'http_request_duration_seconds_count{method="GET",route="/api/v1/executions/{id}",status="404"}'


def value(text: str, series: str) -> float:
    """The value of a series, which must be there once."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found = [line.rpartition(" ")[2] for line in lines if series in line]
    assert len(found) <= 1, found
    return float(found[0]) if found else 0.0


def wait_until_counted(service: ServiceProcess, count: int) -> None:
    wait_until(lambda: value(scrape(service), ASKED) == count, f"{count} requests are counted")


def test_requests_are_summed_over_the_workers(start_service: StartService, database: DatabaseAddress) -> None:
    service = start_service(database, WORKERS="2")
    wait_until_all_are_ready(service)

    count = len(ask_until_each_has_answered(service, "/api/v1/executions/77"))
    wait_until_counted(service, count)
    scrapes = [one.decode() for one in ask_until_each_has_answered(service, "/metrics")]

    assert {(value(one, ASKED), value(one, TIMED)) for one in scrapes} == {(count, count)}


def test_gauges_are_not_multiplied(
    start_service: StartService, database: DatabaseAddress, slow_trade_service: Callable[[float], str]
) -> None:
    service = start_service(
        database,
        WORKERS="2",
        TRADE_SERVICE_URL=slow_trade_service(0),
        SEND_WAIT_SECONDS="20",
        SIMULATED_ACCOUNTING_MS_PER_ROW="3000",
    )
    wait_until_all_are_ready(service)
    wait_until(lambda: value(scrape(service), "allocation_fit_to_deliver ") == 1, "all are fit")
    service.post("/api/v1/executions", records(1))
    with ThreadPoolExecutor(1) as caller:
        sent = caller.submit(service.post, "/api/v1/executions/send", {})
        service.logged("delivery attempt taken on")
        during = [one.decode() for one in ask_until_each_has_answered(service, "/metrics")]
        assert not sent.done()
        assert sent.result()[0] == 200

    assert {value(one, "allocation_sends_under_way ") for one in during} == {1}
    assert {value(one, "allocation_fit_to_deliver ") for one in during} == {1}
    wait_until(lambda: value(scrape(service), "allocation_sends_under_way ") == 0, "no send is under way")


def test_a_killed_worker_s_counts_are_kept_and_its_sends_forgotten(
    start_service: StartService, database: DatabaseAddress, trade_service: str
) -> None:
    service = start_service(
        database,
        WORKERS="2",
        TRADE_SERVICE_URL=trade_service,
        SEND_WAIT_SECONDS="60",
        SIMULATED_ACCOUNTING_MS_PER_ROW="20000",
    )
    wait_until_all_are_ready(service)
    count = len(ask_until_each_has_answered(service, "/api/v1/executions/77"))
    service.post("/api/v1/executions", [record(1)])
    with ThreadPoolExecutor(1) as caller:
        sent = caller.submit(service.post, "/api/v1/executions/send", {})
        wait_until(lambda: value(scrape(service), "allocation_sends_under_way ") == 1, "a send is under way")
        wait_until_counted(service, count)
        before = workers_of(service)
        for worker in before:
            worker.kill()
        assert sent.exception() is not None

    wait_until(lambda: len(set(workers_of(service)) - set(before)) == 2, "others in their places")
    count += len(ask_until_each_has_answered(service, "/api/v1/executions/77"))
    wait_until_counted(service, count)
    assert value(scrape(service), "allocation_sends_under_way ") == 0


def test_no_directory_is_needed_where_nobody_asks_for_metrics(
    start_service: StartService, database: DatabaseAddress, tmp_path: Path
) -> None:
    service = start_service(database, WORKERS="2", METRICS_ENABLED="false", TMPDIR=str(tmp_path))
    wait_until_all_are_ready(service)

    assert service.get("/metrics")[0] == 404
    assert metrics_directories(tmp_path) == []


def test_the_directory_is_made_where_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/proc/nowhere")
    with metrics_directory(["/proc", str(tmp_path)]) as directory:
        assert directory.parent == tmp_path
        assert directory.stat().st_mode & 0o077 == 0

    assert list(tmp_path.iterdir()) == []


def test_where_it_can_be_made_nowhere_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/proc/nowhere")

    with (
        pytest.raises(NoMetricsDirectoryError, match=r"mount a writable /tmp, or set WORKERS=1, or METRICS_"),
        metrics_directory(["/proc"]),
    ):
        pass


COUNT = """
import sys
from pathlib import Path
from globeco_allocation.entrypoints.metrics.shared import shared_metrics
metrics = shared_metrics(Path(sys.argv[1]), int(sys.argv[2]))
metrics.state.migrations_missing(int(sys.argv[3]))
metrics.fit_to_deliver(fit=sys.argv[4] == "fit")
metrics.batch_claimed()
print(metrics.render().decode())
"""


def count(directory: Path, worker: int, pending: int, fit: str) -> str:
    """Count as this worker does, in a process that then is no more; return what it shows."""
    command = [sys.executable, "-c", COUNT, str(directory), str(worker), str(pending), fit]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_each_metric_is_put_together_in_its_own_way(tmp_path: Path) -> None:
    count(tmp_path, 1, 5, "unfit")
    shown = count(tmp_path, 2, 3, "fit")

    assert value(shown, "allocation_schema_migrations_missing ") == 3  # the latest look
    assert value(shown, "allocation_fit_to_deliver ") == 0  # one of them is not
    assert value(shown, "allocation_batches_claimed_total ") == 2


def test_a_worker_goes_on_from_what_the_one_before_it_counted(tmp_path: Path) -> None:
    files = [count(tmp_path, 1, 5, "fit") and {one.name for one in tmp_path.iterdir()} for _ in range(3)]

    assert value(count(tmp_path, 1, 5, "fit"), "allocation_batches_claimed_total ") == 4
    assert files[0] == files[1] == files[2]  # however many die, the directory does not grow


def test_a_file_that_is_just_being_made_hinders_nobody(tmp_path: Path) -> None:
    (tmp_path / "counter_7.db").touch()

    assert value(count(tmp_path, 1, 5, "fit"), "allocation_batches_claimed_total ") == 1
