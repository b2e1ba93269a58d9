"""Receiving executions: each record is judged alone, and each id is kept once."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.executions import MemoryExecutions
from globeco_allocation.adapters.memory.portfolios import MemoryPortfolios
from globeco_allocation.domain import (
    AllocatedExecution,
    Execution,
    NewExecution,
    StoreUnavailableError,
)
from globeco_allocation.domain.use_cases import Created, Failed, ReceiveExecutions, Skipped, Unreadable
from globeco_allocation.ports.executions import Kept

MakeReport = Callable[..., NewExecution]

PORTFOLIO = "683b6b9620f302c879a5fef4"
STILL_OPEN = "execution is still open"
ALREADY_EXISTS = "execution already exists"
PATIENCE = 5.0
"""Seconds after which a test that waits has failed."""


class StandingClock:
    """A clock that shows noon for ever."""

    def now(self) -> datetime:
        return datetime(2026, 3, 2, 12, tzinfo=UTC)


class WatchedExecutions(MemoryExecutions):
    """The twin, and what was asked of it."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.keeps: list[list[int]] = []
        self.before_keep: Sequence[AllocatedExecution] = ()
        """What another process keeps between our reading and our writing."""

    async def keep(self, allocated: Sequence[AllocatedExecution]) -> dict[int, Kept]:
        self.keeps.append([one.execution.execution_service_id for one in allocated])
        if self.before_keep:
            await super().keep(self.before_keep)
        return await super().keep(allocated)


class MeetingPortfolios:
    """Answers nobody before *expected* lookups are under way at once."""

    def __init__(self, expected: int) -> None:
        self._barrier = asyncio.Barrier(expected)

    async def portfolio_of(self, execution_service_id: int) -> str:
        del execution_service_id
        await self._barrier.wait()
        return PORTFOLIO


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


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase(StandingClock())


@pytest.fixture
def executions(database: MemoryDatabase) -> WatchedExecutions:
    return WatchedExecutions(database)


@pytest.fixture
def portfolios() -> MemoryPortfolios:
    return MemoryPortfolios(dict.fromkeys(range(1, 1000), PORTFOLIO))


@pytest.fixture
def receive(executions: WatchedExecutions, portfolios: MemoryPortfolios) -> ReceiveExecutions:
    return ReceiveExecutions(executions, portfolios)


async def kept(executions: MemoryExecutions) -> list[Execution]:
    page = await executions.page(limit=1000, offset=0)
    return list(page.executions)


async def test_a_sound_execution_is_kept_with_its_portfolio(
    receive: ReceiveExecutions, executions: WatchedExecutions, make_report: MakeReport
) -> None:
    report = make_report()

    (receipt,) = await receive([report])

    (there,) = await kept(executions)
    assert receipt == Created(27, there.id)
    assert (there.execution_service_id, there.portfolio_id) == (27, PORTFOLIO)
    assert there.trade_date == report.trade_date


async def test_every_record_is_answered_in_its_place(
    receive: ReceiveExecutions, portfolios: MemoryPortfolios, make_report: MakeReport
) -> None:
    await receive([make_report(execution_service_id=3)])
    portfolios.fail(5, message="the Trade Service does not know it")

    receipts = await receive(
        [
            make_report(execution_service_id=9),
            Unreadable(0, "executionServiceId must be an integer"),
            make_report(execution_service_id=5),
            make_report(execution_service_id=3),
            make_report(execution_service_id=4, is_open=True),
            make_report(execution_service_id=1),
        ]
    )

    assert receipts == [
        Created(9, 2),
        Failed(0, "executionServiceId must be an integer"),
        Failed(5, "the Trade Service does not know it"),
        Skipped(3, ALREADY_EXISTS, 1),
        Skipped(4, STILL_OPEN),
        Created(1, 3),
    ]


async def test_no_records_have_no_answers(receive: ReceiveExecutions, executions: WatchedExecutions) -> None:
    assert await receive([]) == []
    assert executions.keeps == []


async def test_a_repeat_within_one_call_is_skipped_under_the_id_of_the_first(
    receive: ReceiveExecutions, executions: WatchedExecutions, make_report: MakeReport
) -> None:
    report = make_report()

    receipts = await receive([report, make_report(), report])

    assert receipts == [Created(27, 1), Skipped(27, ALREADY_EXISTS, 1), Skipped(27, ALREADY_EXISTS, 1)]
    assert len(await kept(executions)) == 1


async def test_the_first_valid_record_of_an_id_wins(
    receive: ReceiveExecutions, executions: WatchedExecutions, make_report: MakeReport
) -> None:
    receipts = await receive(
        [
            Unreadable(27, "quantity must be greater than 0"),
            make_report(quantity=Decimal(1)),
            make_report(quantity=Decimal(2)),
        ]
    )

    assert receipts == [
        Failed(27, "quantity must be greater than 0"),
        Created(27, 1),
        Skipped(27, ALREADY_EXISTS, 1, ("quantity",)),
    ]
    assert [one.quantity for one in await kept(executions)] == [1]


async def test_an_execution_that_is_open_first_and_then_closed_is_kept(
    receive: ReceiveExecutions, executions: WatchedExecutions, make_report: MakeReport
) -> None:
    receipts = await receive([make_report(is_open=True), make_report(is_open=False)])

    assert receipts == [Skipped(27, STILL_OPEN), Created(27, 1)]
    assert [one.is_open for one in await kept(executions)] == [False]


async def test_an_open_execution_is_never_looked_up(
    receive: ReceiveExecutions, portfolios: MemoryPortfolios, make_report: MakeReport
) -> None:
    await receive([make_report(is_open=True)])

    assert portfolios.asked == []


async def test_the_repeats_of_a_failed_lookup_fail_too_and_it_is_made_once(
    receive: ReceiveExecutions,
    executions: WatchedExecutions,
    portfolios: MemoryPortfolios,
    make_report: MakeReport,
) -> None:
    portfolios.fail(27, message="no answer in time")

    receipts = await receive([make_report(), make_report()])

    assert receipts == [Failed(27, "no answer in time"), Failed(27, "no answer in time")]
    assert portfolios.asked == [27]
    assert executions.keeps == []


async def test_a_record_that_failed_is_kept_when_it_comes_again(
    receive: ReceiveExecutions, portfolios: MemoryPortfolios, make_report: MakeReport
) -> None:
    portfolios.fail(27)
    await receive([make_report()])
    portfolios.recover()

    assert await receive([make_report()]) == [Created(27, 1)]


async def test_a_known_execution_is_skipped_without_a_lookup_or_a_write(
    receive: ReceiveExecutions,
    executions: WatchedExecutions,
    portfolios: MemoryPortfolios,
    make_report: MakeReport,
) -> None:
    await receive([make_report()])
    portfolios.asked.clear()
    executions.keeps.clear()

    receipts = await receive([make_report()])

    assert receipts == [Skipped(27, ALREADY_EXISTS, 1)]
    assert portfolios.asked == []
    assert executions.keeps == []


async def test_a_known_execution_is_never_overwritten_and_what_differs_is_named(
    receive: ReceiveExecutions, executions: WatchedExecutions, make_report: MakeReport
) -> None:
    await receive([make_report()])

    (receipt,) = await receive([make_report(quantity=Decimal(5), ticker="ORCL")])

    assert receipt == Skipped(27, ALREADY_EXISTS, 1, ("ticker", "quantity"))
    assert [one.quantity for one in await kept(executions)] == [100]


async def test_one_bad_record_spoils_no_other(
    receive: ReceiveExecutions, portfolios: MemoryPortfolios, make_report: MakeReport
) -> None:
    portfolios.fail(50)

    receipts = await receive([make_report(execution_service_id=key) for key in range(1, 101)])

    assert [type(receipt) for receipt in receipts] == [Created] * 49 + [Failed] + [Created] * 50


async def test_lookups_go_side_by_side(executions: WatchedExecutions, make_report: MakeReport) -> None:
    receive = ReceiveExecutions(executions, MeetingPortfolios(100))

    async with asyncio.timeout(PATIENCE):
        receipts = await receive([make_report(execution_service_id=key) for key in range(1, 101)])

    assert [type(receipt) for receipt in receipts] == [Created] * 100


async def test_what_is_left_is_kept_in_one_call_in_the_records_order(
    receive: ReceiveExecutions, executions: WatchedExecutions, make_report: MakeReport
) -> None:
    await receive([make_report(execution_service_id=key) for key in (9, 3, 9, 7)])

    assert executions.keeps == [[9, 3, 7]]


async def test_a_race_that_was_lost_is_skipped_under_the_winners_id(
    receive: ReceiveExecutions, executions: WatchedExecutions, make_report: MakeReport
) -> None:
    executions.before_keep = [AllocatedExecution(make_report(ticker="ORCL"), PORTFOLIO)]

    receipts = await receive(
        [make_report(), make_report(execution_service_id=28), make_report(ticker="ORCL")]
    )

    assert receipts == [
        Skipped(27, ALREADY_EXISTS, 1, ("ticker",)),
        Created(28, 2),
        Skipped(27, ALREADY_EXISTS, 1),
    ]


async def test_what_was_kept_by_another_and_is_gone_again_is_not_called_created(
    receive: ReceiveExecutions,
    executions: WatchedExecutions,
    make_report: MakeReport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nothing(execution_service_ids: Collection[int]) -> dict[int, Execution]:
        del execution_service_ids
        return {}

    executions.before_keep = [AllocatedExecution(make_report(), PORTFOLIO)]
    monkeypatch.setattr(executions, "known", nothing)

    assert await receive([make_report()]) == [Skipped(27, ALREADY_EXISTS, 1)]


async def test_a_database_that_is_away_fails_the_call(
    receive: ReceiveExecutions,
    database: MemoryDatabase,
    portfolios: MemoryPortfolios,
    make_report: MakeReport,
) -> None:
    database.available = False

    with pytest.raises(StoreUnavailableError):
        await receive([make_report()])

    assert portfolios.asked == []


async def test_a_database_that_goes_away_before_keeping_fails_the_call_and_keeps_nothing(
    executions: WatchedExecutions, database: MemoryDatabase, make_report: MakeReport
) -> None:
    class LastWords:
        async def portfolio_of(self, execution_service_id: int) -> str:
            del execution_service_id
            database.available = False
            return PORTFOLIO

    with pytest.raises(StoreUnavailableError):
        await ReceiveExecutions(executions, LastWords())([make_report()])

    database.available = True
    assert await kept(executions) == []


async def test_what_can_be_answered_without_a_database_is(
    receive: ReceiveExecutions, database: MemoryDatabase, make_report: MakeReport
) -> None:
    database.available = False

    receipts = await receive([make_report(is_open=True), Unreadable(0, "no object")])

    assert receipts == [Skipped(27, STILL_OPEN), Failed(0, "no object")]


async def test_cancelling_ends_the_lookups_and_keeps_nothing(
    executions: WatchedExecutions, make_report: MakeReport
) -> None:
    portfolios = HangingPortfolios()
    reports = [make_report(execution_service_id=key) for key in (1, 2, 3)]
    under_way = asyncio.create_task(ReceiveExecutions(executions, portfolios)(reports))
    async with asyncio.timeout(PATIENCE):
        await portfolios.begun.wait()

        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way

    assert portfolios.cancelled == 3
    assert executions.keeps == []
