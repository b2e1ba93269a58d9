"""A collector that is away, hangs or fails costs nobody anything; without one, nothing is told."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from tests.process.collector import Collector, collector
from tests.process.conftest import StartService
from tests.process.records import record
from tests.process.service_process import ServiceProcess, wait_until
from tests.process.tracing import TRACEPARENT, noting_cli, post, tells

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.entrypoints.simulated.trade_service import SimulatedTradeService

NOT_TAKEN, TAKEN_AGAIN = "collector takes no traces: they are lost", "collector takes traces again"
GRACE_SECONDS = 10.0


@pytest.fixture
def seen() -> Generator[Collector]:
    """A collector."""
    with collector() as running:
        yield running


def away(collector: Collector) -> None:
    collector.url = "http://127.0.0.1:9"


def hangs(collector: Collector) -> None:
    collector.hanging.set()


def fails(collector: Collector) -> None:
    collector.status = 500


def told(service: ServiceProcess, message: str) -> int:
    return sum(line["message"] == message for line in tuple(service.log))


@pytest.mark.parametrize("behave", [away, hangs, fails])
def test_a_collector_in_trouble_keeps_neither_requests_nor_the_end_waiting(
    start_service: StartService,
    database: DatabaseAddress,
    trade_service: str,
    seen: Collector,
    behave: Callable[[Collector], None],
) -> None:
    behave(seen)
    service = start_service(
        database,
        TRADE_SERVICE_URL=trade_service,
        SHUTDOWN_GRACE_SECONDS=str(GRACE_SECONDS),
        **tells(seen, OTEL_BSP_MAX_QUEUE_SIZE="10", OTEL_EXPORTER_OTLP_TIMEOUT="1"),
    )
    wait_until(service.is_ready, "ready")
    for number in range(1, 41):  # several spans each: the queue overflows
        assert service.post("/api/v1/executions", [record(number)])[0] == 201
    wait_until(lambda: told(service, NOT_TAKEN) == 1, "it says so")
    before = seen.requests

    def asked_again() -> bool:
        service.get("/api/v1/executions")
        return behave is away or seen.requests > before + 1

    wait_until(asked_again, "the collector was asked again, more than once")
    began = time.monotonic()
    service.signal()

    assert service.exit_code() == 0
    assert time.monotonic() - began < GRACE_SECONDS
    assert told(service, NOT_TAKEN) == 1
    assert service.stderr == ""
    assert {line.get("logger") for line in service.log if "opentelemetry" in str(line)} == set()


def test_it_says_when_the_collector_takes_traces_again(
    start_service: StartService, database: DatabaseAddress, seen: Collector
) -> None:
    seen.status = 500
    service = start_service(
        database, **tells(seen, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20s3cret")
    )
    wait_until(service.is_ready, "ready")
    service.get("/api/v1/executions")
    service.logged(NOT_TAKEN)
    seen.status = 200
    service.get("/api/v1/executions")

    assert service.logged(TAKEN_AGAIN)["lost"] >= 1
    assert seen.headers["authorization"] == "Bearer s3cret"
    assert not any("s3cret" in str(line) for line in service.log)


def test_what_opentelemetry_cannot_use_costs_traces_alone(
    start_service: StartService, database: DatabaseAddress, trade_service: str, seen: Collector
) -> None:
    more = {"OTEL_ATTRIBUTE_COUNT_LIMIT": "many", "TRADE_SERVICE_URL": trade_service}
    service = start_service(database, **tells(seen, **more))
    wait_until(service.is_ready, "ready")

    assert service.post("/api/v1/executions", [record(1)])[0] == 201
    assert told(service, "traces cannot be sent as OTEL_... variables are set: none are collected") == 1
    assert seen.requests == 0


async def test_without_a_collector_a_caller_s_trace_is_handed_on_as_it_came(
    start_service: StartService, database: DatabaseAddress, tmp_path: Path
) -> None:
    trade = SimulatedTradeService(invent=True)
    command, seen_by_the_cli = noting_cli(tmp_path)

    def use(url: str) -> list[bool]:
        service = start_service(database, TRADE_SERVICE_URL=url, CLI_COMMAND=command)
        wait_until(service.is_ready, "ready")
        address, has_one = f"{service.url}/api/v1/executions", list[bool]()
        post(address, [record(1)], {})
        has_one.append("traceparent" in trade.last_headers)
        post(address, [record(2)], {"traceparent": TRACEPARENT, "tracestate": "vendor=1"})
        has_one.append(trade.last_headers.get("traceparent") == TRACEPARENT)
        has_one.append(trade.last_headers.get("tracestate") == "vendor=1")
        post(f"{address}/send", {}, {"traceparent": TRACEPARENT, "tracestate": "vendor=1"})
        post(address, [record(3)], {})
        post(f"{address}/send", {}, {})
        has_one.append(any("trace_id" in line for line in service.log))
        return has_one

    async with trade.serve() as url:
        assert await asyncio.to_thread(use, url) == [False, True, True, False]
    handed_on, nothing = seen_by_the_cli()
    assert (handed_on["TRACEPARENT"], handed_on["TRACESTATE"]) == (TRACEPARENT, "vendor=1")
    assert "TRACEPARENT" not in nothing


def test_the_sdk_is_loaded_only_where_traces_go_somewhere() -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    nowhere = [{}, {**endpoint, "TRACING_ENABLED": "false"}, {**endpoint, "OTEL_SDK_DISABLED": "true"}]
    program = (
        "import json, sys\n"
        "from globeco_allocation.entrypoints import server, workers\n"
        "from globeco_allocation.entrypoints.logs import log_request\n"
        "from globeco_allocation.entrypoints.metrics import Metrics\n"
        "from globeco_allocation.entrypoints.settings import Settings\n"
        "for environ in json.loads(sys.argv[1]):\n"
        "    found = Settings.load(environ)\n"
        "    server.Service(found, server.database_steps(found, environ), Metrics(), log_request)\n"
        "    print(any(name.startswith(('opentelemetry.sdk', 'requests')) for name in sys.modules))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, json.dumps([*nowhere, endpoint])],
        check=False,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )

    assert (answer.stdout.split(), answer.stderr) == (["False", "False", "False", "True"], "")
