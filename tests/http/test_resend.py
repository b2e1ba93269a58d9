"""``POST /api/v1/batches/{id}/resend``: what was refused or has failed is delivered again."""

import asyncio
import time
from collections.abc import Sequence

import httpx
import pytest
from tests.dispatch.cluster import several, until
from tests.http.bench import Bench, report

from globeco_allocation.adapters.memory.accounting import Fault
from globeco_allocation.domain.delivery import Delivery
from globeco_allocation.domain.trace_context import TraceContext
from globeco_allocation.entrypoints.http.options import HttpOptions

URL = "/api/v1/batches/2/resend"


async def send(client: httpx.AsyncClient, *keys: int) -> httpx.Response:
    await client.post("/api/v1/executions", json=[report(key) for key in keys])
    return await client.post("/api/v1/executions/send")


@pytest.mark.parametrize("others", [(), (2, 3)], ids=["failed", "partial"])
async def test_a_failed_and_a_partial_batch_are_delivered_again(
    bench: Bench, client: httpx.AsyncClient, others: Sequence[int]
) -> None:
    bench.accounting.refusals = {"AC1": "no such security"}
    sent = await send(client, 1, *others)
    bench.accounting.refusals = {}
    answer = await client.post(URL, headers={"X-Correlation-ID": "again-1"})
    (delivery,) = await bench.cluster.of_batch(2)

    assert sent.status_code == (200 if others else 500)
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["batchId"]) == ("success", 2)
    assert answer.json()["processedCount"] == 1 + len(others)
    assert [attempt for _, attempt in bench.accounting.runs] == [1, 2]
    assert bench.accounting.booked_twice == set()
    assert delivery.requested_by == "again-1"
    assert "globeco_allocation_batches_resent_total 1.0" in bench.metrics.render().decode()


async def test_only_what_has_failed_is_delivered_again() -> None:
    bench = Bench(terms=several(file_max_records=1))
    bench.accounting.refusals = {"AC2": "no such security"}
    async with bench.client() as client:
        await send(client, 1, 2, 3)
        bench.accounting.refusals = {}
        answer = await client.post(URL)

    assert answer.json()["processedCount"] == 3
    assert answer.json()["message"] == "Portfolio Accounting booked every record of the batch: 3."
    assert [attempt for _, attempt in bench.accounting.runs] == [1, 1, 1, 2]


async def test_a_batch_under_way_is_not_sent_again(bench: Bench, client: httpx.AsyncClient) -> None:
    bench.accounting.gate.clear()
    await client.post("/api/v1/executions", json=[report(1)])
    sent = await client.post("/api/v1/executions/send", headers={"Prefer": "respond-async"})
    await until(lambda: bench.accounting.runs)
    answer = await client.post(URL)
    bench.accounting.gate.set()

    assert answer.status_code == 409
    assert answer.json()["message"] == (
        f"The file {sent.json()['fileName']} is delivering: wait for its end."
    )


async def test_a_batch_that_waits_for_its_next_attempt_is_not_sent_again(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.fault = Fault.SERVER_DOWN
    await send(client, 1)

    assert (await client.post(URL)).status_code == 409


async def test_a_batch_whose_files_are_not_all_written_is_not_sent_again(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    await client.post("/api/v1/executions", json=[report(1)])
    await bench.cluster.left_claimed()
    answer = await client.post(URL)

    assert answer.status_code == 409
    assert answer.json()["message"] == "Batch 2 is still under way: not all its files are written."


async def test_of_a_batch_that_is_delivered_or_resolved_nothing_is_sent_again(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    await send(client, 1)
    delivered = await client.post(URL)
    bench.accounting.refusals = {"AC2": "no such security"}
    await send(client, 2)
    await bench.resolutions.resolve_delivery(2, "booked by hand", "ann")
    resolved = await client.post("/api/v1/batches/3/resend")
    empty = await client.post("/api/v1/executions/send")
    of_nothing = await client.post(f"/api/v1/batches/{empty.json()['batchId']}/resend")

    assert [one.status_code for one in (delivered, resolved, of_nothing)] == [409, 409, 409]
    assert delivered.json()["message"].startswith("Batch 2 has no failed or partial delivery")
    assert resolved.json()["message"].startswith("Batch 3 has no failed or partial delivery")


async def test_a_resend_that_fails_again_is_an_error_with_the_fields_in_its_details(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.refusals = {"AC1": "no such security"}
    await send(client, 1)
    answer = await client.post(URL)

    assert answer.status_code == 500
    assert (answer.json()["details"]["status"], answer.json()["details"]["batchId"]) == ("failed", 2)


async def test_a_resend_during_a_stop_is_told_why_it_waits(bench: Bench, client: httpx.AsyncClient) -> None:
    bench.accounting.booked["AC1"] = ("a foreign row",)
    await send(client, 1)
    answer = await client.post(URL)

    assert answer.status_code == 202
    assert "All delivery is stopped until an operator decides" in answer.json()["message"]


@pytest.mark.parametrize(("prefer", "applied"), [("respond-async", "respond-async"), ("wait=1", "wait=1")])
async def test_a_caller_may_choose_how_long_it_waits(
    bench: Bench, client: httpx.AsyncClient, prefer: str, applied: str
) -> None:
    bench.accounting.refusals = {"AC1": "no such security"}
    await send(client, 1)
    bench.accounting.gate.clear()
    started = time.monotonic()
    answer = await client.post(URL, headers={"Prefer": prefer})
    took = time.monotonic() - started
    bench.accounting.gate.set()

    assert answer.status_code == 202
    assert answer.headers["location"] == "/api/v1/batches/2"
    assert answer.headers["preference-applied"] == applied
    assert took < 2


async def test_a_caller_that_hangs_up_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.refusals = {"AC1": "no such security"}
    await send(client, 1)
    bench.accounting.refusals = {}
    resend = bench.deliveries.resend
    asked, may_go_on = asyncio.Event(), asyncio.Event()

    async def slow_resend(batch_id: int, requested_by: str, trace: TraceContext) -> tuple[Delivery, ...]:
        asked.set()
        await may_go_on.wait()
        return await resend(batch_id, requested_by, trace)

    monkeypatch.setattr(bench.deliveries, "resend", slow_resend)
    request = asyncio.create_task(client.post(URL))
    await asked.wait()
    request.cancel()
    await asyncio.wait((request,))
    may_go_on.set()
    await until(bench.cluster.all_delivered)

    assert request.cancelled()


async def test_a_database_that_does_not_answer_in_time_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(options=HttpOptions(send_wait_seconds=0.6), grace_seconds=0)
    bench.accounting.refusals = {"AC1": "no such security"}

    async def never(*_: object) -> object:
        await asyncio.Event().wait()
        raise AssertionError

    async with bench.client() as client:
        await client.post("/api/v1/executions", json=[report(1)])
        await client.post("/api/v1/executions/send", headers={"Prefer": "wait=5"})
        monkeypatch.setattr(bench.deliveries, "resend", never)
        answer = await client.post(URL)

    assert answer.status_code == 503
    assert "look at the batch before you ask again" in answer.json()["message"]


async def test_of_many_resends_at_once_one_is_taken(bench: Bench, client: httpx.AsyncClient) -> None:
    bench.accounting.refusals = {"AC1": "no such security"}
    await send(client, 1)
    bench.accounting.refusals = {}
    answers = await asyncio.gather(*(client.post(URL) for _ in range(20)))

    assert sorted(one.status_code for one in answers) == [200] + [409] * 19
    assert [attempt for _, attempt in bench.accounting.runs] == [1, 2]
