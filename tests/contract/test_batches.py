"""Every kept execution is in exactly one batch window; the twin and PostgreSQL agree."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from tests.contract.stores import ONE, TRACE, Stores

from globeco_allocation.domain import (
    FIRST_START,
    AllocatedExecution,
    Batch,
    ClaimTerms,
    FileQuantity,
    WindowTakenError,
)
from globeco_allocation.ports.batches import Batches, LeasedBatch

Allocate = Callable[..., AllocatedExecution]

TERMS = ClaimTerms(
    file_quantity=FileQuantity.FILLED,
    lane_count=3,
    file_max_records=250,
    requested_by="correlation-1",
    trace=TRACE,
)
HOUR = timedelta(hours=1)


async def claim_next(batches: Batches) -> Batch:
    return (await batches.claim(await batches.last_start(), TERMS, ONE)).batch


async def ids_in(batches: Batches, batch: Batch) -> list[int]:
    async with batches.executions(batch) as executions:
        return [execution.execution_service_id async for execution in executions]


async def test_the_first_window_begins_where_every_database_does(stores: Stores) -> None:
    assert await stores.batches.last_start() == FIRST_START

    batch = await claim_next(stores.batches)

    assert batch.window.previous_start == FIRST_START
    assert batch.terms == TERMS


async def test_windows_follow_each_other_without_gap_or_overlap(stores: Stores) -> None:
    batches = [await claim_next(stores.batches) for _ in range(5)]

    for earlier, later in pairwise(batches):
        assert later.window.previous_start == earlier.window.start
        assert later.id > earlier.id
    assert await stores.batches.last_start() == batches[-1].start


async def test_a_batch_takes_in_what_was_kept_before_it_and_nothing_later(
    stores: Stores, allocate: Allocate
) -> None:
    await stores.executions.keep([allocate(2), allocate(1)])
    first = await claim_next(stores.batches)
    await stores.executions.keep([allocate(3)])
    second = await claim_next(stores.batches)

    assert await ids_in(stores.batches, first) == [2, 1]
    assert await ids_in(stores.batches, second) == [3]


async def test_a_claimed_batch_is_found_again_with_its_terms(stores: Stores) -> None:
    batch = await claim_next(stores.batches)

    assert await stores.batches.get(batch.id) == batch


@pytest.mark.parametrize("unknown", [-1, 0, 1, 4711, 2**31, 2**63])
async def test_no_batch_is_found_that_we_have_not_claimed(stores: Stores, unknown: int) -> None:
    await claim_next(stores.batches)

    assert await stores.batches.get(unknown) is None


async def test_a_window_may_be_empty(stores: Stores, allocate: Allocate) -> None:
    await stores.executions.keep([allocate(1)])
    await claim_next(stores.batches)
    batch = await claim_next(stores.batches)

    assert await ids_in(stores.batches, batch) == []


async def test_a_window_is_claimed_only_once(stores: Stores) -> None:
    last_start = await stores.batches.last_start()
    first = await stores.batches.claim(last_start, TERMS, ONE)

    with pytest.raises(WindowTakenError):
        await stores.batches.claim(last_start, TERMS, ONE)
    assert await stores.batches.last_start() == first.batch.start


async def test_of_those_who_claim_a_window_at_once_one_has_it(stores: Stores) -> None:
    last_start = await stores.batches.last_start()

    answers = await asyncio.gather(
        *(stores.batches.claim(last_start, TERMS, ONE) for _ in range(6)), return_exceptions=True
    )

    assert sum(isinstance(answer, LeasedBatch) for answer in answers) == 1
    assert sum(isinstance(answer, WindowTakenError) for answer in answers) == 5


@pytest.mark.parametrize("off", [-HOUR, timedelta(microseconds=-1), timedelta(microseconds=1)])
async def test_no_window_begins_where_no_batch_started(stores: Stores, off: timedelta) -> None:
    last_start = (await claim_next(stores.batches)).start

    with pytest.raises(WindowTakenError):
        await stores.batches.claim(last_start + off, TERMS, ONE)
    assert await stores.batches.last_start() == last_start


async def test_a_claimed_window_yields_the_same_executions_each_time(
    stores: Stores, allocate: Allocate
) -> None:
    await stores.executions.keep([allocate(key) for key in (5, 3, 4)])
    batch = await claim_next(stores.batches)
    first_reading = await ids_in(stores.batches, batch)
    await stores.executions.keep([allocate(key) for key in (1, 5, 6)])
    await claim_next(stores.batches)
    stores.step_clock(-HOUR)
    await stores.executions.keep([allocate(7)])

    assert first_reading == [5, 3, 4]
    assert await ids_in(stores.batches, batch) == first_reading


async def test_a_clock_that_steps_back_after_a_claim_hides_no_execution(
    stores: Stores, allocate: Allocate
) -> None:
    await stores.executions.keep([allocate(1)])
    first = await claim_next(stores.batches)
    stores.step_clock(-HOUR)
    await stores.executions.keep([allocate(2)])
    second = await claim_next(stores.batches)

    assert await ids_in(stores.batches, first) == [1]
    assert await ids_in(stores.batches, second) == [2]


async def test_a_clock_that_steps_back_before_a_claim_hides_no_execution(
    stores: Stores, allocate: Allocate
) -> None:
    await stores.executions.keep([allocate(1)])
    stores.step_clock(-HOUR)
    await stores.executions.keep([allocate(2)])
    batch = await claim_next(stores.batches)
    later = await claim_next(stores.batches)

    assert await ids_in(stores.batches, batch) == [1, 2]
    assert await ids_in(stores.batches, later) == []


async def test_a_long_window_is_read_whole_and_by_ascending_id(stores: Stores, allocate: Allocate) -> None:
    keys = range(4_500, 0, -1)
    await stores.executions.keep([allocate(key) for key in keys])
    batch = await claim_next(stores.batches)

    assert await ids_in(stores.batches, batch) == list(keys)


async def test_a_reader_may_stop_early_and_read_again(stores: Stores, allocate: Allocate) -> None:
    await stores.executions.keep([allocate(key) for key in range(1, 2_500)])
    batch = await claim_next(stores.batches)

    for _ in range(12):  # more often than there are connections
        async with stores.batches.executions(batch) as executions:
            assert (await anext(executions)).execution_service_id == 1
    assert len(await ids_in(stores.batches, batch)) == 2_499


async def test_two_windows_are_read_side_by_side(stores: Stores, allocate: Allocate) -> None:
    await stores.executions.keep([allocate(1), allocate(2)])
    first = await claim_next(stores.batches)
    await stores.executions.keep([allocate(3), allocate(4)])
    second = await claim_next(stores.batches)

    async with stores.batches.executions(first) as left, stores.batches.executions(second) as right:
        read = [(await anext(left), await anext(right)) for _ in range(2)]

    assert [(a.execution_service_id, b.execution_service_id) for a, b in read] == [(1, 3), (2, 4)]


async def test_a_readers_own_error_passes_through(stores: Stores, allocate: Allocate) -> None:
    await stores.executions.keep([allocate(1)])
    batch = await claim_next(stores.batches)

    async def read_onto_a_full_disk() -> None:
        async with stores.batches.executions(batch) as executions:
            async for _ in executions:
                raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await read_onto_a_full_disk()
    assert await ids_in(stores.batches, batch) == [1]


async def test_the_batch_that_holds_a_stamp_is_found(stores: Stores, allocate: Allocate) -> None:
    batches = [await claim_next(stores.batches) for _ in range(3)]
    await stores.executions.keep([allocate(1)])
    waiting = await stores.executions.known([1])

    for batch in batches:
        assert await stores.batches.holding(batch.window.previous_start) == (batch.id, batch)
    assert await stores.batches.holding(waiting[1].ready_to_send_timestamp or FIRST_START) is None


async def test_a_stamp_in_another_programs_window_names_no_batch_of_ours(stores: Stores) -> None:
    await claim_next(stores.batches)

    assert await stores.batches.holding(FIRST_START - HOUR) == (1, None)
    assert await stores.batches.holding(FIRST_START - timedelta(days=400)) is None


async def test_batches_are_listed_newest_first_a_page_at_a_time(stores: Stores) -> None:
    batches = [await claim_next(stores.batches) for _ in range(5)]
    newest_first = tuple(reversed(batches))
    page = await stores.batches.page(limit=2, offset=1)

    assert (page.batches, page.total) == (newest_first[1:3], 5)
    assert (await stores.batches.page(limit=10, offset=0)).batches == newest_first
    assert (await stores.batches.page(limit=10, offset=5)).batches == ()


async def test_what_no_text_column_can_hold_hinders_no_claim(stores: Stores) -> None:
    terms = ClaimTerms(requested_by=f"a\0b{chr(0xD800)}c")
    batch = (await stores.batches.claim(await stores.batches.last_start(), terms, ONE)).batch

    assert batch.terms.requested_by == "a\ufffdb?c"
    assert await stores.batches.get(batch.id) == batch
