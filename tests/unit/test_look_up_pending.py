"""What waits for its portfolio is looked up until it is found, is final, or has waited for too long."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

import pytest

from globeco_allocation.adapters.memory.clock import MemoryClock
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.executions import MemoryExecutions
from globeco_allocation.adapters.memory.pending import MemoryPendingExecutions
from globeco_allocation.adapters.memory.portfolios import MemoryPortfolios
from globeco_allocation.domain import AllocatedExecution, NewExecution, StoreUnavailableError
from globeco_allocation.domain.pending import PendingCounts, PendingStatus
from globeco_allocation.domain.use_cases import LookUpPending, PendingRound, PendingTerms
from globeco_allocation.ports.executions import Kept
from globeco_allocation.ports.pending import Deferral
from globeco_allocation.ports.portfolios import Portfolios

MakeReport = Callable[..., NewExecution]

PORTFOLIO = "683b6b9620f302c879a5fef4"
MAX_AGE = timedelta(hours=1)
TERMS = PendingTerms(max_age=MAX_AGE)
PATIENCE = 5.0


class CrashError(Exception):
    """The process died here."""


class MortalPending(MemoryPendingExecutions):
    """The twin, in a process that may die before it forgets what it kept."""

    dies = False

    async def remove(self, execution_service_ids: Collection[int]) -> None:
        if self.dies:
            raise CrashError
        await super().remove(execution_service_ids)


class CountingPortfolios:
    """Answers after a while, and knows how many lookups were under way at once."""

    def __init__(self) -> None:
        self.most = 0
        self._now = 0

    async def portfolio_of(self, execution_service_id: int) -> str:
        del execution_service_id
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(0.001)
        self._now -= 1
        return PORTFOLIO


class Bench:
    """Twins of one database, and what waits in it."""

    def __init__(self, make_report: MakeReport) -> None:
        self.clock = MemoryClock()
        self.database = MemoryDatabase(self.clock)
        self.executions = MemoryExecutions(self.database)
        self.pending = MortalPending(self.database)
        self.portfolios = MemoryPortfolios(dict.fromkeys(range(1, 1000), PORTFOLIO))
        self._make_report = make_report

    def replica(self, terms: PendingTerms = TERMS, portfolios: Portfolios | None = None) -> LookUpPending:
        return LookUpPending(self.pending, self.executions, portfolios or self.portfolios, self.clock, terms)

    async def defer(self, *keys: int) -> None:
        reports = [self._make_report(execution_service_id=key) for key in keys]
        await self.pending.defer([Deferral(one, "away") for one in reports], most=1000)

    async def kept(self) -> list[int]:
        page = await self.executions.page(limit=1000, offset=0)
        return sorted(one.execution_service_id for one in page.executions)


@pytest.fixture
def bench(make_report: MakeReport) -> Bench:
    return Bench(make_report)


async def test_with_nothing_pending_nobody_is_asked(bench: Bench) -> None:
    assert await bench.replica()() == PendingRound()
    assert bench.portfolios.asked == []


async def test_what_is_found_is_kept_with_its_portfolio_and_waits_no_more(
    bench: Bench, make_report: MakeReport
) -> None:
    await bench.defer(27, 28)

    assert await bench.replica()() == PendingRound(taken=2, kept=2)

    there = (await bench.executions.known([27]))[27]
    assert (there.portfolio_id, there.quantity) == (PORTFOLIO, make_report().quantity)
    assert await bench.kept() == [27, 28]
    assert await bench.pending.counts() == PendingCounts(0, 0)


async def test_passing_failures_are_repeated_ever_more_seldom_up_to_five_seconds(bench: Bench) -> None:
    await bench.defer(1)
    bench.portfolios.fail(message="busy")
    look_up = bench.replica()

    pauses: list[int] = []
    seconds = 0
    for _ in range(30):
        if (await look_up()).put_off == {1: "busy"}:
            pauses.append(seconds)
            seconds = 0
        bench.clock.step(timedelta(seconds=1))
        seconds += 1

    assert pauses == [0, 1, 2, 4, 5, 5, 5, 5]
    assert (await bench.pending.among([1]))[1].attempts == 8


async def test_what_came_back_is_found_within_the_longest_pause(bench: Bench) -> None:
    await bench.defer(1)
    bench.portfolios.fail()
    look_up = bench.replica()
    for _ in range(60):
        await look_up()
        bench.clock.step(timedelta(seconds=1))
    bench.portfolios.recover()
    bench.clock.step(timedelta(seconds=5))

    await look_up()

    assert await bench.kept() == [1]


async def test_a_final_failure_is_given_up_at_once(bench: Bench) -> None:
    await bench.defer(1, 2)
    bench.portfolios.fail(1, message="no portfolio to book on", passing=False)
    bench.portfolios.fail(2, message="busy")

    found = await bench.replica()()

    assert found == PendingRound(
        taken=2, kept=0, put_off={2: "busy"}, given_up={1: "no portfolio to book on"}
    )
    assert (await bench.pending.among([1]))[1].status is PendingStatus.ERROR


async def test_what_has_waited_for_too_long_is_given_up_only_when_its_lookup_fails_again(
    bench: Bench,
) -> None:
    await bench.defer(1, 2)
    bench.portfolios.fail(1, message="busy")
    bench.clock.step(MAX_AGE + timedelta(seconds=1))

    found = await bench.replica()()

    assert found.given_up == {1: "busy"}
    assert await bench.kept() == [2]


async def test_at_its_full_age_it_is_not_too_old_yet(bench: Bench) -> None:
    await bench.defer(1)
    bench.portfolios.fail()
    bench.clock.step(MAX_AGE)

    assert (await bench.replica()()).given_up == {}


async def test_one_in_error_is_left_alone_until_it_is_retried(bench: Bench) -> None:
    await bench.defer(1)
    await bench.pending.give_up({1: "too old"})
    bench.clock.step(timedelta(days=3))
    look_up = bench.replica()

    assert (await look_up()).taken == 0
    await bench.pending.retry()
    assert (await look_up()).kept == 1


async def test_a_crash_between_keeping_and_forgetting_is_harmless(bench: Bench) -> None:
    await bench.defer(1)
    bench.pending.dies = True
    with pytest.raises(CrashError):
        await bench.replica()()
    bench.pending.dies = False
    bench.portfolios.asked.clear()
    bench.clock.step(timedelta(seconds=30))

    found = await bench.replica()()

    assert found == PendingRound(taken=1, kept=1)
    assert bench.portfolios.asked == []
    assert await bench.kept() == [1]
    assert await bench.pending.counts() == PendingCounts(0, 0)


async def test_what_a_dead_process_took_is_looked_up_by_another_one_within_30_seconds(bench: Bench) -> None:
    await bench.defer(1)
    await bench.pending.claim(limit=10, lease=TERMS.lease)  # and dies
    look_up = bench.replica()

    assert (await look_up()).taken == 0
    bench.clock.step(timedelta(seconds=30))
    assert (await look_up()).kept == 1


async def test_two_replicas_share_the_work(bench: Bench) -> None:
    await bench.defer(*range(1, 201))

    rounds = await asyncio.gather(bench.replica()(), bench.replica()())

    assert [one.kept for one in rounds] == [100, 100]
    assert sorted(bench.portfolios.asked) == list(range(1, 201))
    assert await bench.kept() == list(range(1, 201))


async def test_no_more_lookups_are_under_way_at_once_than_allowed(bench: Bench) -> None:
    await bench.defer(*range(1, 51))
    portfolios = CountingPortfolios()

    await bench.replica(PendingTerms(lookups_at_once=7), portfolios)()

    assert portfolios.most == 7


async def test_a_lookup_that_hangs_is_put_off_and_the_others_are_kept(bench: Bench) -> None:
    class Hanging(MemoryPortfolios):
        async def portfolio_of(self, execution_service_id: int) -> str:
            if execution_service_id == 2:
                await asyncio.Event().wait()
            return await super().portfolio_of(execution_service_id)

    await bench.defer(1, 2, 3)
    look_up = bench.replica(PendingTerms(lookup_seconds=0.05), Hanging(bench.portfolios.portfolios))

    async with asyncio.timeout(PATIENCE):
        found = await look_up()

    assert list(found.put_off) == [2]
    assert await bench.kept() == [1, 3]


async def test_an_execution_kept_by_another_way_meanwhile_is_kept_once(
    bench: Bench, make_report: MakeReport
) -> None:
    class Overtaken(MemoryExecutions):
        async def keep(self, allocated: Sequence[AllocatedExecution]) -> dict[int, Kept]:
            await super().keep([AllocatedExecution(make_report(execution_service_id=1), PORTFOLIO)])
            return await super().keep(allocated)

    bench.executions = Overtaken(bench.database)
    await bench.defer(1)

    assert (await bench.replica()()).kept == 1
    assert await bench.kept() == [1]


async def test_a_database_that_goes_away_loses_nothing(bench: Bench) -> None:
    class LastWords(MemoryPortfolios):
        async def portfolio_of(self, execution_service_id: int) -> str:
            bench.database.available = False
            return await super().portfolio_of(execution_service_id)

    await bench.defer(1)
    with pytest.raises(StoreUnavailableError):
        await bench.replica(portfolios=LastWords(bench.portfolios.portfolios))()
    bench.database.available = True
    bench.clock.step(TERMS.lease)

    assert (await bench.replica()()).kept == 1
