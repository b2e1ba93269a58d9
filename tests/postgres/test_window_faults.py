"""Races between creators and senders, played step by step, with the window functions whole and broken.

Whole, they lose nothing. Each fault planted in them loses an execution in its race, so the races are sharp.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from globeco_allocation.adapters.postgres import batch_contents
from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.execution_rows import to_columns
from globeco_allocation.adapters.postgres.pool import open_pool
from globeco_allocation.domain import AllocatedExecution, Batch, ClaimTerms, Holder

Session = Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]

KEY = 1
KEEP = "SELECT id FROM keep_executions($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17)"
HOUR = timedelta(hours=1)


@dataclass
class Stage:
    """A creator and a blocker, each with a session of its own, and a sender that reads what it claims."""

    creator: asyncpg.Connection
    blocker: asyncpg.Connection
    batches: PostgresBatches
    allocated: AllocatedExecution
    step_clock: Callable[[timedelta], None]

    async def keep(self) -> None:
        """Keep the execution, in a transaction that stays open."""
        await self.creator.execute("BEGIN")
        await self.creator.fetch(KEEP, *to_columns([self.allocated]))

    async def send(self) -> list[int]:
        """Claim the next window and read it, as for its file."""
        leased = await self.batches.claim(await self.batches.last_start(), ClaimTerms(), Holder("here"))
        return await self.read(leased.batch)

    async def read(self, batch: Batch) -> list[int]:
        async with self.batches.executions(batch) as executions:
            return [execution.execution_service_id async for execution in executions]

    async def until_waiting(self, *waiting: asyncio.Task[Any]) -> None:
        """Wait until each of these waits for the lock, or has ended."""
        async with asyncio.timeout(5):
            while True:
                if await self._waiting() >= sum(not task.done() for task in waiting):
                    return
                await asyncio.sleep(0.005)

    async def _waiting(self) -> int:
        sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return await self.blocker.fetchval(sql)


Race = Callable[[Stage], Awaitable[list[int]]]
"""It returns the executions of its files, one after the other, as they were read when the files were made."""


async def a_sender_comes_first(stage: Stage) -> list[int]:
    """Both wait for the lock; the sender has it first, and reads before the creator commits."""
    await stage.blocker.execute("BEGIN")
    await stage.blocker.execute("SELECT pg_advisory_xact_lock(window_lock_key())")
    sending = asyncio.create_task(stage.send())
    await stage.until_waiting(sending)
    keeping = asyncio.create_task(stage.keep())
    await stage.until_waiting(sending, keeping)
    await stage.blocker.execute("ROLLBACK")
    first = await sending
    await keeping
    await stage.creator.execute("COMMIT")
    return first + await stage.send()


async def the_clock_steps_back_behind_a_sender(stage: Stage) -> list[int]:
    """A creator waits for a sender that has claimed; before the sender commits, the clock steps back."""
    last_start = await stage.batches.last_start()
    await stage.blocker.execute("BEGIN")
    row = await stage.blocker.fetchrow(
        "SELECT start_time FROM claim_batch($1, 'quantity', 1, 1, '')", last_start
    )
    keeping = asyncio.create_task(stage.keep())
    await stage.until_waiting(keeping)
    stage.step_clock(-HOUR)
    await stage.blocker.execute("COMMIT")
    await keeping
    assert row is not None
    window = "ready_to_send_timestamp >= $1 AND ready_to_send_timestamp < $2"
    first = await stage.blocker.fetch(
        f"SELECT execution_service_id FROM execution WHERE {window}", last_start, row["start_time"]
    )
    await stage.creator.execute("COMMIT")
    return [one["execution_service_id"] for one in first] + await stage.send()


async def a_creator_is_slow_to_commit(stage: Stage) -> list[int]:
    """A sender comes while a creator has stamped but not committed."""
    await stage.keep()
    sending = asyncio.create_task(stage.send())
    await stage.until_waiting(sending)
    await stage.creator.execute("COMMIT")
    return await sending + await stage.send()


async def the_clock_steps_back_behind_a_creator(stage: Stage) -> list[int]:
    """A creator has stamped and committed; then the clock steps back, and senders come."""
    await stage.keep()
    await stage.creator.execute("COMMIT")
    stage.step_clock(-HOUR)
    return await stage.send() + await stage.send()


async def a_stamp_stands_on_the_seam(stage: Stage) -> list[int]:
    """The clock steps back behind a batch, so that the next stamp is the batch's very start."""
    first = await stage.send()
    stage.step_clock(-HOUR)
    await stage.keep()
    await stage.creator.execute("COMMIT")
    return first + await stage.send()


RACES = [
    a_sender_comes_first,
    the_clock_steps_back_behind_a_sender,
    a_creator_is_slow_to_commit,
    the_clock_steps_back_behind_a_creator,
    a_stamp_stands_on_the_seam,
]

SHARED_LOCK = "PERFORM pg_advisory_xact_lock_shared(window_lock_key());"
LOCK = "PERFORM pg_advisory_xact_lock(window_lock_key());"
STAMP = "stamp := greatest(clock_timestamp(), last_start);"
FIND_STAMP = "SELECT greatest(clock_timestamp(), max(start_time)) INTO stamp FROM batch_history"


@dataclass(frozen=True)
class Fault:
    """A change to the text of a window function, and the race in which it shows."""

    function: str
    changes: dict[str, str]
    race: Race


FAULTS = {
    "a stamp from before the lock": Fault(
        "keep_executions", {SHARED_LOCK: f"{FIND_STAMP}; {SHARED_LOCK}", STAMP: ""}, a_sender_comes_first
    ),
    "a stamp beside the lock": Fault(
        "keep_executions",
        {SHARED_LOCK: FIND_STAMP.replace(" INTO", f", {SHARED_LOCK[8:-1]} INTO") + ";", STAMP: ""},
        a_sender_comes_first,
    ),
    "a last start from the statement that takes the lock": Fault(
        "keep_executions",
        {SHARED_LOCK: f"{FIND_STAMP}, (SELECT {SHARED_LOCK[8:-1]}) AS locked;", STAMP: ""},
        the_clock_steps_back_behind_a_sender,
    ),
    "a stamp by the clock alone": Fault(
        "keep_executions", {STAMP: "stamp := clock_timestamp();"}, the_clock_steps_back_behind_a_sender
    ),
    "a creator without the lock": Fault("keep_executions", {SHARED_LOCK: ""}, a_creator_is_slow_to_commit),
    "a sender without the lock": Fault("claim_batch", {LOCK: ""}, a_creator_is_slow_to_commit),
    "a start without the newest stamp": Fault(
        "claim_batch", {", newest_ready + tick": ""}, the_clock_steps_back_behind_a_creator
    ),
}


@pytest.fixture
async def stage(
    database: DatabaseAddress,
    session: Session,
    step_database_clock: Callable[[timedelta], None],
    allocate: Callable[..., AllocatedExecution],
) -> AsyncGenerator[Stage]:
    async with session() as creator, session() as blocker, open_pool(database) as pool:
        yield Stage(creator, blocker, PostgresBatches(pool), allocate(KEY), step_database_clock)


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
async def test_a_race_puts_the_execution_into_one_file(stage: Stage, race: Race) -> None:
    sent = await race(stage)

    assert sent == [KEY]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_broken_window_function_loses_the_execution(stage: Stage, fault: Fault) -> None:
    source: str = await stage.blocker.fetchval("SELECT pg_get_functiondef($1::text::regproc)", fault.function)
    for whole, broken in fault.changes.items():
        assert whole in source
        source = source.replace(whole, broken)
    await stage.blocker.execute(source)

    sent = await fault.race(stage)

    assert sent == []


async def test_a_window_that_opens_too_late_loses_the_execution_on_its_seam(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = vars(batch_contents)["_EXECUTIONS"]
    monkeypatch.setattr(batch_contents, "_EXECUTIONS", whole.replace(">= $1", "> $1"))

    sent = await a_stamp_stands_on_the_seam(stage)

    assert sent == []
