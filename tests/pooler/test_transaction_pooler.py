"""Behind a pooler that lends a session for one transaction, with two sessions for everybody."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace

import asyncpg
import psycopg
import pytest
from psycopg import sql
from tests.pooler.double import SESSIONS

from globeco_allocation.adapters.postgres.address import DatabaseAddress, Pooler
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.bounds import Bounds
from globeco_allocation.adapters.postgres.executions import PostgresExecutions
from globeco_allocation.adapters.postgres.pool import Pool, open_pool
from globeco_allocation.domain import AllocatedExecution, Batch, ClaimTerms, Holder, StoreUnavailableError

Allocate = Callable[..., AllocatedExecution]
Pooled = Callable[[DatabaseAddress], AbstractAsyncContextManager[DatabaseAddress]]

MANY = 4_501
LIMITS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
SETTINGS = (*LIMITS, "transaction_isolation", "transaction_read_only")
NO_SUCH_STATEMENT, DUPLICATE_STATEMENT = "26000", "42P05"
SHOW = "SELECT " + ", ".join(f"current_setting('{name}') AS {name}" for name in SETTINGS)
LEFT = """
    SELECT (SELECT count(*) FROM pg_prepared_statements) AS statements,
           (SELECT count(*) FROM pg_cursors WHERE name <> '') AS cursors,
           (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') AS locks
"""


@pytest.fixture
async def pooled(database: DatabaseAddress, behind_a_pooler: Pooled) -> AsyncGenerator[DatabaseAddress]:
    async with behind_a_pooler(database) as address:
        yield address


@pytest.fixture
async def pool(pooled: DatabaseAddress) -> AsyncGenerator[Pool]:
    async with open_pool(pooled) as pool:
        yield pool


async def keep_and_claim(pool: Pool, executions: list[AllocatedExecution]) -> Batch:
    batches = PostgresBatches(pool)
    await PostgresExecutions(pool).keep(executions)
    return (await batches.claim(await batches.last_start(), ClaimTerms(), Holder("here"))).batch


async def keys_in(pool: Pool, batch: Batch) -> list[int]:
    async with PostgresBatches(pool).executions(batch) as executions:
        return [execution.execution_service_id async for execution in executions]


@asynccontextmanager
async def plain(address: DatabaseAddress, *, cached: int = 0) -> AsyncGenerator[asyncpg.Connection]:
    """Connect without a transaction or settings of ours."""
    connection = await asyncpg.connect(
        host=address.host,
        port=address.port,
        database=address.name,
        user=address.user,
        password=address.password,
        statement_cache_size=cached,
    )
    try:
        yield connection
    finally:
        connection.terminate()


async def each_session(pool: Pool, query: str) -> list[asyncpg.Record]:
    """Ask every session of the pooler's: while all sleep, each statement has one of its own."""
    slow = query.replace("SELECT", "SELECT pg_backend_pid() AS pid, pg_sleep(0.3),", 1)
    rows = [
        row for rows in await asyncio.gather(*(pool.fetch(slow) for _ in range(SESSIONS))) for row in rows
    ]
    assert len({row["pid"] for row in rows}) == SESSIONS
    return rows


async def test_more_callers_than_sessions_are_all_answered(
    pooled: DatabaseAddress, allocate: Allocate
) -> None:
    async with open_pool(pooled) as one, open_pool(pooled) as other:
        kept = await asyncio.gather(
            *(
                PostgresExecutions(pool).keep([allocate(key), allocate(key + 1)])
                for key in range(1, 41)
                for pool in (one, other)
            )
        )
        batch = await keep_and_claim(one, [])

        new = Counter(key for answer in kept for key, what in answer.items() if what.new)
        assert new == Counter(range(1, 42))
        assert sorted(await keys_in(other, batch)) == list(range(1, 42))


async def test_each_statement_is_a_transaction_of_its_own_that_brings_its_bounds(pool: Pool) -> None:
    rows = [await pool.fetch_row(SHOW + ", pg_current_xact_id()::text AS number") for _ in range(3)]

    assert {tuple(row[name] for name in SETTINGS) for row in rows if row} == {
        ("2s", "5s", "5s", "read committed", "off")
    }
    assert len({row["number"] for row in rows if row}) == 3


async def test_a_stream_brings_its_own_bounds_and_writes_nothing(pool: Pool) -> None:
    async with pool.stream(SHOW) as rows:
        read = [tuple(row[name] for name in SETTINGS) async for row in rows]

    assert read == [("2s", "1min", "5min", "read committed", "on")]


async def test_nothing_stays_behind_in_a_session(
    database: DatabaseAddress, pooled: DatabaseAddress, allocate: Allocate
) -> None:
    async with open_pool(pooled, bounds=Bounds(statement=1)) as pool:
        batch = await keep_and_claim(pool, [allocate(key) for key in range(1, MANY + 1)])
        assert len(await keys_in(pool, batch)) == MANY
        async with pool.stream("SELECT generate_series(1, 9000)") as rows:
            await anext(rows)  # and no more
        with pytest.raises(asyncpg.PostgresError):
            await pool.fetch("SELECT 1 / $1::integer", 0)
        with pytest.raises(StoreUnavailableError):
            await pool.fetch("SELECT pg_sleep(4)")
        left = [(row["statements"], row["cursors"], row["locks"]) for row in await each_session(pool, LEFT)]

    assert left == [(0, 0, 0)] * SESSIONS
    async with plain(database) as ordinary, plain(pooled) as one, plain(pooled) as other:
        await asyncio.gather(one.execute("BEGIN"), other.execute("BEGIN"))  # so each has a session
        assert [*await one.fetch(SHOW), *await other.fetch(SHOW)] == SESSIONS * await ordinary.fetch(SHOW)


async def test_streams_are_read_while_others_write(pooled: DatabaseAddress, allocate: Allocate) -> None:
    async with open_pool(pooled) as pool:
        batch = await keep_and_claim(pool, [allocate(key) for key in range(1, MANY + 1)])

        async with PostgresBatches(pool).executions(batch) as executions:
            async with asyncio.TaskGroup() as tasks:
                for key in range(MANY + 1, MANY + 21):
                    tasks.create_task(PostgresExecutions(pool).keep([allocate(key)]))
            read = [execution.execution_service_id async for execution in executions]
        both = await asyncio.gather(keys_in(pool, batch), keys_in(pool, batch))

        assert [read, *both] == [list(range(1, MANY + 1))] * 3
        # Of those who came at once, any may have got the lower id.
        later = await keys_in(pool, await keep_and_claim(pool, []))
        assert sorted(later) == list(range(MANY + 1, MANY + 21))


async def test_a_reader_that_is_cancelled_gives_its_session_back(
    pooled: DatabaseAddress, allocate: Allocate
) -> None:
    async with open_pool(pooled) as pool:
        batch = await keep_and_claim(pool, [allocate(1)])
        reading = asyncio.Semaphore(0)

        async def read() -> None:
            async with PostgresBatches(pool).executions(batch) as executions:
                async for _ in executions:
                    reading.release()
                    await asyncio.sleep(60)

        readers = [asyncio.create_task(read()) for _ in range(SESSIONS)]
        for _ in readers:
            await reading.acquire()
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)

        await pool.ping()


async def until_asleep(direct: Pool, sleepers: int) -> None:
    async with asyncio.timeout(5):
        while True:
            asleep = await direct.fetch("SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
            if len(asleep) == sleepers:
                return


async def test_a_caller_that_is_cancelled_leaves_no_lock_and_no_row(
    pooled: DatabaseAddress, database: DatabaseAddress, allocate: Allocate
) -> None:
    async with open_pool(pooled, bounds=Bounds(statement=30)) as pool, open_pool(database) as direct:
        await direct.fetch("CREATE TABLE seen (number integer)")
        slow = "WITH one AS (INSERT INTO seen VALUES ($1) RETURNING 1) SELECT pg_sleep(20), one.* FROM one"
        writing = asyncio.create_task(pool.fetch(slow, 7))
        await until_asleep(direct, 1)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

        await asyncio.gather(*(pool.ping() for _ in range(2 * SESSIONS)))
        assert await direct.fetch("SELECT FROM seen") == []
        await PostgresExecutions(pool).keep([allocate(1)])


async def test_windows_are_claimed_in_read_committed_whatever_the_database_s_default_is(
    admin: psycopg.Connection, database: DatabaseAddress, behind_a_pooler: Pooled, allocate: Allocate
) -> None:
    admin.execute(
        sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = 'serializable'").format(
            sql.Identifier(database.name)
        )
    )
    async with behind_a_pooler(database) as pooled, open_pool(pooled) as pool:
        assert await keys_in(pool, await keep_and_claim(pool, [allocate(1)])) == [1]


async def test_whoever_finds_every_session_in_use_is_told_in_time(
    pooled: DatabaseAddress, database: DatabaseAddress
) -> None:
    async with (
        open_pool(pooled, bounds=Bounds(statement=30)) as patient,
        open_pool(pooled, bounds=Bounds(statement=0.5)) as pool,
        open_pool(database) as direct,
    ):
        await pool.ping()
        busy = [asyncio.create_task(patient.fetch("SELECT pg_sleep(20)")) for _ in range(SESSIONS)]
        await until_asleep(direct, SESSIONS)
        async with asyncio.timeout(3):
            with pytest.raises(StoreUnavailableError):
                await pool.fetch("SELECT 1")
        for one in busy:
            one.cancel()
        await asyncio.gather(*busy, return_exceptions=True)

        await pool.fetch("SELECT 1")


async def test_without_the_setting_a_pooler_lets_nobody_in(pooled: DatabaseAddress) -> None:
    async with open_pool(replace(pooled, pooler=Pooler.NONE)) as pool:
        with pytest.raises(StoreUnavailableError):
            await pool.fetch("SELECT 1")


async def test_what_the_driver_does_by_itself_is_of_no_use_here(pooled: DatabaseAddress) -> None:
    """Its prepared statements are in other sessions: so the tests here can fail."""
    async with AsyncExitStack() as stack:
        # One more than sessions: in turn, nobody has the same session twice running.
        clients = [await stack.enter_async_context(plain(pooled, cached=100)) for _ in range(SESSIONS + 1)]
        await asyncio.gather(*(client.execute("SELECT pg_sleep(0.1)") for client in clients))

        async def ask_again_and_again() -> None:
            for _ in range(10):
                for client in clients:
                    await client.fetch("SELECT 1")

        with pytest.raises(asyncpg.PostgresError) as caught:
            await ask_again_and_again()

    assert caught.value.sqlstate in {NO_SUCH_STATEMENT, DUPLICATE_STATEMENT}
