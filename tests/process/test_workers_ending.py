"""Several workers end together: in order, in time, and whatever becomes of their parent."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.process.conftest import StartService
from tests.process.records import record
from tests.process.service_process import ServiceProcess, wait_until
from tests.process.several_workers import (
    are_gone,
    connections_of,
    logged_times,
    metrics_directories,
    wait_until_all_are_ready,
    workers_of,
)
from tests.process.test_ending import listens

from globeco_allocation.adapters.postgres.address import DatabaseAddress

SLOW = {"TRADE_SERVICE_TIMEOUT_SECONDS": "60"}


def under_way(service: ServiceProcess) -> int:
    port = int(service.url.rpartition(":")[2])
    return sum(connections_of(one, port) for one in workers_of(service))


def to_the_parent(service: ServiceProcess) -> None:
    service.signal(signal.SIGTERM)


def to_the_whole_group(service: ServiceProcess) -> None:
    os.killpg(service.process.pid, signal.SIGINT)  # as Ctrl-C on a terminal does


@pytest.mark.parametrize("tell", [to_the_parent, to_the_whole_group])
def test_requests_under_way_are_answered_and_nothing_is_left(
    start_service: StartService,
    database: DatabaseAddress,
    slow_trade_service: Callable[[float], str],
    tmp_path: Path,
    tell: Callable[[ServiceProcess], None],
) -> None:
    service = start_service(
        database, WORKERS="2", TRADE_SERVICE_URL=slow_trade_service(1500), TMPDIR=str(tmp_path)
    )
    wait_until_all_are_ready(service)
    workers = workers_of(service)
    assert len(metrics_directories(tmp_path)) == 1
    with ThreadPoolExecutor(8) as callers:
        answers = [callers.submit(service.post, "/api/v1/executions", [record(key)]) for key in range(1, 9)]
        wait_until(lambda: under_way(service) == 8, "the requests are under way")
        tell(service)
        wait_until(lambda: logged_times(service, "ending") == 2, "both workers are ending")
        wait_until(lambda: not listens(service), "new connections are refused")

        assert not any(one.done() for one in answers)
        assert [one.result()[0] for one in answers] == [201] * 8

    assert service.exit_code() == 0
    assert service.stderr == ""
    assert logged_times(service, "ended") == 2
    assert are_gone(workers)
    assert metrics_directories(tmp_path) == []


def test_workers_end_in_order_when_their_parent_is_killed(
    start_service: StartService,
    database: DatabaseAddress,
    slow_trade_service: Callable[[float], str],
    tmp_path: Path,
) -> None:
    service = start_service(
        database, WORKERS="2", TRADE_SERVICE_URL=slow_trade_service(1000), TMPDIR=str(tmp_path)
    )
    wait_until_all_are_ready(service)
    workers = workers_of(service)
    with ThreadPoolExecutor(4) as callers:
        answers = [callers.submit(service.post, "/api/v1/executions", [record(key)]) for key in range(1, 5)]
        wait_until(lambda: under_way(service) == 4, "the requests are under way")
        service.signal(signal.SIGKILL)

        assert [one.result()[0] for one in answers] == [201] * 4

    wait_until(lambda: are_gone(workers), "the workers are gone")
    assert service.exit_code() == -signal.SIGKILL
    assert logged_times(service, "ended") == 2
    assert metrics_directories(tmp_path) == []


def test_a_second_signal_ends_all_at_once(
    start_service: StartService, database: DatabaseAddress, slow_trade_service: Callable[[float], str]
) -> None:
    service = start_service(
        database,
        WORKERS="2",
        TRADE_SERVICE_URL=slow_trade_service(60_000),
        SHUTDOWN_GRACE_SECONDS="600",
        **SLOW,
    )
    wait_until_all_are_ready(service)
    workers = workers_of(service)
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(service.post, "/api/v1/executions", [record(1)])
        wait_until(lambda: under_way(service) == 1, "the request is under way")

        def end() -> bool:
            service.signal()
            return service.process.poll() is not None

        wait_until(end, "one of the next signals ends it")

        assert answer.exception() is not None
    assert service.exit_code() == 128 + signal.SIGTERM
    assert are_gone(workers)


def test_a_worker_that_hangs_is_killed_a_moment_after_the_grace(
    start_service: StartService, database: DatabaseAddress, tmp_path: Path
) -> None:
    service = start_service(database, WORKERS="2", SHUTDOWN_GRACE_SECONDS="1", TMPDIR=str(tmp_path))
    wait_until_all_are_ready(service)
    workers = workers_of(service)
    workers[0].suspend()

    told = time.monotonic()
    service.signal()
    code = service.exit_code()
    took = time.monotonic() - told

    assert code == 128 + signal.SIGKILL
    assert 1 < took < 1 + 2 + 3  # the grace, a moment, and a busy machine's delays
    assert service.logged("workers killed: they did not end in time")["workers"] == [1]
    assert are_gone(workers)
    assert metrics_directories(tmp_path) == []


def test_workers_end_in_order_while_their_database_is_away(start_service: StartService) -> None:
    service = start_service(DatabaseAddress("127.0.0.1", 1, "postgres", "postgres"), WORKERS="2")
    service.logged("listening")
    service.signal()

    assert service.exit_code() == 0


def test_a_signal_to_workers_that_have_just_been_forked_is_no_failure(
    start_service: StartService, database: DatabaseAddress
) -> None:
    service = start_service(database, WORKERS="4")
    service.logged("workers started")
    service.signal()

    assert service.exit_code() == 0
