"""``POST /api/v1/executions/send`` (design, "Send")."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.dispatch.cluster import QUICK, several, until
from tests.http.bench import Bench, one_portfolio_each, report

from globeco_allocation.adapters.memory.accounting import Fault
from globeco_allocation.domain.delivery import DeliveryStatus
from globeco_allocation.domain.lane import lane_of
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.http.options import HttpOptions
from globeco_allocation.ports.batches import LeasedBatch

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
async def test_a_first_attempt_that_failed_is_an_error_that_tells_when_the_next_one_is_due(
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
    assert body["message"].endswith(". It is tried again at 15:00:05 UTC.")


async def test_a_send_that_failed_for_good_is_an_error_that_names_the_resend(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.refusals = {"AC1": "quantity: must be positive"}
    await create(client, 1)
    answer = await client.post(URL)

    assert answer.status_code == 500
    assert answer.json()["message"] == (
        "0 of 1 records booked, 1 refused (such as: quantity: must be positive). The service does not try it "
        "again by itself: send it again with POST /api/v1/batches/2/resend."
    )


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


@pytest.mark.parametrize("lanes", [1, 3])
async def test_a_file_that_cannot_be_written_is_an_error_with_the_reason_at_once(
    monkeypatch: pytest.MonkeyPatch, lanes: int
) -> None:
    bench = Bench(terms=several(lanes=lanes))
    claim = bench.batches.claim

    async def claim_and_fill_up(*args: Any) -> LeasedBatch:  # noqa: ANN401 - as the twin takes them
        bench.files.failure = "no space is left"
        return await claim(*args)

    monkeypatch.setattr(bench.batches, "claim", claim_and_fill_up)
    bench.portfolios.portfolios = one_portfolio_each(*range(1, 13))
    async with bench.client() as client:
        await create(client, *range(1, 13))
        started = time.monotonic()
        answer = await client.post(URL)
        took = time.monotonic() - started

    assert answer.status_code == 500
    assert "no space is left" in answer.json()["message"]
    assert answer.json()["message"].endswith("It is tried again in a moment.")
    assert answer.json()["details"]["batchId"] == 2
    assert answer.json()["details"]["processedCount"] == 12
    assert bench.accounting.runs == []
    assert took < 4


async def test_a_fault_of_our_own_says_nothing_of_what_happened_inside(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, client: httpx.AsyncClient
) -> None:
    async def claim(*_: object) -> object:
        raise RuntimeError("SELECT secret FROM /var/lib")

    monkeypatch.setattr(bench.batches, "claim", claim)
    await create(client, 1)
    with capture_logs() as lines:
        answer = await client.post(URL)

    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert [one["event"] for one in lines if one["log_level"] == "error"] == [logs.REQUEST_FAILED]


async def test_a_batch_whose_writing_fails_by_our_fault_goes_on_later_and_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(options=HttpOptions(send_wait_seconds=0.7))

    async def plan(*_: object) -> object:
        raise RuntimeError("SELECT secret FROM /var/lib")

    monkeypatch.setattr(bench.batches, "plan", plan)
    async with bench.client() as client:
        await create(client, 1)
        answer = await client.post(URL)

    assert answer.status_code == 202
    assert answer.json()["batchId"] == 2
    assert answer.json()["message"] == "The batch is claimed and waits for its turn."


async def test_of_several_files_the_first_is_named_all_are_counted_and_the_worst_wins() -> None:
    bench = Bench(terms=several(lanes=3, file_max_records=2))
    bench.portfolios.portfolios = one_portfolio_each(*range(24))
    async with bench.client() as client:
        await create(client, *range(1, 13))
        booked = (await client.post(URL)).json()
        files = sorted(bench.files.contents)
        bench.accounting.refusals = {"AC13": "quantity: must be positive"}
        await create(client, *range(13, 24))
        refused = (await client.post(URL)).json()

    assert len(files) > 3
    assert (booked["status"], booked["processedCount"], booked["fileName"]) == ("success", 12, files[0])
    assert booked["message"] == "Portfolio Accounting booked every record of the batch: 12."
    assert (refused["status"], refused["processedCount"]) == ("partial", 11)
    assert refused["message"] == "1 of 2 records booked, 1 refused (such as: quantity: must be positive)."


async def test_one_failed_file_makes_the_send_an_error_and_the_others_are_delivered() -> None:
    bench = Bench(terms=several(lanes=3))
    lanes = {key: lane_of(f"P-{key % 12}", 3) for key in range(1, 13)}
    bench.portfolios.portfolios = one_portfolio_each(*lanes)
    bench.accounting.lost_answers = {f"AC{key}" for key, lane in lanes.items() if lane == 1}
    async with bench.client() as client:
        await create(client, *lanes)
        answer = await client.post(URL)

    assert answer.status_code == 500
    assert answer.json()["details"]["processedCount"] == 12
    assert "It is tried again at 15:00:05 UTC" in answer.json()["message"]
    assert sorted(bench.cluster.statuses()) == ["delivered", "delivered", "delivering"]


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


async def test_a_send_behind_an_earlier_batch_is_told_so_and_is_delivered_after_it() -> None:
    bench = Bench(options=HttpOptions(send_wait_seconds=0.7))
    bench.accounting.gate.clear()
    async with bench.client() as client:
        await create(client, 1)
        await client.post(URL, headers={"Prefer": "respond-async"})
        await create(client, 2)
        answer = await client.post(URL)
        bench.accounting.gate.set()
        await until(bench.cluster.all_delivered)

    assert answer.status_code == 202
    assert answer.json()["message"] == (
        "The file is written and waits for its accounting run; earlier batches go first."
    )


async def test_a_collision_stops_later_sends_at_written_and_they_are_told_why(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.booked["AC1"] = ("a foreign row",)
    await create(client, 1)
    collided = await client.post(URL)
    await create(client, 2)
    started = time.monotonic()
    stopped = await client.post(URL)
    took = time.monotonic() - started
    await bench.resolutions.clear_stop("an empty database", "a test")
    await create(client, 3)
    afterwards = await client.post(URL)

    stop = "All delivery is stopped until an operator decides (globeco-allocation batches resolve)"
    assert collided.status_code == 500
    assert collided.json()["message"].endswith(f"{stop}.")
    assert stopped.status_code == 202
    assert stopped.headers["location"] == "/api/v1/batches/3"
    assert stopped.json()["message"].startswith(f"The file is written. {stop}: ")
    assert took < 4
    assert afterwards.status_code == 200
    assert bench.cluster.statuses(3) == [DeliveryStatus.DELIVERED]


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


async def test_when_the_database_goes_away_later_the_answer_names_the_claimed_batch() -> None:
    bench = Bench(options=HttpOptions(send_wait_seconds=0.7))
    bench.accounting.gate.clear()
    async with bench.client() as client:
        await create(client, 1)
        request = asyncio.create_task(client.post(URL))
        await until(lambda: bench.accounting.runs)
        bench.database.available = False
        bench.accounting.gate.set()
        answer = await request

    assert answer.status_code == 202
    assert answer.headers["location"] == "/api/v1/batches/2"
    assert answer.json()["message"].endswith(
        "The database cannot be asked just now: it may be further than that."
    )


async def test_a_database_that_comes_back_in_time_spoils_nothing() -> None:
    bench = Bench(rests=QUICK)
    bench.accounting.gate.clear()
    async with bench.client() as client:
        await create(client, 1)
        request = asyncio.create_task(client.post(URL))
        await until(lambda: bench.accounting.runs)
        bench.database.available = False
        bench.accounting.gate.set()
        await until(lambda: 'result="store_away"' in bench.metrics.render().decode())
        bench.database.available = True
        bench.cluster.let_leases_run_out()
        answer = await request

    assert (answer.status_code, answer.json()["status"]) == (200, "success")
    assert len(bench.accounting.runs) == 1


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
    assert answer.json()["message"] == (
        "The batch was not claimed in time; what is ready goes out with this send or the next one."
    )


@pytest.mark.parametrize("at", ["claim", "run"])
async def test_a_caller_that_hangs_up_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, client: httpx.AsyncClient, at: str
) -> None:
    may_claim = asyncio.Event()
    claim = bench.batches.claim

    async def slow_claim(*args: Any) -> LeasedBatch:  # noqa: ANN401 - as the twin takes them
        await may_claim.wait()
        return await claim(*args)

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


async def test_as_many_batches_as_senders_may_wait_for_being_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(send_limit=2)
    may_write = asyncio.Event()
    plan = bench.batches.plan

    async def slow_plan(*args: Any) -> object:  # noqa: ANN401 - as the twin takes them
        await may_write.wait()
        return await plan(*args)

    monkeypatch.setattr(bench.batches, "plan", slow_plan)
    async with bench.client() as client:
        answers = [await client.post(URL, headers={"Prefer": "respond-async"}) for _ in range(3)]
        may_write.set()

    assert [one.status_code for one in answers] == [202, 202, 503]


async def test_when_the_service_is_about_to_end_waiting_senders_are_told_how_far_they_are(
    bench: Bench,
) -> None:
    bench.accounting.gate.clear()
    app = bench.app()
    async with bench.client(app) as client:
        await create(client, 1)
        request = asyncio.create_task(client.post(URL, headers={"Prefer": "wait=55"}))
        await until(lambda: bench.accounting.runs)
        app.drain()
        async with asyncio.timeout(5):
            answer = await request

    assert answer.status_code == 202
    assert answer.headers["location"] == "/api/v1/batches/2"
    assert answer.headers["connection"] == "close"


async def test_the_apps_end_leaves_runs_alone_and_the_next_one_goes_on(bench: Bench) -> None:
    bench.accounting.gate.clear()
    async with bench.client() as client:
        for key in (1, 2):
            await create(client, key)
            await client.post(URL, headers={"Prefer": "respond-async"})
        await until(lambda: bench.accounting.runs and len(bench.files.contents) == 2)
    at_the_end = bench.cluster.statuses()
    bench.accounting.gate.set()
    async with bench.client():
        await until(bench.cluster.all_delivered)

    assert at_the_end == [DeliveryStatus.DELIVERING, DeliveryStatus.WRITTEN]
    assert len(bench.accounting.runs) == 2


async def test_a_claim_that_fails_after_its_caller_has_gone_is_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(options=HttpOptions(send_wait_seconds=0.6))
    may_fail = asyncio.Event()

    async def claim(*_: object) -> object:
        await may_fail.wait()
        raise RuntimeError("out of order")

    monkeypatch.setattr(bench.batches, "claim", claim)
    with capture_logs() as lines:
        async with bench.client() as client:
            answer = await client.post(URL)
            may_fail.set()

    assert answer.status_code == 503
    assert [one["event"] for one in lines if one["log_level"] == "error"] == [logs.WORK_FAILED]


async def test_sends_are_counted(client: httpx.AsyncClient, bench: Bench) -> None:
    bench.accounting.refusals = {"AC2": "quantity: must be positive"}
    await create(client, 1, 2, 3)
    await client.post(URL)
    text = (await client.get("/metrics")).text

    assert "globeco_allocation_batches_claimed_total 1.0" in text
    assert 'globeco_allocation_deliveries_total{runner="subprocess",status="partial"} 1.0' in text
    assert 'globeco_allocation_delivery_records_total{result="accepted"} 2.0' in text
    assert 'globeco_allocation_delivery_records_total{result="rejected"} 1.0' in text
