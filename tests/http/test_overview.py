"""What an operator sees at a glance: true, bounded, looked up once, and sent only while it is new."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx
from tests.http.bench import Bench, report

from globeco_allocation.domain.backlog import Outstanding
from globeco_allocation.domain.errors import StoreUnavailableError
from globeco_allocation.entrypoints.overviews import NEWEST_BATCHES, TROUBLED_BATCHES, Ages
from globeco_allocation.ports.activity import Stretches

OVERVIEW = "/api/v1/overview"


async def overview(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get(OVERVIEW)
    assert answer.status_code == 200
    return answer.json()


async def post(client: httpx.AsyncClient, *keys: int) -> None:
    await client.post("/api/v1/executions", json=[report(key) for key in keys])


def watch_counting(bench: Bench) -> list[Stretches]:
    """Return a list that each question for ready executions will be put on."""
    asked: list[Stretches] = []
    became_ready = bench.activity.became_ready

    async def watched(stretches: Stretches, *, most: int) -> Mapping[datetime, int]:
        asked.append(stretches)
        return await became_ready(stretches, most=most)

    bench.activity.became_ready = watched
    return asked


async def test_before_anything_happened_everything_is_nothing(client: httpx.AsyncClient) -> None:
    told = await overview(client)

    nothing = {"count": 0, "oldest": None}
    for kind in ("executions", "pending", "inError", "batches"):
        assert told["waiting"][kind] == nothing
    for kind in ("deliveries", "unresolved"):
        assert told["waiting"][kind] == nothing | {"recordCount": 0}
    assert (told["batches"], told["stopped"], told["executionMode"]) == ([], None, "subprocess")
    assert len(told["halfHours"]) == 49


async def test_what_is_ready_waits_until_it_is_sent(bench: Bench, client: httpx.AsyncClient) -> None:
    ready = bench.clock.now()
    await post(client, 1, 2, 3)
    before = await overview(client)
    await client.post("/api/v1/executions/send")
    after = await overview(client)

    assert before["waiting"]["executions"]["count"] == 3
    assert datetime.fromisoformat(before["waiting"]["executions"]["oldest"]) == ready
    assert after["waiting"]["executions"] == {"count": 0, "oldest": None}
    (batch,) = after["batches"]
    assert (batch["status"], batch["recordCount"], batch["acceptedCount"]) == ("delivered", 3, 3)
    assert (batch["attempts"], batch["errors"]) == (1, [])


async def test_the_last_half_hour_is_the_one_under_way(bench: Bench, client: httpx.AsyncClient) -> None:
    await post(client, 1, 2)
    bench.clock.step(timedelta(minutes=30))
    await post(client, 3)
    await client.post("/api/v1/executions/send")

    *_, before, now = (await overview(client))["halfHours"]

    assert (before["readyCount"], before["batchCount"], before["bookedCount"]) == (2, 0, 0)
    assert (now["readyCount"], now["batchCount"], now["bookedCount"]) == (1, 1, 3)
    begun = datetime.fromisoformat(now["start"])
    assert begun <= bench.clock.now() < begun + timedelta(minutes=30)
    assert begun.minute in {0, 30}


async def test_what_is_over_is_counted_once(bench: Bench, client: httpx.AsyncClient) -> None:
    await post(client, 1, 2)
    bench.clock.step(timedelta(minutes=65))
    first = await overview(client)
    asked = watch_counting(bench)
    second = await overview(client)

    assert second == first
    assert sum(one["readyCount"] for one in second["halfHours"]) == 2
    (stretches,) = asked
    assert stretches.until - stretches.since == timedelta(minutes=30)


async def test_a_page_that_has_it_is_not_sent_it_again(client: httpx.AsyncClient) -> None:
    first = await client.get(OVERVIEW)
    tag = first.headers["etag"]

    same = await client.get(OVERVIEW, headers={"If-None-Match": f'"another", W/{tag}'})
    await post(client, 1)
    other = await client.get(OVERVIEW, headers={"If-None-Match": tag})

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert "content-length" not in same.headers
    assert first.headers["cache-control"] == "no-store"
    assert other.status_code == 200
    assert other.headers["etag"] != tag


async def test_many_who_ask_at_once_cost_one_look(bench: Bench) -> None:
    bench.ages = Ages(overview=60, chart=60)
    looks = 0
    look = bench.backlog.look

    async def counted() -> Outstanding:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0)
        return await look()

    bench.backlog.look = counted
    async with bench.client() as client:
        answers = await asyncio.gather(*(client.get(OVERVIEW) for _ in range(50)))
        answers.append(await client.get(OVERVIEW))

    assert {one.status_code for one in answers} == {200}
    assert looks == 1


async def test_who_hangs_up_spoils_nobody_elses_answer(bench: Bench) -> None:
    gate = asyncio.Event()
    look = bench.backlog.look

    async def slow() -> Outstanding:
        await gate.wait()
        return await look()

    bench.backlog.look = slow
    async with bench.services() as services:
        first = asyncio.create_task(services.overviews.now())
        second = asyncio.create_task(services.overviews.now())
        await asyncio.sleep(0)
        first.cancel()
        gate.set()

        assert (await second).batches == []


async def test_without_a_database_it_says_so_and_recovers(bench: Bench, client: httpx.AsyncClient) -> None:
    bench.database.available = False
    away = await client.get(OVERVIEW)
    bench.database.available = True
    back = await client.get(OVERVIEW)

    assert away.status_code == 503
    assert "database" in away.json()["message"]
    assert back.status_code == 200


async def test_each_of_many_who_wait_is_told_that_the_database_is_away(bench: Bench) -> None:
    bench.database.available = False
    async with bench.services() as services:
        answers = await asyncio.gather(*(services.overviews.now() for _ in range(3)), return_exceptions=True)

    assert all(isinstance(one, StoreUnavailableError) for one in answers)
    assert len({id(one) for one in answers}) == 3


async def test_what_a_person_must_look_at_stays_however_old(bench: Bench) -> None:
    async with bench.client() as client:
        bench.accounting.refusals = {"AC1": "price: <b>too high</b>"}
        await post(client, 1)
        await client.post("/api/v1/executions/send")
        for key in range(2, NEWEST_BATCHES + 4):
            await post(client, key)
            await client.post("/api/v1/executions/send")
        told = await overview(client)

    assert len(told["batches"]) == NEWEST_BATCHES + 1
    assert told["batchCount"] == NEWEST_BATCHES + 3
    oldest = told["batches"][-1]
    assert (oldest["status"], oldest["rejectedCount"]) == ("failed", 1)
    assert "price: <b>too high</b>" in oldest["errors"][0]
    assert told["waiting"]["unresolved"]["count"] == 1
    assert len(told["batches"]) <= NEWEST_BATCHES + TROUBLED_BATCHES
