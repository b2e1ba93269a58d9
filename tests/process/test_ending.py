"""The service ends when it is told to: in order, in time, and losing nothing."""

import json
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.process.conftest import StartService
from tests.process.database_relay import DatabaseRelay
from tests.process.records import record, records
from tests.process.service_process import PATIENCE_SECONDS, ServiceProcess, wait_until

from globeco_allocation.adapters.postgres.address import DatabaseAddress


def listens(service: ServiceProcess) -> bool:
    parts = urlsplit(service.url)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=1).close()
    except OSError:
        return False
    return True


def post_record(service: ServiceProcess) -> tuple[int, str, dict[str, Any]]:
    """POST an execution; returns the answer's status, correlation id and body."""
    parts = urlsplit(service.url)
    connection = HTTPConnection(parts.netloc, timeout=PATIENCE_SECONDS)
    with closing(connection):
        connection.request("POST", "/api/v1/executions", json.dumps([record(1)]))
        answer = connection.getresponse()
        return answer.status, answer.headers["X-Correlation-ID"], json.load(answer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_under_way_is_answered_before_the_end(
    start_service: StartService,
    database: DatabaseAddress,
    slow_trade_service: Callable[[float], str],
    number: signal.Signals,
) -> None:
    service = start_service(
        database, TRADE_SERVICE_URL=slow_trade_service(700), TRADE_SERVICE_MAX_LOOKUPS="50"
    )
    wait_until(service.is_ready, "ready")
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(service.post, "/api/v1/executions", records(100))
        wait_until(service.is_connected, "the request is under way")
        service.signal(number)
        service.logged("ending")
        wait_until(lambda: not listens(service), "new connections are refused")

        assert not answer.done()
        status, body = answer.result()

    assert (status, body["processedCount"], len(body["results"])) == (201, 100, 100)
    assert service.exit_code() == 0
    assert service.stderr == ""


def test_a_sender_is_told_how_far_it_is_and_the_next_process_goes_on_with_its_run(
    start_service: StartService, database: DatabaseAddress, trade_service: str
) -> None:
    settings = {
        "TRADE_SERVICE_URL": trade_service,
        "SEND_WAIT_SECONDS": "25",
        "SIMULATED_ACCOUNTING_MS_PER_ROW": "2500",
    }
    service = start_service(database, **settings)
    wait_until(service.is_ready, "ready")
    service.post("/api/v1/executions", [record(1)])
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(service.post, "/api/v1/executions/send", {})
        service.logged("delivery attempt taken on")
        service.signal()
        status, body = answer.result()
        code = service.exit_code()
    ended = start_service(database, **settings).logged("delivery ended")

    assert (status, body["status"], code) == (202, "processing", 0)
    assert (ended["status"], ended["accepted"], ended["attempt"]) == ("delivered", 1, 1)


def test_a_run_of_the_accounting_cli_outlives_us(
    start_service: StartService, database: DatabaseAddress, trade_service: str, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    go_on = tmp_path / "go-on"
    service = start_service(
        database,
        TRADE_SERVICE_URL=trade_service,
        SEND_WAIT_SECONDS="1",
        SHUTDOWN_GRACE_SECONDS="1",
        CLI_COMMAND=f"""sh -c "until test -e {go_on}; do sleep 0.05; done; echo {{filename}} > {done}" """,
    )
    wait_until(service.is_ready, "ready")
    service.post("/api/v1/executions", [record(1)])
    service.post("/api/v1/executions/send", {})
    wait_until(lambda: bool(service.children("until test")), "the run began")
    (run,) = service.children("until test")
    service.signal()
    service.exit_code()

    assert run.is_running(), service.log
    go_on.touch()
    wait_until(done.exists, f"the run went on to its end; log: {service.log}")


def test_a_request_that_hangs_ends_with_the_grace(
    start_service: StartService, database: DatabaseAddress, slow_trade_service: Callable[[float], str]
) -> None:
    service = start_service(
        database,
        TRADE_SERVICE_URL=slow_trade_service(60_000),
        TRADE_SERVICE_TIMEOUT_SECONDS="60",
        SHUTDOWN_GRACE_SECONDS="4",
    )
    wait_until(service.is_ready, "ready")
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(post_record, service)
        wait_until(service.is_connected, "the request is under way")
        told = time.monotonic()
        service.signal()
        code = service.exit_code()
        took = time.monotonic() - told
        status, correlation_id, body = answer.result()

    assert status == body["status"] == 503
    assert correlation_id == service.logged("request")["correlation_id"]
    assert set(body) == {"message", "status", "timestamp"}
    assert "ask again" in body["message"]
    assert took < 4 + 3  # the grace, and a busy machine's delays
    assert code == 0


def test_a_second_signal_ends_it_at_once(
    start_service: StartService, database: DatabaseAddress, slow_trade_service: Callable[[float], str]
) -> None:
    service = start_service(
        database,
        TRADE_SERVICE_URL=slow_trade_service(60_000),
        TRADE_SERVICE_TIMEOUT_SECONDS="60",
        SHUTDOWN_GRACE_SECONDS="600",
    )
    wait_until(service.is_ready, "ready")
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(service.post, "/api/v1/executions", [record(1)])
        wait_until(service.is_connected, "the request is under way")

        def end() -> bool:
            service.signal()
            return service.process.poll() is not None

        wait_until(end, "one of the next signals ends it")

        assert answer.exception() is not None
    assert service.exit_code() == 128 + signal.SIGTERM


def test_it_ends_in_order_while_its_database_is_away(start_service: StartService) -> None:
    service = start_service(DatabaseAddress("127.0.0.1", 1, "postgres", "postgres"))
    service.logged("listening")
    service.signal()

    assert service.exit_code() == 0


def test_it_ends_with_the_grace_whatever_hangs(start_service: StartService, relay: DatabaseRelay) -> None:
    relay.mend()
    service = start_service(relay.address, SHUTDOWN_GRACE_SECONDS="1")
    wait_until(service.is_ready, "ready")
    relay.freeze()
    with ThreadPoolExecutor(1) as caller:
        caller.submit(service.get, "/api/v1/executions")
        wait_until(service.is_connected, "a request waits for the database")
        told = time.monotonic()
        service.signal()
        code = service.exit_code()

    assert code == -signal.SIGALRM  # closing the database's connections takes up to 5 s
    assert time.monotonic() - told < 1 + 2
