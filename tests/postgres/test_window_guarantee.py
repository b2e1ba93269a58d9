"""Many creators and senders at once, in several processes: every execution is in exactly one batch."""

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.execution_rows import to_columns
from globeco_allocation.adapters.postgres.executions import PostgresExecutions
from globeco_allocation.adapters.postgres.pool import Pool, open_pool
from globeco_allocation.domain import (
    FIRST_START,
    AllocatedExecution,
    Batch,
    ClaimTerms,
    Holder,
    StoreUnavailableError,
    Window,
)

Allocate = Callable[..., AllocatedExecution]
Pooled = Callable[[DatabaseAddress], AbstractAsyncContextManager[DatabaseAddress]]
Session = Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]

KEEP = "SELECT id FROM keep_executions($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17)"
WAITING = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
TRAFFIC = Path(__file__).with_name("window_traffic.py")
SECONDS = 4
LOCK_SECONDS, IDLE_SECONDS, SLACK = 2.0, 5.0, 1.5


@pytest.fixture
async def pool(database: DatabaseAddress) -> AsyncGenerator[Pool]:
    async with open_pool(database) as pool:
        yield pool


async def run_traffic(address: DatabaseAddress, first_key: int) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(TRAFFIC),
        json.dumps(asdict(address)),
        str(SECONDS),
        str(first_key),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    return json.loads(printed)


async def claim_next(batches: PostgresBatches) -> Batch:
    return (await batches.claim(await batches.last_start(), ClaimTerms(), Holder("here"))).batch


async def keys_in(batches: PostgresBatches, batch: Batch) -> list[int]:
    async with batches.executions(batch) as executions:
        return [execution.execution_service_id async for execution in executions]


async def claimed_batches(pool: Pool) -> list[Batch]:
    rows = await pool.fetch(
        "SELECT id, previous_start_time, start_time"
        "  FROM batch_history JOIN batch_claim ON batch_id = id ORDER BY id"
    )
    return [
        Batch(row["id"], Window(row["previous_start_time"], row["start_time"]), ClaimTerms()) for row in rows
    ]


async def until_somebody_waits(pool: Pool) -> None:
    while True:
        if await pool.fetch(WAITING):
            return
        await asyncio.sleep(0.005)


@pytest.fixture(params=["direct", "pooler"])
async def way(
    request: pytest.FixtureRequest, database: DatabaseAddress, behind_a_pooler: Pooled
) -> AsyncGenerator[DatabaseAddress]:
    """The database, and again behind a pooler with far fewer sessions than there are creators and senders."""
    if request.param == "direct":
        yield database
    else:
        async with behind_a_pooler(database) as pooled:
            yield pooled


async def test_every_execution_of_a_busy_time_is_in_exactly_one_batch(
    way: DatabaseAddress, pool: Pool
) -> None:
    processes = await asyncio.gather(run_traffic(way, 1_000), run_traffic(way, 1_000_000))
    batches = PostgresBatches(pool)
    last = await claim_next(batches)
    claimed = await claimed_batches(pool)
    files = {batch.id: await keys_in(batches, batch) for batch in claimed}

    kept = {key for process in processes for key in process["kept"]}
    read = {int(batch): keys for process in processes for batch, keys in process["read"].items()}
    assert Counter(key for keys in files.values() for key in keys) == Counter(kept)
    assert files == read | {last.id: files[last.id]}
    seams = [FIRST_START, *(batch.start for batch in claimed)]
    assert [batch.window.previous_start for batch in claimed] == seams[:-1]
    assert len(kept) > 200
    assert sum(len(keys) > 0 for keys in files.values()) > 20


async def test_a_creator_that_is_paused_stalls_nobody_for_long(
    pool: Pool, session: Session, allocate: Allocate
) -> None:
    executions, batches = PostgresExecutions(pool), PostgresBatches(pool)
    keys = itertools.count(2)
    waits: list[float] = []

    async def keep_one() -> None:
        began = time.monotonic()
        await executions.keep([allocate(next(keys))])
        waits.append(time.monotonic() - began)

    async with session() as paused, asyncio.timeout(IDLE_SECONDS + LOCK_SECONDS + SLACK):
        await paused.execute("BEGIN")
        await paused.fetch(KEEP, *to_columns([allocate(1)]))
        began = time.monotonic()

        # A sender waits for the paused creator, the others behind the sender; none for longer than it may.
        sending = asyncio.create_task(claim_next(batches))
        await until_somebody_waits(pool)
        await keep_one()
        with pytest.raises(StoreUnavailableError):
            await sending
        refused_after = time.monotonic() - began

        # Without a sender, nobody waits, until the server has ended the paused transaction.
        while not paused.is_closed():
            await keep_one()
        ended_after = time.monotonic() - began
        batch = await claim_next(batches)

    assert abs(refused_after - LOCK_SECONDS) < SLACK
    assert abs(ended_after - IDLE_SECONDS) < SLACK
    assert max(waits) < LOCK_SECONDS + SLACK
    assert sorted(waits)[len(waits) // 2] < 0.1
    assert await keys_in(batches, batch) == list(range(2, next(keys)))
    await executions.keep([allocate(1)])
    assert await keys_in(batches, await claim_next(batches)) == [1]
