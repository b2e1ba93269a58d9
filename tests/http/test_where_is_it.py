"""``GET /api/v1/executions/{id}/delivery``: how far one execution is."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.dispatch.cluster import QUICK, until
from tests.http.bench import Bench, report

from globeco_allocation.adapters.memory.accounting import CutOff, Fault
from globeco_allocation.domain.execution import Execution

SEND = "/api/v1/executions/send"
RETRY = timedelta(seconds=5)


async def create(client: httpx.AsyncClient, *keys: int) -> None:
    await client.post("/api/v1/executions", json=[report(key) for key in keys])


async def where(client: httpx.AsyncClient, key: int = 1) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/executions/{key}/delivery")
    assert answer.status_code == 200
    return answer.json()


def stamped(monkeypatch: pytest.MonkeyPatch, bench: Bench, ready: datetime | None) -> None:
    """Let executions have been kept by another program, with this ready stamp."""
    get = bench.executions.get

    async def with_stamp(execution_id: int) -> Execution | None:
        found = await get(execution_id)
        return found and replace(found, ready_to_send_timestamp=ready)

    monkeypatch.setattr(bench.executions, "get", with_stamp)


async def test_what_no_batch_has_claimed_is_waiting(client: httpx.AsyncClient) -> None:
    await create(client, 1)

    assert await where(client) == {
        "executionId": 1,
        "sourceId": "AC1",
        "status": "waiting",
        "batchId": None,
        "fileName": None,
        "lane": None,
        "part": None,
        "attempts": None,
        "reject": None,
        "resolution": None,
    }


async def test_what_has_no_ready_stamp_is_never_ready(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, client: httpx.AsyncClient
) -> None:
    await create(client, 1)
    stamped(monkeypatch, bench, None)

    assert (await where(client))["status"] == "never ready"


async def test_what_another_program_has_sent_is_foreign(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, client: httpx.AsyncClient
) -> None:
    await create(client, 1)
    stamped(monkeypatch, bench, datetime(1900, 1, 1, 12, tzinfo=UTC))
    found = await where(client)

    assert (found["status"], found["batchId"], found["fileName"]) == ("foreign", 1, None)


async def test_what_is_claimed_and_in_no_file_yet_is_claimed(bench: Bench, client: httpx.AsyncClient) -> None:
    await create(client, 1)
    await bench.cluster.left_claimed()
    found = await where(client)

    assert (found["status"], found["batchId"], found["fileName"]) == ("claimed", 2, None)


async def test_what_waits_in_its_file_is_written() -> None:
    async with Bench(with_cli=False).client() as client:
        await create(client, 1)
        sent = (await client.post(SEND)).json()
        found = await where(client)

    assert (found["status"], found["batchId"], found["fileName"]) == ("written", 2, sent["fileName"])
    assert (found["lane"], found["part"], found["attempts"]) == (0, 0, 0)


async def test_what_is_on_its_way_is_delivering(bench: Bench, client: httpx.AsyncClient) -> None:
    bench.accounting.gate.clear()
    await create(client, 1)
    request = asyncio.create_task(client.post(SEND))
    await until(lambda: bench.accounting.runs)
    found = await where(client)
    bench.accounting.gate.set()
    await request

    assert (found["status"], found["attempts"]) == ("delivering", 1)


async def test_what_is_booked_is_delivered_whatever_became_of_others(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.refusals = {"AC2": "no such security"}
    await create(client, 1, 2)
    await client.post(SEND)
    booked, refused = await where(client, 1), await where(client, 2)

    assert (booked["status"], booked["reject"]) == ("delivered", None)
    assert refused["status"] == "refused"
    assert refused["reject"] == {"sourceId": "AC2", "verdict": "refused", "reason": "no such security"}


async def test_what_is_stored_without_being_booked_is_named_so(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.unbookable = {"AC1"}
    await create(client, 1, 2)
    await client.post(SEND)

    assert (await where(client))["status"] == "not_booked"
    assert (await where(client, 2))["status"] == "delivered"


async def test_what_was_in_flight_when_a_run_was_cut_off_is_unconfirmed(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.cut_off = CutOff(after=1, one_in_flight=True)
    await create(client, 1, 2, 3)
    await client.post(SEND)
    bench.accounting.cut_off = None
    bench.clock.step(RETRY)
    async with bench.cluster.replica():
        await until(lambda: bench.cluster.statuses() == ["partial"])
    found = [(await where(client, key))["status"] for key in (1, 2, 3)]

    assert found == ["delivered", "unconfirmed", "delivered"]


async def test_what_is_not_known_after_all_attempts_is_unknown(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.fault = Fault.EXIT_1
    await create(client, 1)
    await client.post(SEND)
    async with bench.cluster.replica(QUICK):
        await until(lambda: _time_passes(bench) and bench.cluster.statuses() == ["failed"])

    assert (await where(client))["status"] == "unknown"


async def test_what_an_operator_settled_is_resolved_and_the_others_are_delivered(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.accounting.refusals = {"AC1": "no such security", "AC2": "no such security"}
    await create(client, 1, 2, 3)
    await client.post(SEND)
    await bench.resolutions.resolve_record(1, "AC1", "booked by hand", "ann")
    half = [(await where(client, key))["status"] for key in (1, 2, 3)]
    await bench.resolutions.resolve_delivery(1, "never mind", "bob")
    whole = [await where(client, key) for key in (1, 2, 3)]

    assert half == ["resolved", "refused", "delivered"]
    assert [one["status"] for one in whole] == ["resolved", "resolved", "delivered"]
    assert whole[1]["resolution"] == {
        "sourceId": None,
        "reason": "never mind",
        "resolvedBy": "bob",
        "resolved": "2026-03-02T15:00:00Z",
    }
    assert whole[1]["reject"]["reason"] == "no such security"


def _time_passes(bench: Bench) -> bool:
    bench.clock.step(RETRY)
    return True


@pytest.mark.parametrize(("key", "status"), [("4711", 404), (str(2**63), 404), ("-1", 404), ("x", 400)])
async def test_what_is_no_execution_of_ours_is_an_error(
    client: httpx.AsyncClient, key: str, status: int
) -> None:
    answer = await client.get(f"/api/v1/executions/{key}/delivery")

    assert answer.status_code == status
    assert set(answer.json()) - {"details"} == {"message", "status", "timestamp"}


async def test_without_the_database_it_cannot_be_told(bench: Bench, client: httpx.AsyncClient) -> None:
    await create(client, 1)
    bench.database.available = False

    assert (await client.get("/api/v1/executions/1/delivery")).status_code == 503
