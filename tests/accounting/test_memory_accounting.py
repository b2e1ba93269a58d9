"""The twin of accounting in memory: what it does wrong on request, and what it tells a test."""

import asyncio

import pytest
from tests.accounting.bench import NAME, order_for
from tests.accounting.permit import Permit

from globeco_allocation.adapters.memory.accounting import Fault, MemoryAccounting
from globeco_allocation.adapters.memory.accounting_runs import CutOff
from globeco_allocation.domain.accounting_run import PrintedCounts
from globeco_allocation.domain.errors import CliNotStartedError, RunNotFollowedError
from globeco_allocation.domain.transaction_file import HEADER

OTHER_NAME = "transactions_20260302_170000_8.csv"


def content(portfolio: str, *source_ids: str) -> bytes:
    rows = (
        f"{portfolio},security,{source_id},BUY,1.00000000,1.00000000,20260302\n" for source_id in source_ids
    )
    return HEADER + "".join(rows).encode()


async def started(accounting: MemoryAccounting) -> None:
    while not accounting.runs:  # noqa: ASYNC110 (no event tells)
        await asyncio.sleep(0)


@pytest.fixture
def accounting() -> MemoryAccounting:
    return MemoryAccounting(
        {NAME: content("ours", "AC1", "AC2", "AC3"), OTHER_NAME: content("ours", "AC4", "AC5")}
    )


async def words(accounting: MemoryAccounting, attempt: int = 1) -> dict[str, str]:
    rows = accounting.error_rows(order_for(NAME, attempt))
    return {row.source_id: row.message async for row in rows}


async def test_a_run_that_is_cut_off_leaves_no_counts_no_errors_and_one_record_in_flight(
    accounting: MemoryAccounting,
) -> None:
    accounting.cut_off = CutOff(1, one_in_flight=True)
    first = await accounting.run(order_for(NAME), Permit())
    first_words = await words(accounting)
    accounting.cut_off = None
    second = await accounting.run(order_for(NAME, 2), Permit())

    assert (first.counts, first.completed, first_words) == (None, False, {})
    assert second.counts == PrintedCounts(3, 1, 2)
    assert all("must be unique" in text for text in (await words(accounting, 2)).values())
    assert (set(accounting.booked), accounting.stored) == ({"AC1", "AC3"}, {"AC2"})
    assert accounting.booked_twice == set()


async def test_answers_of_chosen_records_are_lost_and_balances_of_others_fail(
    accounting: MemoryAccounting,
) -> None:
    accounting.lost_answers, accounting.unbookable = {"AC1"}, {"AC2"}
    run = await accounting.run(order_for(NAME), Permit())
    told = await words(accounting)

    assert run.counts == PrintedCounts(3, 1, 2)
    assert told["AC1"].endswith("EOF")
    assert '"field": "processing"' in told["AC2"]
    assert (set(accounting.booked), accounting.stored) == ({"AC1", "AC3"}, {"AC2"})


async def test_a_record_that_is_forgotten_and_posted_again_is_booked_twice(
    accounting: MemoryAccounting,
) -> None:
    await accounting.run(order_for(NAME), Permit())
    accounting.booked.clear()
    await accounting.run(order_for(NAME, 2), Permit())

    assert accounting.booked_twice == {"AC1", "AC2", "AC3"}


@pytest.mark.parametrize("keeps_lanes", [True, False], ids=["locks", "forgotten locks"])
async def test_runs_over_one_portfolio_overlap_only_where_locks_are_forgotten(
    accounting: MemoryAccounting, keeps_lanes: bool
) -> None:
    accounting.keeps_lanes = keeps_lanes
    orders = [order_for(name) for name in (NAME, OTHER_NAME)]
    await asyncio.gather(*(accounting.run(order, Permit()) for order in orders))

    assert (accounting.overlaps == []) == keeps_lanes
    assert {span.portfolios for span in accounting.spans.values()} == {frozenset({"ours"})}


async def test_an_order_waits_for_its_lane_only_so_long(accounting: MemoryAccounting) -> None:
    accounting.gate.clear()
    accounting.patience_seconds = 0.05
    holding = asyncio.create_task(accounting.run(order_for(NAME), Permit()))
    await started(accounting)
    with pytest.raises(RunNotFollowedError, match="has not had its turn"):
        await accounting.run(order_for(OTHER_NAME), Permit())
    accounting.gate.set()

    assert (await holding).counts == PrintedCounts(3, 3, 0)


async def test_a_run_outlives_its_event_loop_as_one_that_was_cut_off() -> None:
    def in_a_loop_of_its_own() -> None:
        async def ask() -> None:
            accounting.gate.clear()
            asking = asyncio.create_task(accounting.run(order_for(NAME), Permit()))
            await started(accounting)
            asking.cancel()

        asyncio.run(ask())

    accounting = MemoryAccounting({NAME: content("ours", "AC1")})
    await asyncio.to_thread(in_a_loop_of_its_own)
    run = await accounting.run(order_for(NAME), Permit())

    assert (run.counts, run.completed) == (None, False)
    assert accounting.runs == [(NAME, 1)]


async def test_what_cannot_be_followed_or_used_says_so(accounting: MemoryAccounting) -> None:
    accounting.fault = Fault.NOT_FOLLOWED
    accounting.unusable = "locks do not work"
    permit = Permit()

    with pytest.raises(RunNotFollowedError):
        await accounting.run(order_for(NAME), permit)
    with pytest.raises(CliNotStartedError, match="locks do not work"):
        await accounting.check()
    assert (accounting.runs, permit.told) == ([], [])
