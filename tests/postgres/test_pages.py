"""Any page is the one that a look at all ids would give, and found without looking at all of them."""

import asyncio
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager

import asyncpg
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]
)
from tests.postgres.counted import (
    COLUMNS,
    IDS_OF_A_RANGE,
    INSERT,
    LARGEST,
    SMALLEST,
    VALUES,
    delete,
    insert,
    keep,
)

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.executions import PostgresExecutions
from globeco_allocation.adapters.postgres.pool import open_pool

Session = Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]

PAGE = "SELECT total, id FROM page_of_executions($1, $2) ORDER BY id DESC"

WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"

# What this transaction has read of the table, and of the index over its ids.
READ = """
SELECT seq_scan, seq_tup_read, idx_tup_fetch,
       pg_stat_get_xact_tuples_returned('execution_pkey'::regclass) AS entries
  FROM pg_stat_xact_user_tables WHERE relid = 'execution'::regclass
"""

HOW = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)

# Around the borders of ranges, of 64 ranges, of 0, and of what an id can be.
BORDERS = [
    SMALLEST,
    LARGEST,
    *(IDS_OF_A_RANGE * number for number in (-65, -64, -1, 0, 1, 2, 3, 63, 64, 65, 200)),
]


def near(border: int, by: int) -> int:
    return min(max(border + by, SMALLEST), LARGEST)


def run_of(first: int, length: int, step: int) -> range:
    return range(first, min(first + length, LARGEST + 1), step)


IDS = st.builds(near, st.sampled_from(BORDERS), st.integers(-3, 3))
LENGTHS = st.integers(1, 40) | st.sampled_from([IDS_OF_A_RANGE - 1, IDS_OF_A_RANGE, 9000])
RUNS = st.builds(run_of, IDS, LENGTHS, st.integers(1, 3))


class Listed:
    """Executions in PostgreSQL, written by one program and listed by ours."""

    def __init__(
        self, loop: asyncio.Runner, executions: PostgresExecutions, writer: psycopg.Connection
    ) -> None:
        self.writer = writer
        self._loop = loop
        self._executions = executions

    def page(self, limit: int, offset: int) -> tuple[list[int], int]:
        page = self._loop.run(self._executions.page(limit=limit, offset=offset))
        return [execution.id for execution in page.executions], page.total


@pytest.fixture
def listed(database: DatabaseAddress) -> Generator[Listed]:
    @contextmanager
    def open_executions(loop: asyncio.Runner) -> Generator[PostgresExecutions]:
        stack = AsyncExitStack()
        pool = loop.run(stack.enter_async_context(open_pool(database)))
        try:
            yield PostgresExecutions(pool)
        finally:
            loop.run(stack.aclose())

    with asyncio.Runner() as loop, open_executions(loop) as executions, connect(database, {}) as writer:
        yield Listed(loop, executions, writer)


class PagesOfChangingExecutions(RuleBasedStateMachine):
    """Ids come and go, in runs and with holes; pages are asked for in between."""

    def __init__(self, listed: Listed) -> None:
        super().__init__()
        self.listed = listed
        self.ids: set[int] = set()
        listed.writer.execute("TRUNCATE execution")

    @rule(run=RUNS)
    def inserted(self, run: Iterable[int]) -> None:
        new = set(run) - self.ids
        keep(self.listed.writer, new)
        self.ids |= new

    @rule(run=RUNS)
    def deleted(self, run: Iterable[int]) -> None:
        delete(self.listed.writer, run)
        self.ids -= set(run)

    @rule(old=IDS, new=IDS)
    def renumbered(self, old: int, new: int) -> None:
        if old in self.ids and new not in self.ids:
            self.listed.writer.execute(
                "UPDATE execution SET id = %s, execution_service_id = %s WHERE id = %s", (new, new, old)
            )
            self.ids = self.ids - {old} | {new}

    @rule(limit=st.integers(1, 1000), choice=st.integers(0, 2**20))
    def listed_anywhere(self, limit: int, choice: int) -> None:
        self._lists(limit, choice % (len(self.ids) + 2))

    @rule(limit=st.integers(1, 50), border=st.sampled_from(BORDERS), by=st.integers(-2, 2))
    def listed_from_a_border(self, limit: int, border: int, by: int) -> None:
        self._lists(limit, max(0, sum(one >= border for one in self.ids) + by))

    def _lists(self, limit: int, offset: int) -> None:
        expected = sorted(self.ids, reverse=True)[offset : offset + limit]
        assert self.listed.page(limit, offset) == (expected, len(self.ids))


def test_any_page_of_any_ids_is_right(listed: Listed) -> None:
    class Machine(PagesOfChangingExecutions):
        def __init__(self) -> None:
            super().__init__(listed)

    run_state_machine_as_test(Machine, settings=HOW)


def test_walking_through_the_pages_meets_each_execution_once(listed: Listed) -> None:
    listed.writer.execute(
        insert("generate_series(1, 20000) AS id WHERE id % 3 > 0 AND id / 4096 <> 2").encode()
    )
    walked = [id_ for offset in range(0, 12_000, 1000) for id_ in listed.page(1000, offset)[0]]

    assert walked == [id_ for id_ in range(20_000, 0, -1) if id_ % 3 > 0 and id_ // 4096 != 2]


@pytest.mark.parametrize("offset", [0, 1, 2_000, 4_100, 10_000, 17_949, 19_950, 19_999, 20_000])
async def test_a_page_reads_some_of_a_range_also_by_plans_of_when_there_was_nothing(
    session: Session, offset: int
) -> None:
    async with session() as connection:
        for _ in range(8):  # by then a session has made up its mind
            await connection.fetch(PAGE, 50, 0)
        await connection.execute(insert("generate_series(1, 20000) AS id"))
        async with connection.transaction():
            rows = await connection.fetch(PAGE, 50, offset)
            read = await connection.fetchrow(READ)

    assert [row["id"] for row in rows] == list(range(20_000 - offset, 0, -1)[:50]) or [None]
    assert rows[0]["total"] == 20_000
    assert read is not None
    assert (read["seq_scan"], read["seq_tup_read"]) == (0, 0)
    assert read["entries"] <= IDS_OF_A_RANGE / 2 + 1 + 50
    assert read["idx_tup_fetch"] <= IDS_OF_A_RANGE / 2 + 1 + 50


async def test_total_and_page_are_of_one_moment(session: Session) -> None:
    async with session() as reader, session() as writer:
        await writer.execute(INSERT, [1, 2])
        async with writer.transaction():
            await writer.execute("LOCK TABLE execution")
            page = asyncio.ensure_future(reader.fetch(PAGE, 50, 0))
            async with asyncio.timeout(10):  # it reads the counts, and waits for the rows
                while not await writer.fetchval(WAITING):  # noqa: ASYNC110 (bounded)
                    await asyncio.sleep(0.005)
            await writer.execute(INSERT, [3])

        assert [tuple(row) for row in await page] == [(2, 2), (2, 1)]


def test_a_row_of_another_program_is_listed_with_its_nulls(listed: Listed) -> None:
    listed.writer.execute(
        f"INSERT INTO execution (execution_service_id, portfolio_id, total_amount, {COLUMNS})"
        f" VALUES (7, NULL, NULL, {VALUES})".encode()
    )

    assert listed.page(10, 0) == ([1], 1)
