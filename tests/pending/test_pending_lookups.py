"""The work in the background on what waits: it begins, goes on through outages, and ends."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from globeco_allocation.adapters.memory.clock import MemoryClock
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.executions import MemoryExecutions
from globeco_allocation.adapters.memory.pending import MemoryPendingExecutions
from globeco_allocation.adapters.memory.portfolios import MemoryPortfolios
from globeco_allocation.adapters.system_clock import SystemClock
from globeco_allocation.domain import AllocatedExecution
from globeco_allocation.domain.pending import PendingCounts
from globeco_allocation.domain.use_cases import LookUpPending, PendingTerms
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.pending_lookups import PendingLookups, Rests
from globeco_allocation.ports.pending import Deferral
from globeco_allocation.ports.portfolios import Portfolios

Allocate = Callable[..., AllocatedExecution]

PORTFOLIO = "683b6b9620f302c879a5fef4"
PATIENCE = 10.0
RESTS = Rests(poll=60.0, outage=0.01, fault=0.01)
"""Polls are far away, so that what happens sooner was woken; rests in trouble are short."""
TALKATIVE = replace(RESTS, patience=0.0)


class HangingPortfolios:
    """Answers never, and counts the lookups that were cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cancelled = 0

    async def portfolio_of(self, execution_service_id: int) -> str:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        raise AssertionError(execution_service_id)


class Bench:
    """Twins with a real clock, and the work on what waits in them."""

    def __init__(self, allocate: Allocate) -> None:
        self.database = MemoryDatabase(SystemClock())
        self.executions = MemoryExecutions(self.database)
        self.pending = MemoryPendingExecutions(self.database)
        self.portfolios = MemoryPortfolios(dict.fromkeys(range(1, 1000), PORTFOLIO))
        self.metrics = Metrics()
        self._allocate = allocate

    @asynccontextmanager
    async def working(
        self,
        portfolios: Portfolios | None = None,
        **options: Any,  # noqa: ANN401 (any option)
    ) -> AsyncGenerator[PendingLookups]:
        look_up = LookUpPending(
            self.pending, self.executions, portfolios or self.portfolios, MemoryClock(), PendingTerms()
        )
        options.setdefault("rests", RESTS)
        async with PendingLookups(look_up, self.metrics, **options) as working:
            yield working

    async def defer(self, *keys: int) -> None:
        await self.pending.defer([Deferral(self._allocate(key).execution, "away") for key in keys], most=1000)

    def metric(self, name: str) -> float:
        """The value of one line of the metrics."""
        lines = self.metrics.render().decode().splitlines()
        return float(next(line for line in lines if line.startswith(name)).split()[-1])


@pytest.fixture
def bench(allocate: Allocate) -> Bench:
    return Bench(allocate)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (it is not ours to set an event)
            await asyncio.sleep(0.005)


async def all_kept(bench: Bench, *keys: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await bench.executions.known(keys)).keys() != set(keys):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        while await bench.pending.counts() != PendingCounts(0, 0):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_what_waited_before_the_start_is_worked_off(bench: Bench) -> None:
    await bench.defer(*range(1, 251))

    async with bench.working():
        await all_kept(bench, *range(1, 251))


async def test_what_is_deferred_later_is_looked_up_as_soon_as_it_wakes(bench: Bench) -> None:
    async with bench.working() as working:
        await until(lambda: "pending_lookups_total{" in bench.metrics.render().decode())
        await bench.defer(1)
        working.wake()

        await all_kept(bench, 1)


async def test_without_being_woken_it_looks_every_now_and_then(bench: Bench) -> None:
    async with bench.working(rests=replace(RESTS, poll=0.02)):
        await bench.defer(1)

        await all_kept(bench, 1)


async def test_it_goes_on_after_an_outage_of_the_database(bench: Bench) -> None:
    await bench.defer(1)
    bench.database.available = False

    with capture_logs() as captured:
        async with bench.working(rests=TALKATIVE):
            await until(lambda: captured)
            await asyncio.sleep(0.1)  # some ten more rounds
            bench.database.available = True
            await all_kept(bench, 1)
            await until(lambda: len(captured) > 1)

    assert [line["event"] for line in captured] == [logs.PENDING_HELD_UP, logs.PENDING_GOES_ON]


async def test_an_outage_of_the_trade_service_is_told_of_once_however_long_it_lasts(bench: Bench) -> None:
    bench.portfolios.fail(message="the Trade Service is away")
    with capture_logs() as captured:
        async with bench.working(rests=TALKATIVE) as working:
            for key in range(1, 11):
                await bench.defer(key)
                working.wake()
                await until(lambda key=key: key in bench.portfolios.asked)
            bench.portfolios.recover()
            await bench.defer(11)
            await until(lambda: len(captured) > 1)

    assert [(line["event"], line.get("reason")) for line in captured] == [
        (logs.PENDING_HELD_UP, "the Trade Service is away"),
        (logs.PENDING_GOES_ON, None),
    ]


async def test_trouble_that_is_over_soon_is_not_told_of(bench: Bench) -> None:
    bench.portfolios.fail()
    await bench.defer(1)
    with capture_logs() as captured:
        async with bench.working():
            await until(lambda: bench.portfolios.asked)
            bench.portfolios.recover()
            await until(lambda: bench.metric('globeco_allocation_pending_lookups_total{result="put_off"}'))

    assert captured == []


async def test_what_is_given_up_is_an_error_in_the_log_and_in_the_metrics(bench: Bench) -> None:
    await bench.defer(1, 2)
    bench.portfolios.fail(1, message="no portfolio to book on", passing=False)

    with capture_logs() as captured:
        async with bench.working():
            await until(lambda: captured)

    assert captured == [
        {
            "event": logs.PENDING_GIVEN_UP,
            "log_level": "error",
            "executions": [{"execution_service_id": 1, "reason": "no portfolio to book on"}],
        }
    ]
    assert bench.metric('globeco_allocation_pending_lookups_total{result="kept"}') == 1
    assert bench.metric('globeco_allocation_pending_lookups_total{result="given_up"}') == 1
    assert await bench.pending.counts() == PendingCounts(pending=0, error=1)


async def test_it_waits_until_it_may_begin(bench: Bench) -> None:
    ready = False
    await bench.defer(1)

    async with bench.working(may_begin=lambda: ready):
        await asyncio.sleep(0.1)
        early = list(bench.portfolios.asked)
        ready = True
        await all_kept(bench, 1)

    assert early == []


async def test_a_fault_of_ours_is_logged_and_does_not_end_the_work(bench: Bench) -> None:
    class Broken(MemoryPortfolios):
        broken = True

        async def portfolio_of(self, execution_service_id: int) -> str:
            if self.broken:
                raise ZeroDivisionError
            return await super().portfolio_of(execution_service_id)

    portfolios = Broken(bench.portfolios.portfolios)
    await bench.defer(1)
    with capture_logs() as captured:
        async with bench.working(portfolios):
            await until(lambda: captured)
            portfolios.broken = False
            await bench.defer(2)

            await until(bench.database.newest_first)

    assert captured[0]["event"] == logs.PENDING_FAILED
    assert captured[0]["exc_info"]


async def ended_within(seconds: float, work: AbstractAsyncContextManager[object]) -> float:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        async with work:
            await asyncio.sleep(0.05)
            begun = loop.time()
        took = loop.time() - begun
    assert took < seconds
    return took


async def test_it_ends_at_once_when_it_rests(bench: Bench) -> None:
    await ended_within(1.0, bench.working(grace_seconds=5.0))


async def test_it_breaks_off_lookups_that_hang_when_the_grace_is_over(bench: Bench) -> None:
    portfolios = HangingPortfolios()
    await bench.defer(1, 2)

    await ended_within(2.0, bench.working(portfolios, grace_seconds=0.1))

    assert portfolios.cancelled == 2


async def test_a_round_that_ends_within_the_grace_is_kept(bench: Bench) -> None:
    class Slow(MemoryPortfolios):
        async def portfolio_of(self, execution_service_id: int) -> str:
            await asyncio.sleep(0.2)
            return await super().portfolio_of(execution_service_id)

    await bench.defer(1)

    await ended_within(3.0, bench.working(Slow(bench.portfolios.portfolios), grace_seconds=5.0))

    assert (await bench.executions.known([1])).keys() == {1}
