"""What may be worked on next, and what has to wait for what; the twin and PostgreSQL agree."""

import asyncio

import pytest
from tests.contract.stores import (
    DELIVERED,
    FAILED,
    FILE,
    HOUR,
    ONE,
    OTHER,
    PARTIAL,
    SOON,
    Stores,
    begin,
    claim,
    claimed,
    end_next,
    planned,
    queue,
    settle,
    shown,
    take,
    takes_nothing,
)

from globeco_allocation.domain import Outcome


async def test_nothing_is_taken_from_an_empty_queue(stores: Stores) -> None:
    assert await takes_nothing(stores)


async def test_a_file_that_is_not_written_is_not_taken(stores: Stores) -> None:
    await claimed(stores)

    assert await takes_nothing(stores)


async def test_a_taken_delivery_is_leased_as_it_stands(stores: Stores) -> None:
    (delivery,) = await queue(stores)
    taken = await take(stores)

    assert taken.delivery == delivery
    assert (taken.lease.id, taken.lease.holder) == (delivery.id, ONE)
    assert await takes_nothing(stores)


async def test_of_those_who_take_at_once_each_gets_another(stores: Stores) -> None:
    deliveries = await queue(stores, (0, 0), (1, 0), (2, 0), lane_count=3)
    taken = await asyncio.gather(*(stores.deliveries.take(ONE) for _ in range(8)))

    assert sorted(one.delivery.id for one in taken if one) == [one.id for one in deliveries]
    assert len({one.lease.token for one in taken if one}) == 3


async def test_of_those_who_take_from_one_lane_at_once_one_may(stores: Stores) -> None:
    first, *_ = await queue(stores, (0, 0), (0, 1), (0, 2))
    taken = await asyncio.gather(*(stores.deliveries.take(ONE) for _ in range(8)))

    assert [one.delivery.id for one in taken if one] == [first.id]


@pytest.mark.parametrize("outcome", [DELIVERED, PARTIAL, FAILED], ids=lambda one: one.status)
async def test_a_lane_is_free_for_the_next_part_once_one_has_ended(stores: Stores, outcome: Outcome) -> None:
    parts = await queue(stores, (0, 0), (0, 1), (0, 2))
    order: list[int] = []
    for _ in parts:
        begun = await begin(stores)
        assert await takes_nothing(stores)
        order.append(begun.delivery.id)
        await settle(stores, begun, outcome)

    assert order == [one.id for one in parts]
    assert await takes_nothing(stores)


async def test_lanes_go_side_by_side_part_by_part(stores: Stores) -> None:
    await queue(stores, (0, 0), (0, 1), (1, 0), (1, 1), lane_count=2)
    first, second = await begin(stores), await begin(stores, OTHER)
    assert await takes_nothing(stores)
    await settle(stores, first, DELIVERED)
    third = await begin(stores)
    assert await takes_nothing(stores)
    await settle(stores, second, DELIVERED)
    fourth = await begin(stores)

    places = [(one.delivery.lane, one.delivery.part) for one in (first, second, third, fourth)]
    assert places == [(0, 0), (1, 0), (0, 1), (1, 1)]


async def test_within_a_batch_earlier_parts_of_all_lanes_come_first(stores: Stores) -> None:
    await queue(stores, (0, 0), (0, 1), (1, 0), lane_count=2)
    ended = [await end_next(stores) for _ in range(3)]

    assert [(one.lane, one.part) for one in ended] == [(0, 0), (1, 0), (0, 1)]


async def test_a_lane_keeps_its_order_across_batches(stores: Stores) -> None:
    (first,) = await queue(stores, (0, 0), lane_count=2)
    second, other_lane = await queue(stores, (0, 0), (1, 0), lane_count=2)
    begun = await begin(stores)
    beside = await begin(stores, OTHER)
    assert await takes_nothing(stores)
    await settle(stores, begun, FAILED)

    assert begun.delivery.id == first.id
    assert beside.delivery.id == other_lane.id
    assert (await take(stores)).delivery.id == second.id


async def test_a_changed_lane_count_waits_for_everything_older(stores: Stores) -> None:
    await queue(stores, (0, 0), (1, 0), lane_count=2)
    (changed,) = await queue(stores, (2, 0), lane_count=3)
    older = [await begin(stores), await begin(stores)]
    for begun in older:
        assert await takes_nothing(stores)
        await settle(stores, begun, DELIVERED)

    assert (await take(stores)).delivery.id == changed.id


async def test_what_is_younger_waits_for_the_changed_lane_count(stores: Stores) -> None:
    await queue(stores, (0, 0), lane_count=2)
    await queue(stores, (2, 0), lane_count=3)
    (back,) = await queue(stores, (1, 0), lane_count=2)
    await end_next(stores)
    begun = await begin(stores)
    assert await takes_nothing(stores)
    await settle(stores, begun, DELIVERED)

    assert (await take(stores)).delivery.id == back.id


async def test_an_unprepared_batch_holds_everything_later_back(stores: Stores) -> None:
    leased, older = await claimed(stores)
    (later,) = await queue(stores)
    assert await takes_nothing(stores)
    await stores.deliveries.written(leased.lease, older.id, FILE)
    ended = await end_next(stores)
    assert await takes_nothing(stores)
    await stores.batches.prepared(leased.lease)

    assert ended.id == older.id
    assert (await take(stores)).delivery.id == later.id


async def test_an_unplanned_batch_holds_everything_later_back(stores: Stores) -> None:
    leased = await claim(stores)
    (later,) = await queue(stores, (3, 0), lane_count=4)
    assert await takes_nothing(stores)
    await stores.batches.prepared(leased.lease)

    assert (await take(stores)).delivery.id == later.id


async def test_an_unprepared_batch_holds_nothing_back_that_stands_before_it(stores: Stores) -> None:
    (delivery,) = await queue(stores)
    await claim(stores)

    assert (await take(stores)).delivery.id == delivery.id


async def test_a_file_goes_before_its_own_batch_is_prepared(stores: Stores) -> None:
    first, _ = await queue(stores, (0, 0), (1, 0), lane_count=2, prepared=False)

    assert (await take(stores)).delivery.id == first.id


async def test_an_unwritten_part_holds_its_lane(stores: Stores) -> None:
    leased = await claim(stores, lane_count=2)
    batch_id = leased.batch.id
    files = [planned(batch_id, 0, 0), planned(batch_id, 0, 1), planned(batch_id, 1, 0)]
    first, second, other_lane = await stores.batches.plan(leased.lease, files)
    for one in (second, other_lane):
        await stores.deliveries.written(leased.lease, one.id, FILE)
    taken = await take(stores)
    assert await takes_nothing(stores)
    await stores.deliveries.written(leased.lease, first.id, FILE)

    assert taken.delivery.id == other_lane.id
    assert (await take(stores)).delivery.id == first.id


async def test_one_that_waits_for_its_retry_holds_its_lane(stores: Stores) -> None:
    first, _, beside = await queue(stores, (0, 0), (0, 1), (1, 0), lane_count=2)
    await settle(stores, await begin(stores), FAILED, retry_in=SOON)
    assert (await take(stores)).delivery.id == beside.id
    assert await takes_nothing(stores)
    stores.step_clock(SOON)
    again = await begin(stores)

    assert (again.delivery.id, again.delivery.attempts) == (first.id, 2)


async def test_one_that_waits_for_its_retry_comes_when_it_is_due_and_not_before(stores: Stores) -> None:
    await queue(stores)
    await settle(stores, await begin(stores), FAILED, retry_in=2 * SOON)
    stores.step_clock(SOON)
    assert await takes_nothing(stores)
    stores.step_clock(SOON)

    assert not await takes_nothing(stores)


@pytest.mark.parametrize("under_way", [False, True], ids=["not begun", "under way"])
async def test_a_hindered_delivery_comes_when_it_is_due_and_not_before(
    stores: Stores, under_way: bool
) -> None:
    (delivery,) = await queue(stores)
    taken = await begin(stores) if under_way else await take(stores)
    await stores.deliveries.hindered(taken.lease, "no turn", HOUR)
    hindered = await shown(stores, delivery.id)
    assert await takes_nothing(stores)
    stores.step_clock(HOUR)
    again = await take(stores, OTHER)

    assert (hindered.error, hindered.under_way, hindered.attempts) == ("no turn", under_way, int(under_way))
    assert hindered.not_before is not None
    assert again.delivery == hindered
    assert again.delivery.attempt == 1


async def test_a_hindered_delivery_holds_its_lane(stores: Stores) -> None:
    await queue(stores, (0, 0), (0, 1))
    await stores.deliveries.hindered((await take(stores)).lease, "no turn", HOUR)

    assert await takes_nothing(stores)


async def test_a_resend_queues_last(stores: Stores) -> None:
    await queue(stores)
    (second,) = await queue(stores)
    failed = await end_next(stores, FAILED)
    (third,) = await queue(stores)
    await stores.deliveries.resend(failed.batch_id, "operator")
    ended = [(await end_next(stores)).id for _ in range(3)]

    assert ended == [second.id, third.id, failed.id]


async def test_what_is_claimed_after_a_resend_waits_for_it(stores: Stores) -> None:
    await queue(stores)
    failed = await end_next(stores, FAILED)
    await stores.deliveries.resend(failed.batch_id, "operator")
    (later,) = await queue(stores)
    begun = await begin(stores)
    assert await takes_nothing(stores)
    await settle(stores, begun, DELIVERED)

    assert begun.delivery.id == failed.id
    assert (await take(stores)).delivery.id == later.id


async def test_an_unprepared_batch_holds_a_later_resend_back(stores: Stores) -> None:
    await queue(stores)
    failed = await end_next(stores, FAILED)
    leased = await claim(stores)
    await stores.deliveries.resend(failed.batch_id, "operator")
    assert await takes_nothing(stores)
    await stores.batches.prepared(leased.lease)

    assert (await take(stores)).delivery.id == failed.id


async def test_the_parts_of_a_resend_keep_their_order(stores: Stores) -> None:
    parts = await queue(stores, (0, 0), (0, 1), (0, 2))
    for outcome in (FAILED, DELIVERED, PARTIAL):
        await end_next(stores, outcome)
    again = await stores.deliveries.resend(parts[0].batch_id, "operator")
    ended = [(await end_next(stores)).id for _ in again]

    assert ended == [one.id for one in again] == [parts[0].id, parts[2].id]
    assert await takes_nothing(stores)
