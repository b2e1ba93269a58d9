"""Writers who count at the same time neither lose a count nor stop each other."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from random import Random

import asyncpg
import pytest
from tests.postgres.counted import DELETE, IDS_OF_A_RANGE, INSERT, counted

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect

Session = Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]

SESSIONS = 12
ONE_MOMENT = "SELECT (SELECT count(*) FROM execution), (SELECT coalesce(sum(count), 0) FROM execution_count)"
ROWS = "SELECT slot > 0 FROM execution_count WHERE bucket = 0"
WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = $1)"
FAR = 10 * IDS_OF_A_RANGE


@pytest.fixture
async def crowd(session: Session) -> AsyncGenerator[list[asyncpg.Connection]]:
    """Several sessions."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(session()) for _ in range(SESSIONS)]


def exact(database: DatabaseAddress) -> int:
    with connect(database, {}) as reader:
        return sum(counted(reader).values())


async def until_it_waits(connection: asyncpg.Connection, session: Session) -> None:
    async with session() as onlooker, asyncio.timeout(10):
        while not await onlooker.fetchval(WAITS, connection.get_server_pid()):  # noqa: ASYNC110 (bounded)
            await asyncio.sleep(0.005)


async def test_many_writers_and_deleters_at_once_lose_no_count(
    database: DatabaseAddress, crowd: list[asyncpg.Connection], session: Session
) -> None:
    left: list[set[int]] = []

    async def write(number: int, connection: asyncpg.Connection) -> None:
        chance, there = Random(number), set[int]()  # noqa: S311
        mine = range(number + 1, 30_000, len(crowd))
        for _ in range(15):
            new = chance.sample([one for one in mine if one not in there], 40)
            await connection.execute(INSERT, new)
            there.update(new)
            gone = chance.sample(sorted(there), 20)
            await connection.execute(DELETE, gone)
            there.difference_update(gone)
        left.append(there)

    async def read(connection: asyncpg.Connection) -> None:
        while len(left) < len(crowd):
            there, counts = await connection.fetchrow(ONE_MOMENT) or (0, 1)
            assert there == counts

    async with session() as reader, asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(read(reader))
        for number, connection in enumerate(crowd):
            tasks.create_task(write(number, connection))

    assert exact(database) == sum(map(len, left)) == len(crowd) * 15 * 20


async def test_a_writer_does_not_wait_for_the_commit_of_another(
    database: DatabaseAddress, crowd: list[asyncpg.Connection]
) -> None:
    one, other = crowd[:2]
    async with one.transaction():
        await one.execute(INSERT, [1])
        await other.execute(INSERT, [2])

    assert exact(database) == 2


async def test_a_range_that_writers_have_left_becomes_one_row(
    database: DatabaseAddress, crowd: list[asyncpg.Connection]
) -> None:
    for number, connection in enumerate(crowd):
        await connection.execute(INSERT, [number])
    assert len(await crowd[0].fetch(ROWS)) > 1
    await crowd[0].execute(INSERT, [FAR])

    assert [in_slot for (in_slot,) in await crowd[0].fetch(ROWS)] == [False]
    assert exact(database) == len(crowd) + 1


async def test_the_two_newest_ranges_stay_as_they_are(crowd: list[asyncpg.Connection]) -> None:
    one, other = crowd[:2]
    await one.execute(INSERT, [1])
    await other.execute(INSERT, [2])
    await one.execute(INSERT, [IDS_OF_A_RANGE])

    assert [in_slot for (in_slot,) in await one.fetch(ROWS)] == [True, True]


async def test_a_count_in_use_is_passed_over_and_settled_later(
    database: DatabaseAddress, crowd: list[asyncpg.Connection]
) -> None:
    one, other = crowd[:2]
    await other.execute(INSERT, [1])
    async with other.transaction():
        await other.execute(INSERT, [2])
        await one.execute(INSERT, [3])
        await one.execute(INSERT, [FAR])
    assert sorted(in_slot for (in_slot,) in await one.fetch(ROWS)) == [False, True]
    await one.execute(INSERT, [2 * FAR])

    assert [in_slot for (in_slot,) in await one.fetch(ROWS)] == [False]
    assert exact(database) == 5


async def test_who_comes_late_to_a_range_that_is_being_settled_is_counted(
    database: DatabaseAddress, crowd: list[asyncpg.Connection], session: Session
) -> None:
    one, other = crowd[:2]
    await other.execute(INSERT, [1])
    async with one.transaction():
        await one.execute(INSERT, [FAR])
        late = asyncio.create_task(other.execute(INSERT, [2]))
        await until_it_waits(other, session)
    await late

    assert exact(database) == 3


async def test_nobody_waits_for_whoever_settles(
    database: DatabaseAddress, crowd: list[asyncpg.Connection]
) -> None:
    settler, slow, other = crowd[:3]
    await settler.execute(INSERT, [1])
    await slow.execute(INSERT, [2])
    async with settler.transaction():
        async with slow.transaction():
            await slow.execute(INSERT, [3])
            await settler.execute(INSERT, [FAR])
        # What was in use then could be settled now, but for the row that the settler has not committed.
        await other.execute(INSERT, [FAR + 1])

    assert exact(database) == 5


async def test_a_writer_with_an_older_snapshot_is_not_failed_by_settling(
    database: DatabaseAddress, crowd: list[asyncpg.Connection]
) -> None:
    one, other = crowd[:2]
    await other.execute(INSERT, [1])
    async with one.transaction(isolation="repeatable_read"):
        await one.execute("SELECT FROM execution")
        await other.execute(INSERT, [2])
        await one.execute(INSERT, [FAR])

    assert exact(database) == 3


async def test_a_recount_waits_for_writers_and_counts_what_they_wrote(
    database: DatabaseAddress, crowd: list[asyncpg.Connection], session: Session
) -> None:
    writer, operator = crowd[:2]
    async with writer.transaction():
        await writer.execute(INSERT, [1, 2, 3])
        recount = asyncio.create_task(operator.fetchval("SELECT recount_executions()"))
        await until_it_waits(operator, session)

    assert await recount == 3
    assert exact(database) == 3
