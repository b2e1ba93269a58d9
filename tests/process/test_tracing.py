"""What a collector is told: one trace of a request, and one of a send, whoever carries it on."""

import asyncio
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest
from tests.kubernetes.api_double import KubernetesDouble
from tests.kubernetes.pods import simulated_accounting
from tests.process.collector import ERROR, Collector, collector
from tests.process.conftest import StartService
from tests.process.records import record, records
from tests.process.service_process import ServiceProcess, wait_until
from tests.process.several_workers import ask_until_each_has_answered, wait_until_all_are_ready
from tests.process.test_kubernetes_start import CHART, CLAIM
from tests.process.tracing import CALLER, TRACE, TRACEPARENT, noting_cli, post, tells

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.entrypoints.simulated.trade_service import Knobs, SimulatedTradeService

INTERNAL, SERVER, CLIENT = 1, 2, 3
CREATE, SEND = "POST /api/v1/executions", "POST /api/v1/executions/send"


@pytest.fixture
def seen() -> Generator[Collector]:
    """A collector that takes everything."""
    with collector() as running:
        yield running


def ready(service: ServiceProcess) -> ServiceProcess:
    wait_until(service.is_ready, "ready")
    return service


async def test_a_post_is_one_trace_of_its_lookups_their_attempts_and_its_statements(
    start_service: StartService, database: DatabaseAddress, seen: Collector
) -> None:
    trade = SimulatedTradeService(invent=True, knobs=Knobs(empty_first=1))

    def use(trade_url: str) -> None:
        service = ready(start_service(database, TRADE_SERVICE_URL=trade_url, **tells(seen)))
        post(f"{service.url}/api/v1/executions", records(3), {"X-Correlation-ID": "c-1"})
        seen.wait_for(CREATE)

    async with trade.serve() as url:
        await asyncio.to_thread(use, url)

    (request,) = seen.named(CREATE)
    assert (request.kind, request.parent, request.status) == (SERVER, "", 0)
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/api/v1/executions",
        "url.path": "/api/v1/executions",
        "http.response.status_code": 201,
        "globeco_allocation.correlation_id": "c-1",
    }
    assert request.resource["service.name"] == "globeco-allocation-service"
    assert seen.names_below(request) == [
        "SELECT execution",
        "SELECT keep_executions",
        *["look up portfolio"] * 3,
    ]
    for lookup in seen.named("look up portfolio"):
        first, second = sorted(
            seen.children(lookup), key=lambda one: one.attributes.get("http.request.resend_count", 0)
        )
        assert (first.name, first.kind, first.attributes["http.response.status_code"]) == ("GET", CLIENT, 200)
        assert second.attributes["http.request.resend_count"] == 1
        assert "?" not in second.attributes["url.full"]
    (kept,) = seen.named("SELECT keep_executions")
    assert (kept.kind, kept.attributes["db.system.name"]) == (CLIENT, "postgresql")
    assert kept.attributes["globeco_allocation.callers"] == 1
    assert kept.events == ("sent",)
    assert "68336002fe95851f0a2aeda9" not in str(seen.spans), "no contents of records, and no parameters"
    _, trace, parent, flags = trade.last_headers["traceparent"].split("-")
    assert (trace, int(flags, 16) & 1) == (request.trace, 1), "sampled"
    assert parent in {one.id for one in seen.named("GET")}


async def test_a_caller_s_trace_goes_on_and_insane_ones_are_ignored(
    start_service: StartService, database: DatabaseAddress, trade_service: str, seen: Collector
) -> None:
    service = ready(start_service(database, TRADE_SERVICE_URL=trade_service, **tells(seen)))
    address = f"{service.url}/api/v1/executions"

    post(address, [record(1)], {"traceparent": TRACEPARENT, "tracestate": "vendor=1"})
    for number, insane in enumerate((f"00-{'0' * 32}-{CALLER}-01", f"ff-{TRACE}-{CALLER}-01", "1" * 9000), 2):
        post(address, [record(number)], {"traceparent": insane, "tracestate": "vendor=1"})
    post(address, [record(9)], {"traceparent": f"00-{'a' * 32}-{CALLER}-00"})
    post(address, [record(10)], {})
    requests = seen.wait_for(CREATE, 5)

    (continued,) = [one for one in requests if one.trace == TRACE]
    assert (continued.parent, continued.trace_state) == (CALLER, "vendor=1")
    assert {one.parent for one in requests if one.trace != TRACE} == {""}
    assert len({one.trace for one in requests}) == 5
    assert "a" * 32 not in {one.trace for one in seen.spans}, "its caller did not want it collected"


def test_a_send_is_one_trace_of_claim_file_and_every_run_with_its_retries(
    start_service: StartService,
    database: DatabaseAddress,
    trade_service: str,
    seen: Collector,
    tmp_path: Path,
) -> None:
    command, seen_by_the_cli = noting_cli(tmp_path)
    service = ready(
        start_service(
            database,
            TRADE_SERVICE_URL=trade_service,
            CLI_COMMAND=command,
            SIMULATED_ACCOUNTING_FAULT="exit-1:1",
            DELIVERY_RETRY_BASE_DELAY_SECONDS="0.01",
            **tells(seen, TRACEPARENT="00-stale"),
        )
    )
    service.post("/api/v1/executions", records(2))
    post(f"{service.url}/api/v1/executions/send", {}, {"traceparent": TRACEPARENT, "Prefer": "respond-async"})
    runs = seen.wait_for("run accounting CLI", 2)
    seen.wait_for("deliver file", 2)

    (send,) = seen.named(SEND)
    assert (send.trace, send.parent) == (TRACE, CALLER)
    assert [name for name in seen.names_below(send) if name in {"deliver file", "write files"}] == [
        "deliver file",
        "deliver file",
        "write files",
    ]
    assert "SELECT claim_traced_window" in seen.names_below(send)
    (written,) = seen.named("write files")
    assert "write file" in seen.names_below(written)
    (file,) = seen.named("write file")
    assert file.attributes["globeco_allocation.records"] == 2
    first, second = sorted(
        seen.named("deliver file"), key=lambda one: one.attributes["globeco_allocation.attempt"]
    )
    assert (first.status, first.attributes["globeco_allocation.another_attempt"]) == (ERROR, True)
    assert (second.status, second.attributes["globeco_allocation.status"]) == (0, "delivered")
    told = seen_by_the_cli()
    assert [one["TRACEPARENT"] for one in told] == [
        f"00-{TRACE}-{run.id}-01"
        for run in sorted(runs, key=lambda one: one.attributes["globeco_allocation.attempt"])
    ]
    assert not any(name.startswith("OTEL_") for one in told for name in one)
    roots = {one.name for one in seen.spans if not one.parent}
    assert roots == {CREATE}, "what goes on beside all else is not told"
    assert [line["trace_id"] for line in service.log if line["message"] == "delivery ended"] == [TRACE]


def test_what_another_process_carries_on_is_still_part_of_its_sender_s_trace(
    start_service: StartService,
    database: DatabaseAddress,
    trade_service: str,
    seen: Collector,
    tmp_path: Path,
) -> None:
    settings = tells(seen, TRADE_SERVICE_URL=trade_service, SIMULATED_ACCOUNTING_FAULT="slow:2000")
    first = ready(start_service(database, **settings))
    first.post("/api/v1/executions", [record(1)])
    post(f"{first.url}/api/v1/executions/send", {}, {"traceparent": TRACEPARENT, "Prefer": "respond-async"})
    ledger = tmp_path / "ledger.sqlite3"
    wait_until(ledger.exists, "the run has begun")
    first.signal()
    assert first.exit_code() == 0
    ready(start_service(database, **settings))

    wait_until(lambda: len(seen.named("deliver file", TRACE)) == 2, "both processes have told of it")
    left, taken = sorted(
        seen.named("deliver file", TRACE), key=lambda one: one.attributes["globeco_allocation.taken_over"]
    )
    (send,) = seen.named(SEND)
    assert left.parent == taken.parent == send.id
    assert left.resource["service.instance.id"] != taken.resource["service.instance.id"]
    assert left.attributes["error.type"] == "CancelledError"
    assert taken.attributes["globeco_allocation.status"] == "delivered"


async def test_a_job_is_told_of_its_trace_and_found_again_from_another_one(
    start_service: StartService,
    database: DatabaseAddress,
    trade_service: str,
    seen: Collector,
    tmp_path: Path,
) -> None:
    async with KubernetesDouble() as kubernetes:
        kubernetes.cluster.claims = {CLAIM: tmp_path / "files"}
        more = {"SIMULATED_ACCOUNTING_LEDGER": str(tmp_path / "ledger.sqlite3")}
        kubernetes.cluster.handler = simulated_accounting(more | {"SIMULATED_ACCOUNTING_MS_PER_ROW": "2000"})
        config = kubernetes.write_kubeconfig(tmp_path / "kubeconfig", tmp_path / "token")
        settings = tells(seen, TRADE_SERVICE_URL=trade_service, KUBECONFIG=str(config), **CHART)

        def use() -> None:
            first = ready(start_service(database, **settings))
            first.post("/api/v1/executions", [record(1)])
            headers = {"traceparent": TRACEPARENT, "Prefer": "respond-async"}
            post(f"{first.url}/api/v1/executions/send", {}, headers)
            wait_until(lambda: bool(kubernetes.store.created), "the Job was made")
            first.signal()
            first.exit_code()
            ready(start_service(database, **settings))
            seen.wait_for("deliver file", 3)  # the second process's, and one that confirms it

        await asyncio.to_thread(use)
        kubernetes.assert_one_job_an_attempt()
        job = kubernetes.store.created[0]

    (container,) = job["spec"]["template"]["spec"]["containers"]
    told = {one["name"]: one["value"] for one in container["env"]}
    began, *_ = seen.named("run accounting CLI")
    assert told["TRACEPARENT"] == f"00-{TRACE}-{began.id}-01"
    assert job["metadata"]["annotations"]["globeco-allocation/traceparent"] == told["TRACEPARENT"]
    assert {one.trace for one in seen.named("run accounting CLI")} == {TRACE}


def test_each_worker_tells_for_itself_within_a_pods_memory(
    start_service: StartService, database: DatabaseAddress, trade_service: str, seen: Collector
) -> None:
    service = start_service(database, WORKERS="2", TRADE_SERVICE_URL=trade_service, **tells(seen))
    wait_until_all_are_ready(service)
    ask_until_each_has_answered(service, "/api/v1/executions")

    def instances() -> int:
        return len({one.resource["service.instance.id"] for one in seen.named("GET /api/v1/executions")})

    wait_until(lambda: instances() == 2, "both workers have told")
    assert seen.named("GET /readyz") == []


def test_a_service_that_tells_stays_within_a_pod_s_memory(
    start_service: StartService, database: DatabaseAddress, trade_service: str, seen: Collector
) -> None:
    service = ready(start_service(database, TRADE_SERVICE_URL=trade_service, **tells(seen)))
    for first in range(1, 401, 100):
        service.post("/api/v1/executions", [record(number) for number in range(first, first + 100)])
    seen.wait_for("look up portfolio", 400)

    process = psutil.Process(service.process.pid)
    assert process.memory_info().rss < 100 * 1024 * 1024


def test_every_line_of_a_request_s_log_names_its_trace(
    start_service: StartService, database: DatabaseAddress, seen: Collector
) -> None:
    service = ready(start_service(database, **tells(seen)))
    post(f"{service.url}/api/v1/executions/send", {}, {"traceparent": TRACEPARENT})
    (send,) = seen.wait_for(SEND)

    claimed, answered = service.logged("batch claimed"), service.logged("request")
    wait_until(lambda: any(line.get("route") == send.attributes["http.route"] for line in service.log), "log")
    (answered,) = [line for line in service.log if line.get("route") == send.attributes["http.route"]]
    assert (claimed["trace_id"], answered["trace_id"]) == (TRACE, TRACE)
    assert answered["span_id"] == send.id
