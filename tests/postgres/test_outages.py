"""The database goes away, or answers no more: every use says so within its bounds, and heals by itself."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import replace
from typing import Protocol

import asyncpg
import psycopg
import pytest

from globeco_allocation.adapters.postgres.address import DatabaseAddress, Pooler
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.bounds import Bounds
from globeco_allocation.adapters.postgres.executions import PostgresExecutions
from globeco_allocation.adapters.postgres.pool import Pool, open_pool
from globeco_allocation.domain import AllocatedExecution, Batch, ClaimTerms, Holder, StoreUnavailableError

Allocate = Callable[..., AllocatedExecution]
Pooled = Callable[[DatabaseAddress], AbstractAsyncContextManager[DatabaseAddress]]
Session = Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]

BOUNDS = Bounds(acquire=0.5, statement=0.3, lock=0.2, idle=0.2, stream_idle=10, close=0.3)


class Relay(Protocol):
    """A way to the database that can be closed, or fall silent, and be opened again; or be slow."""

    seconds: float

    @property
    def address(self) -> DatabaseAddress: ...

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def fall_silent(self) -> None: ...

    def speak(self) -> None: ...


@pytest.fixture(params=["direct", "pooler"])
async def pool(
    request: pytest.FixtureRequest, database: DatabaseAddress, behind_a_pooler: Pooled
) -> AsyncGenerator[Pool]:
    async with AsyncExitStack() as stack:
        if request.param == "pooler":
            database = await stack.enter_async_context(behind_a_pooler(database))
        yield await stack.enter_async_context(open_pool(database, bounds=BOUNDS))


@contextmanager
def within(seconds: float) -> Generator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def end_all_sessions(admin: psycopg.Connection, database: DatabaseAddress) -> None:
    admin.execute(
        "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE datname = %s", (database.name,)
    )


async def until_answered(pool: Pool) -> int:
    """Ask until there is an answer; return how often there was none."""
    for refusals in range(20):
        try:
            await pool.ping()
        except StoreUnavailableError:
            continue
        return refusals
    raise AssertionError("the pool did not heal")


async def until_asleep(pool: Pool) -> None:
    """Wait until another session is in ``pg_sleep``."""
    async with asyncio.timeout(5):
        while True:
            if await pool.fetch("SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
                return


async def claim_window_of(pool: Pool, executions: list[AllocatedExecution]) -> Batch:
    batches = PostgresBatches(pool)
    await PostgresExecutions(pool).keep(executions)
    return (await batches.claim(await batches.last_start(), ClaimTerms(), Holder("here"))).batch


async def test_idle_connections_that_the_server_ended_are_replaced(
    database: DatabaseAddress, admin: psycopg.Connection, pool: Pool
) -> None:
    await asyncio.gather(*(pool.ping() for _ in range(4)))
    end_all_sessions(admin, database)

    assert await until_answered(pool) <= 4
    await asyncio.gather(*(pool.ping() for _ in range(4)))


async def test_a_statement_that_the_server_ended_is_told_at_once(
    database: DatabaseAddress, admin: psycopg.Connection
) -> None:
    async with open_pool(database) as pool:
        sleeping = asyncio.create_task(pool.fetch("SELECT pg_sleep(4)"))
        await until_asleep(pool)
        with within(2):
            await asyncio.to_thread(end_all_sessions, admin, database)
            with pytest.raises(StoreUnavailableError):
                await sleeping

        assert await until_answered(pool) <= 2


async def test_a_stream_that_the_server_ended_is_told_and_read_again(
    database: DatabaseAddress, admin: psycopg.Connection, pool: Pool, allocate: Allocate
) -> None:
    async with open_pool(database) as patient:
        batch = await claim_window_of(patient, [allocate(key) for key in range(1, 4_501)])
    read: list[int] = []

    async def read_all(at_the_first: Callable[[], None]) -> None:
        async with PostgresBatches(pool).executions(batch) as executions:
            async for execution in executions:
                read.append(execution.id)
                if len(read) == 1:
                    at_the_first()

    with pytest.raises(StoreUnavailableError):
        await read_all(lambda: end_all_sessions(admin, database))
    assert 1 <= len(read) < 4_500

    await until_answered(pool)
    read.clear()
    await read_all(lambda: None)
    assert len(read) == 4_500


async def test_a_pool_opens_without_a_database_and_heals_when_it_comes(relay: Relay) -> None:
    async with open_pool(relay.address, bounds=BOUNDS) as pool:
        executions, batches = PostgresExecutions(pool), PostgresBatches(pool)
        with within(1):
            for use in (pool.ping(), executions.get(1), batches.last_start(), executions.known([1])):
                with pytest.raises(StoreUnavailableError):
                    await use
        await relay.open()

        await pool.ping()
        assert await executions.get(1) is None


async def test_a_database_that_goes_and_comes_back_needs_no_restart(relay: Relay) -> None:
    await relay.open()
    async with open_pool(relay.address, bounds=BOUNDS) as pool:
        await asyncio.gather(*(pool.ping() for _ in range(4)))
        await relay.close()
        with within(1), pytest.raises(StoreUnavailableError):
            await pool.ping()
        await relay.open()

        assert await until_answered(pool) <= 4


async def test_a_database_that_answers_no_more_holds_nobody_up(relay: Relay) -> None:
    await relay.open()
    async with open_pool(relay.address, bounds=BOUNDS) as pool:
        await asyncio.gather(*(pool.ping() for _ in range(2)))
        relay.fall_silent()
        with within(1.5), pytest.raises(StoreUnavailableError):
            await pool.ping()
        with within(2), pytest.raises(StoreUnavailableError):
            await PostgresExecutions(pool).get(1)
        with within(1), pytest.raises(StoreUnavailableError):
            await PostgresExecutions(pool).get(1)  # by now a new connection
        relay.speak()

        assert await until_answered(pool) == 0


async def test_behind_a_pooler_all_round_trips_of_a_statement_have_the_time_of_one(relay: Relay) -> None:
    await relay.open()
    address = replace(relay.address, pooler=Pooler.TRANSACTION)
    async with open_pool(address, bounds=replace(BOUNDS, idle=5)) as pool:
        await pool.ping()
        relay.seconds = 0.25  # four times there and back: more than a statement may take
        with within(BOUNDS.statement + 1.4), pytest.raises(StoreUnavailableError):
            await pool.fetch("SELECT 1")
        relay.seconds = 0

        assert await until_answered(pool) == 0


async def test_a_pool_in_use_is_closed_all_the_same(database: DatabaseAddress) -> None:
    async with open_pool(database, bounds=Bounds(close=0.3)) as pool:
        sleeping = asyncio.create_task(pool.fetch("SELECT pg_sleep(4)"))
        await until_asleep(pool)
        began = time.monotonic()

    assert time.monotonic() - began < 2
    with pytest.raises(StoreUnavailableError):
        await sleeping


async def test_whoever_finds_every_connection_in_use_is_told_in_time(database: DatabaseAddress) -> None:
    bounds = Bounds(acquire=0.2, statement=2)
    async with open_pool(database, max_size=1, bounds=bounds) as pool, asyncio.TaskGroup() as tasks:
        tasks.create_task(pool.fetch("SELECT pg_sleep(1)"))
        await asyncio.sleep(0)
        with within(1), pytest.raises(StoreUnavailableError):
            await pool.ping()


async def test_a_lock_and_a_statement_are_waited_for_no_longer_than_allowed(
    pool: Pool, session: Session, allocate: Allocate
) -> None:
    executions = PostgresExecutions(pool)
    async with session() as other:
        await other.execute("BEGIN")
        await other.execute("SELECT pg_advisory_xact_lock(window_lock_key())")
        with within(1), pytest.raises(StoreUnavailableError):
            await executions.keep([allocate(1)])
        with within(1), pytest.raises(StoreUnavailableError):
            await pool.fetch("SELECT pg_sleep(3)")

    assert await executions.known([1]) == {}


async def test_a_slow_reader_keeps_its_stream_but_not_for_ever(
    database: DatabaseAddress, pool: Pool, allocate: Allocate
) -> None:
    async with open_pool(database) as patient:
        batch = await claim_window_of(patient, [allocate(key) for key in range(1, 4_501)])

    async def read(through: Pool) -> int:
        count = 0
        async with PostgresBatches(through).executions(batch) as executions:
            async for _ in executions:
                count += 1
                if count == 1:
                    await asyncio.sleep(3 * BOUNDS.idle)
        return count

    assert await read(pool) == 4_500
    async with open_pool(database, bounds=replace(BOUNDS, stream_idle=0.2)) as impatient:
        with pytest.raises(StoreUnavailableError):
            await read(impatient)
        await until_answered(impatient)


async def test_a_reader_that_is_cancelled_leaves_the_pool_whole(
    database: DatabaseAddress, allocate: Allocate
) -> None:
    async with open_pool(database, max_size=1) as pool:
        batch = await claim_window_of(pool, [allocate(1)])
        reading = asyncio.Event()

        async def read() -> None:
            async with PostgresBatches(pool).executions(batch) as executions:
                async for _ in executions:
                    reading.set()
                    await asyncio.sleep(60)

        reader = asyncio.create_task(read())
        await reading.wait()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader

        await pool.ping()


UNAVAILABLE = (
    "08006 25006 25P03 28P01 3D000 40001 40P01 42501 42703 42P01 42883 53100 "
    "53300 55P03 57014 57P01 57P02 57P03 58030 GA002"
)
RAISE = "DO $$ BEGIN RAISE EXCEPTION 'secret words' USING ERRCODE = '{}'; END $$"


@pytest.mark.parametrize("sqlstate", UNAVAILABLE.split())
async def test_a_servers_refusal_is_told_without_its_words(pool: Pool, sqlstate: str) -> None:
    with pytest.raises(StoreUnavailableError) as caught:
        await pool.fetch(RAISE.format(sqlstate))

    assert "secret" not in str(caught.value)
    await pool.ping()


@pytest.mark.parametrize("sqlstate", ["22003", "23505", "23514", "42601", "GA001", "XX000"])
async def test_a_fault_of_ours_is_no_outage(pool: Pool, sqlstate: str) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await pool.fetch(RAISE.format(sqlstate))


@contextmanager
def closed_to_all(database: DatabaseAddress, admin: psycopg.Connection) -> Generator[None]:
    """Let nobody in any more: SQLSTATE 55000, which no statement gets by an outage."""
    change = f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS {{}}"
    admin.execute(change.format("false").encode())
    try:
        yield
    finally:
        admin.execute(change.format("true").encode())


async def test_a_database_that_lets_nobody_in_any_more_is_an_outage_and_heals(
    database: DatabaseAddress, admin: psycopg.Connection
) -> None:
    async with open_pool(database, bounds=BOUNDS) as pool:
        executions = PostgresExecutions(pool)
        with closed_to_all(database, admin), within(2):
            for use in (pool.ping(), executions.get(1), executions.known([1])):
                with pytest.raises(StoreUnavailableError):
                    await use

        assert await executions.get(1) is None


async def test_a_pool_that_is_to_begin_with_connections_needs_a_database_that_lets_it_in(
    database: DatabaseAddress, admin: psycopg.Connection
) -> None:
    with closed_to_all(database, admin), pytest.raises(StoreUnavailableError):
        async with open_pool(database, min_size=1, bounds=BOUNDS):
            pass


async def test_a_database_without_tables_is_not_ready(empty_database: DatabaseAddress) -> None:
    async with open_pool(empty_database, bounds=BOUNDS) as pool:
        with pytest.raises(StoreUnavailableError):
            await pool.ping()
        with pytest.raises(StoreUnavailableError):
            await PostgresBatches(pool).last_start()
