"""What waits is shown as it is, and what is not looked at any more is seen to be old."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from globeco_allocation.adapters.memory.backlog import MemoryBacklog
from globeco_allocation.adapters.memory.clock import MemoryClock
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.executions import MemoryExecutions
from globeco_allocation.adapters.memory.pending import MemoryPendingExecutions
from globeco_allocation.adapters.postgres.pool_counts import PoolCounts
from globeco_allocation.domain import AllocatedExecution
from globeco_allocation.domain.errors import StoreUnavailableError
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.metrics.measuring import Measuring, MeasuringRests, Sources

PATIENCE = 10.0
QUICK = MeasuringRests(sample=0.01, refresh=0.01, fault=0.01, schema_looks=3)


class Bench:
    """Twins, and the looks at them."""

    def __init__(self) -> None:
        self.database = MemoryDatabase(MemoryClock())
        self.executions = MemoryExecutions(self.database)
        self.backlog = MemoryBacklog(self.database, MemoryPendingExecutions(self.database))
        self.metrics = Metrics()
        self.missing = 0
        self.schema_looks = 0
        self.pool = PoolCounts(open=3, idle=1, most=5, waiting=4, acquired=7, acquire_seconds=0.5, failures=2)

    async def migrations_missing(self) -> int:
        self.schema_looks += 1
        self.database.answer()
        return self.missing

    @asynccontextmanager
    async def measured(self, **options: Any) -> AsyncGenerator[None]:  # noqa: ANN401 (any option)
        sources = Sources(
            backlog=self.backlog,
            migrations_missing=self.migrations_missing,
            pool=lambda: self.pool,
            steps_under_way=lambda: (2, 1),
        )
        options.setdefault("rests", QUICK)
        async with Measuring(self.metrics.state, sources, **options):
            yield

    def metric(self, line: str) -> float:
        """The value of one line; -99 where there is none."""
        found = (one.rpartition(" ") for one in self.metrics.render().decode().splitlines())
        return next((float(value) for name, _, value in found if name == f"globeco_allocation_{line}"), -99.0)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (it is not ours to set an event)
            await asyncio.sleep(0.005)


async def test_what_waits_is_shown_with_its_time(
    bench: Bench, allocate: Callable[..., AllocatedExecution]
) -> None:
    await bench.executions.keep([allocate(1), allocate(2)])
    since = bench.database.clock.now().timestamp()

    async with bench.measured():
        await until(lambda: bench.metric("waiting_executions") == 2)

    assert bench.metric("waiting_executions_oldest_timestamp_seconds") == since
    assert time.time() - bench.metric("state_refreshed_timestamp_seconds") < PATIENCE
    assert bench.metric("schema_migrations_missing") == 0


async def test_while_the_database_is_away_the_last_look_grows_old(bench: Bench) -> None:
    async with bench.measured():
        await until(lambda: bench.metric("state_refreshed_timestamp_seconds") > 0)
        bench.database.available = False
        looks = bench.schema_looks
        await until(lambda: bench.schema_looks > looks + 1)
        seen = bench.metric("state_refreshed_timestamp_seconds")
        await until(lambda: bench.schema_looks > looks + 4)
        assert bench.metric("state_refreshed_timestamp_seconds") == seen

        bench.database.available = True
        await until(lambda: bench.metric("state_refreshed_timestamp_seconds") > seen)


async def test_before_anybody_looked_it_says_so(bench: Bench) -> None:
    async with bench.measured(may_begin=lambda: False):
        await until(lambda: bench.metric("event_loop_lag_seconds_count") > 2)

    assert bench.metric("state_refreshed_timestamp_seconds") == 0
    assert bench.metric("schema_migrations_missing") == -1
    assert bench.schema_looks == 0


async def test_a_schema_that_is_behind_is_shown_and_nothing_else_is_asked(bench: Bench) -> None:
    bench.missing = 2
    async with bench.measured():
        await until(lambda: bench.schema_looks > 3)
        assert bench.metric("schema_migrations_missing") == 2
        assert bench.metric("state_refreshed_timestamp_seconds") == 0

        bench.missing = 0
        await until(lambda: bench.metric("state_refreshed_timestamp_seconds") > 0)
    assert bench.metric("schema_migrations_missing") == 0


async def test_a_schema_that_falls_behind_later_is_seen_after_some_looks(bench: Bench) -> None:
    async with bench.measured():
        await until(lambda: bench.metric("schema_migrations_missing") == 0)
        bench.missing = 1
        await until(lambda: bench.metric("schema_migrations_missing") == 1)


async def test_a_fault_of_ours_is_logged_and_ends_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> int:
        raise ZeroDivisionError

    with capture_logs() as captured:
        monkeypatch.setattr(bench, "migrations_missing", broken)
        async with bench.measured():
            await until(lambda: len(captured) > 1)
    assert {one["event"] for one in captured} == {logs.MEASURING_FAILED}


async def test_the_pool_and_the_work_under_way_are_shown(bench: Bench) -> None:
    async with bench.measured():
        await until(lambda: bench.metric("database_pool_waiting") == 4)
        bench.pool = PoolCounts(
            open=3, idle=1, most=5, waiting=0, acquired=9, acquire_seconds=0.75, failures=2
        )
        await until(lambda: bench.metric("database_pool_waiting") == 0)

    assert bench.metric('database_pool_connections{state="in_use"}') == 2
    assert bench.metric('database_pool_connections{state="idle"}') == 1
    assert bench.metric("database_pool_max_connections") == 5
    assert bench.metric("database_pool_acquired_total") == 9
    assert bench.metric("database_pool_acquire_seconds_total") == 0.75
    assert bench.metric("database_pool_acquire_failures_total") == 2
    assert bench.metric('dispatch_steps_under_way{step="write"}') == 2
    assert bench.metric('dispatch_steps_under_way{step="deliver"}') == 1


async def test_a_loop_that_was_blocked_is_seen_to_have_come_late(bench: Bench) -> None:
    async with bench.measured():
        await until(lambda: bench.metric("event_loop_lag_seconds_count") > 1)
        time.sleep(0.3)  # noqa: ASYNC251 (that is the fault)
        await until(lambda: bench.metric("event_loop_lag_seconds_sum") > 0.2)

    late = bench.metric("event_loop_lag_seconds_count") - bench.metric(
        'event_loop_lag_seconds_bucket{le="0.1"}'
    )
    assert late >= 1


async def test_a_database_without_the_newest_schema_counts_as_away(bench: Bench) -> None:
    async def too_old() -> None:
        raise StoreUnavailableError("no such function")

    bench.backlog.look = too_old  # type: ignore[method-assign]
    async with bench.measured():
        await until(lambda: bench.schema_looks > 2)  # it looks why
    assert bench.metric("state_refreshed_timestamp_seconds") == 0
