"""What came in and what went out lately is counted by stretch of time; the twin and PostgreSQL agree."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from tests.contract.stores import (
    DELIVERED,
    FAILED,
    HOUR,
    PARTIAL,
    Stores,
    begin,
    end_next,
    queue,
    settle,
    shown,
    take,
)

from globeco_allocation.domain import AllocatedExecution, DeliveryStatus, Outcome
from globeco_allocation.ports.activity import Delivered, Stretches

HALF_AN_HOUR = timedelta(minutes=30)
PLENTY = 1000

Allocate = Callable[..., AllocatedExecution]


async def keep(stores: Stores, allocate: Allocate, *keys: int) -> datetime:
    """Keep executions, and return their ready stamp."""
    kept = await stores.executions.keep([allocate(key) for key in keys])
    execution = await stores.executions.get(kept[keys[0]].id)
    assert execution is not None
    assert execution.ready_to_send_timestamp is not None
    return execution.ready_to_send_timestamp


def around(instant: datetime) -> Stretches:
    """Return half hours from the one that holds an instant up to four hours later."""
    wide = Stretches(instant, instant, HALF_AN_HOUR)
    since = wide.start_of(instant)
    return replace(wide, since=since, until=since + 4 * HOUR)


def test_stretches_begin_at_round_times_and_cover_what_is_asked_for() -> None:
    stretches = around(datetime.fromisoformat("2026-03-02T14:44:00Z"))

    starts = stretches.starts()
    assert [f"{one:%H:%M}" for one in (starts[0], starts[1], starts[-1])] == ["14:30", "15:00", "18:00"]
    assert starts[-1] + HALF_AN_HOUR == stretches.until


async def test_where_nothing_happened_nothing_is_counted(stores: Stores) -> None:
    stretches = around(await stores.batches.last_start())

    assert await stores.activity.became_ready(stretches, most=PLENTY) == {}
    assert await stores.activity.delivered(stretches, most=PLENTY) == {}
    assert await stores.activity.troubled(batches=5, most=PLENTY) == []


async def test_executions_are_counted_where_they_became_ready(stores: Stores, allocate: Allocate) -> None:
    first = await keep(stores, allocate, 1, 2)
    stores.step_clock(HOUR)
    second = await keep(stores, allocate, 3)
    stretches = around(first)

    assert await stores.activity.became_ready(stretches, most=PLENTY) == {
        stretches.start_of(first): 2,
        stretches.start_of(second): 1,
    }


async def test_what_is_outside_of_the_stretches_is_left_out(stores: Stores, allocate: Allocate) -> None:
    first = await keep(stores, allocate, 1)
    stores.step_clock(HOUR)
    second = await keep(stores, allocate, 2)
    stores.step_clock(HOUR)
    await keep(stores, allocate, 3)
    stretches = around(second)
    only_second = replace(stretches, until=stretches.since + HALF_AN_HOUR)
    up_to_first = replace(stretches, since=stretches.start_of(first), until=first)

    assert await stores.activity.became_ready(only_second, most=PLENTY) == {stretches.since: 1}
    assert await stores.activity.became_ready(up_to_first, most=PLENTY) == {}


async def test_of_many_executions_the_newest_are_counted(stores: Stores, allocate: Allocate) -> None:
    first = await keep(stores, allocate, 1, 2, 3)
    stores.step_clock(HOUR)
    second = await keep(stores, allocate, 4, 5)
    stretches = around(first)

    assert await stores.activity.became_ready(stretches, most=3) == {
        stretches.start_of(first): 1,
        stretches.start_of(second): 2,
    }


async def test_files_count_where_they_were_planned_and_records_where_their_attempt_ended(
    stores: Stores,
) -> None:
    (planned,) = await queue(stores)
    taken = await take(stores)
    await stores.deliveries.begun(taken.lease, 1)
    stretches = around(planned.created)
    assert await stores.activity.delivered(stretches, most=PLENTY) == {stretches.since: Delivered(batches=1)}

    stores.step_clock(HOUR)
    stores.let_leases_run_out()
    ended = await end_again(stores)

    assert await stores.activity.delivered(stretches, most=PLENTY) == {
        stretches.since: Delivered(batches=1),
        stretches.start_of(ended): Delivered(booked=1, rejected=2),
    }


async def test_records_of_which_nothing_is_known_count_as_such(stores: Stores) -> None:
    (planned,) = await queue(stores)
    stretches = around(planned.created)
    ended = await end_again(stores, replace(PARTIAL, status=DeliveryStatus.FAILED, unknown_count=3))

    delivered = await stores.activity.delivered(stretches, most=PLENTY)
    assert delivered[stretches.start_of(ended)].unknown == 3


async def end_again(stores: Stores, outcome: Outcome = PARTIAL) -> datetime:
    """Take over the attempt under way, and settle it."""
    begun = await begin(stores)
    await settle(stores, begun, outcome)
    ended = (await shown(stores, begun.delivery.id)).ended
    assert ended is not None
    return ended


async def test_a_batch_of_several_files_is_one_batch(stores: Stores) -> None:
    planned = await queue(stores, (0, 0), (0, 1))
    await end_next(stores)
    await end_next(stores)
    stretches = around(planned[0].created)

    counted = (await stores.activity.delivered(stretches, most=PLENTY)).values()
    assert sum(one.batches for one in counted) == 1
    assert sum(one.booked for one in counted) == 6


async def test_no_more_files_are_looked_at_than_is_said(stores: Stores) -> None:
    (older,) = await queue(stores)
    await end_next(stores, FAILED)
    (newer,) = await queue(stores)
    await end_next(stores, PARTIAL)
    stretches = around(older.created)

    counted = (await stores.activity.delivered(stretches, most=1)).values()
    assert sum(one.batches for one in counted) == 1
    assert await stores.activity.troubled(batches=5, most=1) == [newer.batch_id]


async def test_batches_with_a_failed_or_partial_file_are_found_newest_first(stores: Stores) -> None:
    outcomes = [PARTIAL, DELIVERED, FAILED, DELIVERED]
    batches: list[int] = []
    for outcome in outcomes:
        (delivery,) = await queue(stores)
        await end_next(stores, outcome)
        batches.append(delivery.batch_id)

    assert await stores.activity.troubled(batches=5, most=PLENTY) == [batches[2], batches[0]]
    assert await stores.activity.troubled(batches=1, most=PLENTY) == [batches[2]]


async def test_what_is_sent_again_is_no_trouble_while_it_is_under_way(stores: Stores) -> None:
    (delivery,) = await queue(stores)
    await end_next(stores, FAILED)
    await stores.deliveries.resend(delivery.batch_id, "somebody")

    assert await stores.activity.troubled(batches=5, most=PLENTY) == []
