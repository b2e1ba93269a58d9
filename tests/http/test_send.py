"""``POST /api/v1/executions/send`` (design, "Send")."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime

import httpx
import pytest
from structlog.testing import capture_logs
from tests.dispatch.cluster import until
from tests.http.bench import Bench, report

from globeco_allocation.adapters.memory.accounting import Fault
from globeco_allocation.domain.batch import Batch, ClaimTerms
from globeco_allocation.domain.delivery import DeliveryStatus
from globeco_allocation.domain.errors import StoreUnavailableError
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.http.options import HttpOptions

URL = "/api/v1/executions/send"
FIELDS = {
    "processedCount",
    "fileName",
    "status",
    "message",
    "batchId",
    "jobName",
    "jobStatus",
    "executionMode",
}


async def create(client: httpx.AsyncClient, *keys: int) -> None:
    answer = await client.post("/api/v1/executions", content=json.dumps([report(key) for key in keys]))
    assert answer.status_code == 201


async def test_a_batch_whose_records_are_all_booked_is_a_success(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    await create(client, 1, 2)
    answer = await client.post(URL)

    assert answer.status_code == 200
    assert answer.json() == {
        "processedCount": 2,
        "fileName": "transactions_20260302_150000_2.csv",
        "status": "success",
        "message": "Portfolio Accounting booked every record of the batch: 2.",
        "batchId": 2,
        "jobName": "",
        "jobStatus": "",
        "executionMode": "subprocess",
    }
    assert set(bench.accounting.booked) == {"AC1", "AC2"}


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"\xff{broken"], ids=["none", "object", "array", "broken"]
)
async def test_whatever_body_comes_has_no_meaning(client: httpx.AsyncClient, body: bytes) -> None:
    await create(client, 1)

    assert (await client.post(URL, content=body)).json()["status"] == "success"


async def test_nothing_to_send_is_a_success_without_a_file(bench: Bench, client: httpx.AsyncClient) -> None:
    answer = await client.post(URL)

    assert answer.status_code == 200
    assert (answer.json()["processedCount"], answer.json()["fileName"]) == (0, "")
    assert answer.json()["message"].startswith("Nothing to send")
    assert bench.accounting.runs == []


async def test_what_was_sent_is_not_sent_again(bench: Bench, client: httpx.AsyncClient) -> None:
    await create(client, 1)
    await client.post(URL)
    await create(client, 2)
    answer = await client.post(URL)

    assert answer.json()["processedCount"] == 1
    assert [line.count(b"\n") - 1 for line in bench.files.contents.values()] == [1, 1]


async def test_a_batch_of_which_some_records_are_refused_is_partial(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.refusals = {"AC2": "quantity: must be positive"}
    await create(client, 1, 2)
    answer = await client.post(URL)

    assert answer.status_code == 200
    assert answer.json()["status"] == "partial"
    assert answer.json()["message"] == (
        "1 of 2 records booked, 1 refused (such as: quantity: must be positive)."
    )


@pytest.mark.parametrize("fault", [Fault.SERVER_DOWN, Fault.EXIT_1, Fault.KILLED, Fault.NOT_STARTED])
async def test_a_failed_run_is_an_error_with_the_fields_in_its_details(
    bench: Bench, client: httpx.AsyncClient, fault: Fault
) -> None:
    bench.accounting.fault = fault
    await create(client, 1)
    answer = await client.post(URL)

    body = answer.json()
    assert answer.status_code == 500
    assert (body["status"], set(body["details"])) == (500, FIELDS)
    assert (body["details"]["status"], body["details"]["batchId"]) == ("failed", 2)
    assert body["message"] == body["details"]["message"]
    assert body["message"].endswith("The service does not try it again by itself.")


async def test_nothing_is_claimed_while_no_file_can_be_written(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.files.failure = "no space is left"
    await create(client, 1)
    refused = await client.post(URL)
    bench.files.failure = ""
    answer = await client.post(URL)

    assert refused.status_code == 503
    assert "no space is left" in refused.json()["message"]
    assert (answer.status_code, answer.json()["processedCount"]) == (200, 1)
    assert answer.json()["batchId"] == 2


async def test_a_file_that_cannot_be_written_is_an_error_that_names_the_batch(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, client: httpx.AsyncClient
) -> None:
    async def check() -> None:
        bench.files.failure = "no space is left"

    monkeypatch.setattr(bench.files, "check", check)
    await create(client, 1)
    answer = await client.post(URL)
    (delivery,) = await bench.deliveries.of_batch(2)

    assert answer.status_code == 500
    assert "batch 2" in answer.json()["message"].lower()
    assert "no space is left" in answer.json()["message"]
    assert answer.json()["details"]["processedCount"] == 0
    assert bench.accounting.runs == []
    assert delivery.status is DeliveryStatus.CLAIMED
    assert "no space is left" in delivery.error


async def test_a_fault_of_our_own_names_the_batch_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, client: httpx.AsyncClient
) -> None:
    async def write(*_: object) -> object:
        raise RuntimeError("SELECT secret FROM /var/lib")

    monkeypatch.setattr(bench.files, "write", write)
    await create(client, 1)
    with capture_logs() as lines:
        answer = await client.post(URL)

    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["details"]["batchId"] == 2
    assert [one["exc_info"] for one in lines if one["event"] == logs.SEND_FAILED] == [True]


async def test_without_a_cli_the_file_stays_written_and_the_answer_says_so() -> None:
    bench = Bench(with_cli=False)
    async with bench.client() as client:
        await create(client, 1)
        answer = await client.post(URL)

    body = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == "/api/v1/batches/2"
    assert (body["status"], body["executionMode"], body["processedCount"]) == ("processing", "none", 1)
    assert "CLI_COMMAND" in body["message"]
    assert list(bench.files.contents) == [body["fileName"]]


async def test_a_send_that_does_not_end_in_time_is_answered_in_time_and_goes_on() -> None:
    bench = Bench(options=HttpOptions(send_wait_seconds=0.8))
    bench.accounting.gate.clear()
    async with bench.client() as client:
        await create(client, 1)
        started = time.monotonic()
        answer = await client.post(URL)
        took = time.monotonic() - started
        bench.accounting.gate.set()
        await until(lambda: bench.accounting.booked)

    body = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == "/api/v1/batches/2"
    assert took < 0.8
    assert set(body) == FIELDS
    assert (body["status"], body["processedCount"]) == ("processing", 1)
    assert body["fileName"] in bench.files.contents
    assert body["message"] == "The accounting run is under way."


async def test_the_wait_is_counted_from_the_requests_arrival(bench: Bench) -> None:
    bench.options = HttpOptions(send_wait_seconds=1.0)
    bench.accounting.gate.clear()
    async with bench.client() as client:
        await create(client, 1)

        async def slow_body() -> AsyncGenerator[bytes]:
            await asyncio.sleep(0.6)  # a slow caller's time, not ours
            yield b"{}"

        started = time.monotonic()
        answer = await client.post(URL, content=slow_body())
        took = time.monotonic() - started
        bench.accounting.gate.set()

    assert answer.status_code == 202
    assert took < 1.0


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [("respond-async", "respond-async"), ("wait=0", "wait=0"), ('foo; a="b", Wait = "1", wait=50', "wait=1")],
)
async def test_a_caller_may_choose_how_long_it_waits(
    bench: Bench, client: httpx.AsyncClient, prefer: str, applied: str
) -> None:
    bench.accounting.gate.clear()
    await create(client, 1)
    started = time.monotonic()
    answer = await client.post(URL, headers={"Prefer": prefer})
    took = time.monotonic() - started
    bench.accounting.gate.set()

    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == applied
    assert answer.json()["batchId"] == 2
    assert took < 2


async def test_a_caller_that_waits_for_the_claim_alone_is_told_at_once_that_it_failed(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.database.available = False
    started = time.monotonic()
    answer = await client.post(URL, headers={"Prefer": "respond-async"})
    took = time.monotonic() - started

    assert answer.status_code == 503
    assert took < 4


async def test_a_preference_that_nobody_knows_is_ignored(client: httpx.AsyncClient) -> None:
    answer = await client.post(URL, headers={"Prefer": "wait=soon, handling=lenient"})

    assert answer.status_code == 200
    assert "preference-applied" not in answer.headers


async def test_of_two_senders_that_claim_the_same_window_one_is_told_409(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, client: httpx.AsyncClient
) -> None:
    both_have_read = asyncio.Barrier(2)
    last_start = bench.batches.last_start

    async def last_start_together() -> datetime:
        found = await last_start()
        await both_have_read.wait()
        return found

    monkeypatch.setattr(bench.batches, "last_start", last_start_together)
    await create(client, 1)
    answers = await asyncio.gather(client.post(URL), client.post(URL))

    taken, sent = sorted(answers, key=lambda one: -one.status_code)
    assert (taken.status_code, sent.status_code) == (409, 200)
    assert taken.json()["message"].startswith("Another sender claimed the same batch")
    assert sent.json()["processedCount"] == 1


async def test_when_the_database_is_away_nothing_is_claimed(bench: Bench, client: httpx.AsyncClient) -> None:
    bench.database.available = False
    answer = await client.post(URL)
    bench.database.available = True

    assert answer.status_code == 503
    assert answer.json()["message"] == "The database cannot be reached; try again later."
    assert (await client.post(URL)).json()["batchId"] == 2


async def test_when_the_database_goes_away_later_the_answer_names_the_claimed_batch(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, client: httpx.AsyncClient
) -> None:
    async def started(_delivery: int) -> int:
        raise StoreUnavailableError("the database cannot be reached")

    monkeypatch.setattr(bench.deliveries, "started", started)
    await create(client, 1)
    answer = await client.post(URL)

    assert answer.status_code == 503
    assert answer.json()["message"].startswith("Batch 2 is claimed")


async def test_a_claim_that_does_not_come_in_time_is_a_503(
    monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    bench.options = HttpOptions(send_wait_seconds=0.6)
    never = asyncio.Event()

    async def claim(*_: object) -> object:
        await never.wait()

    monkeypatch.setattr(bench.batches, "claim", claim)
    bench.grace_seconds = 0
    async with bench.client() as client:
        answer = await client.post(URL)

    assert answer.status_code == 503
    assert "not claimed the batch in time" in answer.json()["message"]


@pytest.mark.parametrize("at", ["claim", "run"])
async def test_a_caller_that_hangs_up_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, client: httpx.AsyncClient, at: str
) -> None:
    may_claim = asyncio.Event()
    claim = bench.batches.claim

    async def slow_claim(last_start: datetime, terms: ClaimTerms) -> Batch:
        await may_claim.wait()
        return await claim(last_start, terms)

    if at == "claim":
        monkeypatch.setattr(bench.batches, "claim", slow_claim)
    else:
        bench.accounting.gate.clear()
    await create(client, 1)
    request = asyncio.create_task(client.post(URL))
    await until(lambda: "sends_under_way 1.0" in bench.metrics.render().decode())
    request.cancel()
    await asyncio.wait((request,))
    may_claim.set()
    bench.accounting.gate.set()
    await until(lambda: bench.accounting.booked)

    assert request.cancelled()


async def test_more_sends_than_allowed_are_refused_before_anything_is_claimed() -> None:
    bench = Bench(send_limit=1)
    bench.accounting.gate.clear()
    async with bench.client() as client:
        await create(client, 1)
        first = asyncio.create_task(client.post(URL))
        await until(lambda: bench.accounting.runs)
        refused = await client.post(URL)
        bench.accounting.gate.set()
        await first
        afterwards = await client.post(URL)

    assert refused.status_code == 503
    assert refused.json()["message"] == "1 sends are under way already; send again when some have ended."
    assert afterwards.json()["batchId"] == 3


async def test_files_are_written_while_a_run_goes_on_and_runs_keep_their_order(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.gate.clear()
    sends: list[asyncio.Task[httpx.Response]] = []
    for key in range(1, 5):
        await create(client, key)
        sends.append(asyncio.create_task(client.post(URL)))
        await until(lambda: f"batches_claimed_total {len(sends)}.0" in bench.metrics.render().decode())
    await until(lambda: len(bench.files.contents) == len(sends))
    run_by_then = len(bench.accounting.runs)
    bench.accounting.gate.set()
    answers: Sequence[httpx.Response] = await asyncio.gather(*sends)

    assert run_by_then == 1
    assert [one.json()["processedCount"] for one in answers] == [1, 1, 1, 1]
    assert [name for name, _ in bench.accounting.runs] == [one.json()["fileName"] for one in answers]


async def test_the_apps_end_waits_for_sends_under_way(bench: Bench) -> None:
    bench.accounting.gate.clear()
    async with bench.client() as client:
        await create(client, 1)
        await client.post(URL, headers={"Prefer": "respond-async"})
        await until(lambda: bench.accounting.runs)
        asyncio.get_running_loop().call_later(0.05, bench.accounting.gate.set)

    assert set(bench.accounting.booked) == {"AC1"}


async def test_the_apps_end_leaves_a_run_that_takes_too_long_and_says_so() -> None:
    bench = Bench(grace_seconds=0.05)
    bench.accounting.gate.clear()
    with capture_logs() as lines:
        async with bench.client() as client:
            await create(client, 1)
            await client.post(URL, headers={"Prefer": "respond-async"})
            await until(lambda: bench.accounting.runs)

    (delivery,) = await bench.deliveries.of_batch(2)
    assert [one["batch_id"] for one in lines if one["event"] == logs.SEND_STOPPED] == [2]
    assert delivery.status is DeliveryStatus.DELIVERING


async def test_the_apps_end_begins_no_run_that_nobody_would_wait_for(bench: Bench) -> None:
    bench.accounting.gate.clear()
    async with bench.client() as client:
        for key in (1, 2):
            await create(client, key)
            await client.post(URL, headers={"Prefer": "respond-async"})
        await until(lambda: bench.accounting.runs and len(bench.files.contents) == 2)
        asyncio.get_running_loop().call_later(0.05, bench.accounting.gate.set)

    (first,) = await bench.deliveries.of_batch(2)
    (second,) = await bench.deliveries.of_batch(3)
    assert first.status is DeliveryStatus.DELIVERED
    assert (second.status, second.attempts) == (DeliveryStatus.WRITTEN, 0)
    assert "about to end" in second.error
    assert set(bench.accounting.booked) == {"AC1"}


async def test_a_fault_after_the_caller_has_gone_is_logged(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, client: httpx.AsyncClient
) -> None:
    may_fail = asyncio.Event()

    async def write(*_: object) -> object:
        await may_fail.wait()
        raise RuntimeError("out of order")

    monkeypatch.setattr(bench.files, "write", write)
    await create(client, 1)
    with capture_logs() as lines:
        await client.post(URL, headers={"Prefer": "respond-async"})
        may_fail.set()
        await until(lambda: "sends_under_way 0.0" in bench.metrics.render().decode())

    assert [one["batch_id"] for one in lines if one["event"] == logs.SEND_FAILED] == [2]


async def test_sends_are_counted(client: httpx.AsyncClient, bench: Bench) -> None:
    bench.accounting.refusals = {"AC2": "quantity: must be positive"}
    await create(client, 1, 2, 3)
    await client.post(URL)
    text = (await client.get("/metrics")).text

    assert "globeco_allocation_batches_claimed_total 1.0" in text
    assert 'globeco_allocation_deliveries_total{status="partial"} 1.0' in text
    assert 'globeco_allocation_delivery_records_total{result="accepted"} 2.0' in text
    assert 'globeco_allocation_delivery_records_total{result="rejected"} 1.0' in text
