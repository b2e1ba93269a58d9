"""Deferral: what may pass waits, what is final fails, and nothing is asked or answered twice."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from globeco_allocation.adapters.memory.clock import MemoryClock
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.executions import MemoryExecutions
from globeco_allocation.adapters.memory.pending import MemoryPendingExecutions
from globeco_allocation.adapters.memory.portfolios import MemoryPortfolios
from globeco_allocation.domain import AllocatedExecution, NewExecution, StoreUnavailableError
from globeco_allocation.domain.pending import PendingStatus
from globeco_allocation.domain.use_cases import (
    Created,
    Deferred,
    DeferTerms,
    Failed,
    ReceiveExecutions,
    Skipped,
)

MakeReport = Callable[..., NewExecution]

PORTFOLIO = "683b6b9620f302c879a5fef4"
PATIENCE = 5.0


class HangingPortfolios:
    """Answers for some ids at once and for all others never; counts the lookups that were cancelled."""

    def __init__(self, *answered: int) -> None:
        self.answered = answered
        self.asked: list[int] = []
        self.cancelled: list[int] = []

    async def portfolio_of(self, execution_service_id: int) -> str:
        self.asked.append(execution_service_id)
        if execution_service_id in self.answered:
            return PORTFOLIO
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.append(execution_service_id)
            raise
        raise AssertionError(execution_service_id)


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase(MemoryClock())


@pytest.fixture
def executions(database: MemoryDatabase) -> MemoryExecutions:
    return MemoryExecutions(database)


@pytest.fixture
def pending(database: MemoryDatabase) -> MemoryPendingExecutions:
    return MemoryPendingExecutions(database)


@pytest.fixture
def portfolios() -> MemoryPortfolios:
    return MemoryPortfolios(dict.fromkeys(range(1, 1000), PORTFOLIO))


@pytest.fixture
def receive(
    executions: MemoryExecutions, portfolios: MemoryPortfolios, pending: MemoryPendingExecutions
) -> ReceiveExecutions:
    return ReceiveExecutions(executions, portfolios, DeferTerms(pending))


async def test_a_record_whose_lookup_fails_for_a_passing_reason_waits(
    receive: ReceiveExecutions,
    executions: MemoryExecutions,
    pending: MemoryPendingExecutions,
    portfolios: MemoryPortfolios,
    make_report: MakeReport,
) -> None:
    portfolios.fail(27, message="no answer in time")

    assert await receive([make_report()]) == [Deferred(27)]

    there = (await pending.among([27]))[27]
    assert there.execution == make_report()
    assert there.reason == "no answer in time"
    assert await executions.known([27]) == {}


async def test_a_final_failure_stays_an_error(
    receive: ReceiveExecutions,
    pending: MemoryPendingExecutions,
    portfolios: MemoryPortfolios,
    make_report: MakeReport,
) -> None:
    portfolios.fail(27, message="no portfolio to book on", passing=False)

    assert await receive([make_report()]) == [Failed(27, "no portfolio to book on")]
    assert await pending.among([27]) == {}


async def test_each_record_has_its_own_fate_in_its_place(
    receive: ReceiveExecutions, portfolios: MemoryPortfolios, make_report: MakeReport
) -> None:
    await receive([make_report(execution_service_id=1)])
    portfolios.fail(2, message="busy")
    portfolios.fail(3, message="refused", passing=False)

    receipts = await receive([make_report(execution_service_id=key) for key in (4, 3, 2, 1)])

    assert receipts == [
        Created(4, 2),
        Failed(3, "refused"),
        Deferred(2),
        Skipped(1, "execution already exists", 1),
    ]


async def test_one_that_waits_is_deferred_again_without_a_lookup(
    receive: ReceiveExecutions,
    pending: MemoryPendingExecutions,
    portfolios: MemoryPortfolios,
    make_report: MakeReport,
) -> None:
    portfolios.fail(27)
    await receive([make_report()])
    before = await pending.among([27])
    portfolios.recover()
    portfolios.asked.clear()

    assert await receive([make_report()]) == [Deferred(27)]
    assert portfolios.asked == []
    assert await pending.among([27]) == before


async def test_one_that_waits_is_never_overwritten_and_what_differs_is_named(
    receive: ReceiveExecutions,
    pending: MemoryPendingExecutions,
    portfolios: MemoryPortfolios,
    make_report: MakeReport,
) -> None:
    portfolios.fail(27)
    await receive([make_report()])

    assert await receive([make_report(ticker="ORCL")]) == [Deferred(27, ("ticker",))]
    assert (await pending.among([27]))[27].execution == make_report()


async def test_an_id_twice_in_one_call_is_deferred_twice_and_looked_up_once(
    receive: ReceiveExecutions, portfolios: MemoryPortfolios, make_report: MakeReport
) -> None:
    portfolios.fail(27)

    first = await receive([make_report(), make_report(ticker="ORCL")])
    again = await receive([make_report(), make_report()])

    assert first == [Deferred(27), Deferred(27, ("ticker",))]
    assert again == [Deferred(27), Deferred(27)]
    assert portfolios.asked == [27]


async def test_one_in_error_that_is_posted_again_waits_anew(
    receive: ReceiveExecutions,
    pending: MemoryPendingExecutions,
    portfolios: MemoryPortfolios,
    make_report: MakeReport,
) -> None:
    portfolios.fail(27)
    await receive([make_report()])
    await pending.give_up({27: "no portfolio to book on"})

    receipts = await receive([make_report(), make_report(ticker="ORCL")])

    assert receipts == [Deferred(27), Deferred(27, ("ticker",))]
    there = (await pending.among([27]))[27]
    assert (there.status, there.attempts, there.execution) == (PendingStatus.PENDING, 0, make_report())
    assert portfolios.asked == [27]


async def test_what_is_kept_already_is_skipped_even_if_it_waits_as_well(
    receive: ReceiveExecutions,
    executions: MemoryExecutions,
    portfolios: MemoryPortfolios,
    make_report: MakeReport,
) -> None:
    portfolios.fail(27)
    await receive([make_report()])
    await executions.keep([AllocatedExecution(make_report(), PORTFOLIO)])

    assert await receive([make_report()]) == [Skipped(27, "execution already exists", 1)]


async def test_beyond_the_limit_a_record_fails_with_the_reason_of_its_lookup(
    executions: MemoryExecutions,
    pending: MemoryPendingExecutions,
    portfolios: MemoryPortfolios,
    make_report: MakeReport,
) -> None:
    receive = ReceiveExecutions(executions, portfolios, DeferTerms(pending, most=2))
    portfolios.fail(message="the Trade Service is away")

    receipts = await receive([make_report(execution_service_id=key) for key in (5, 3, 4)])

    assert receipts[:2] == [Deferred(5), Deferred(3)]
    assert receipts[2] == Failed(
        4, "the Trade Service is away (it cannot wait here: 2 executions do already)"
    )
    assert await receive([make_report(execution_service_id=3)]) == [Deferred(3)]


async def test_one_in_error_fails_again_where_there_is_no_room(
    executions: MemoryExecutions,
    pending: MemoryPendingExecutions,
    portfolios: MemoryPortfolios,
    make_report: MakeReport,
) -> None:
    receive = ReceiveExecutions(executions, portfolios, DeferTerms(pending, most=1))
    portfolios.fail(message="away")
    await receive([make_report(execution_service_id=1)])
    await pending.give_up({1: "too old"})
    await receive([make_report(execution_service_id=2)])

    (receipt,) = await receive([make_report(execution_service_id=1)])

    assert receipt == Failed(1, "too old (it cannot wait here: 1 executions do already)")


async def test_lookups_not_answered_in_time_are_ended_and_their_records_wait(
    executions: MemoryExecutions, pending: MemoryPendingExecutions, make_report: MakeReport
) -> None:
    portfolios = HangingPortfolios(2)
    receive = ReceiveExecutions(executions, portfolios, DeferTerms(pending, lookup_seconds=0.05))

    async with asyncio.timeout(PATIENCE):
        receipts = await receive([make_report(execution_service_id=key) for key in (1, 2, 3)])

    assert receipts == [Deferred(1), Created(2, 1), Deferred(3)]
    assert sorted(portfolios.cancelled) == [1, 3]


async def test_the_lookups_of_a_hundred_records_share_one_bound(
    executions: MemoryExecutions, pending: MemoryPendingExecutions, make_report: MakeReport
) -> None:
    receive = ReceiveExecutions(executions, HangingPortfolios(), DeferTerms(pending))
    reports = [make_report(execution_service_id=key) for key in range(1, 101)]
    start = asyncio.get_running_loop().time()

    receipts = await receive(reports)

    assert receipts == [Deferred(key) for key in range(1, 101)]
    assert 0.29 < asyncio.get_running_loop().time() - start < PATIENCE


async def test_without_deferral_a_lookup_may_take_its_time(
    executions: MemoryExecutions, make_report: MakeReport
) -> None:
    class SlowPortfolios:
        async def portfolio_of(self, execution_service_id: int) -> str:
            del execution_service_id
            await asyncio.sleep(0.4)
            return PORTFOLIO

    assert await ReceiveExecutions(executions, SlowPortfolios())([make_report()]) == [Created(27, 1)]


async def test_without_deferral_a_passing_failure_is_an_error(
    executions: MemoryExecutions, portfolios: MemoryPortfolios, make_report: MakeReport
) -> None:
    portfolios.fail(27, message="no answer in time")

    assert await ReceiveExecutions(executions, portfolios)([make_report()]) == [
        Failed(27, "no answer in time")
    ]


async def test_a_database_that_goes_away_before_deferring_fails_the_call(
    executions: MemoryExecutions,
    database: MemoryDatabase,
    pending: MemoryPendingExecutions,
    make_report: MakeReport,
) -> None:
    class LastWords(MemoryPortfolios):
        async def portfolio_of(self, execution_service_id: int) -> str:
            database.available = False
            return await super().portfolio_of(execution_service_id)

    receive = ReceiveExecutions(executions, LastWords(), DeferTerms(pending))

    with pytest.raises(StoreUnavailableError):
        await receive([make_report()])

    database.available = True
    assert await pending.among([27]) == {}


async def test_cancelling_ends_the_lookups_and_defers_nothing(
    executions: MemoryExecutions, pending: MemoryPendingExecutions, make_report: MakeReport
) -> None:
    portfolios = HangingPortfolios()
    receive = ReceiveExecutions(executions, portfolios, DeferTerms(pending, lookup_seconds=PATIENCE))
    under_way: asyncio.Task[Any] = asyncio.create_task(receive([make_report()]))
    async with asyncio.timeout(PATIENCE):
        while not portfolios.asked:  # noqa: ASYNC110 (it is not ours to set an event)
            await asyncio.sleep(0)

        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way

    assert portfolios.cancelled == [27]
    assert await pending.among([27]) == {}
