"""A collision stops all delivery until an operator ends the stop; the twin and PostgreSQL agree."""

import pytest
from tests.contract.stores import (
    DELIVERED,
    FAILED,
    OTHER,
    PARTIAL,
    Stores,
    begin,
    queue,
    settle,
    shown,
    take,
    takes_nothing,
)

from globeco_allocation.domain import DeliveryStatus, DeliveryStepError
from globeco_allocation.domain.delivery import Settlement


async def stop(stores: Stores, lane_count: int = 2) -> None:
    """End a delivery of lane 0 in a collision."""
    await queue(stores, (0, 0), lane_count=lane_count)
    await settle(stores, await begin(stores), FAILED, collision=True)


async def test_a_collision_stops_all_delivery_and_says_why(stores: Stores) -> None:
    before = await stores.deliveries.stop()
    await stop(stores)
    why = await stores.deliveries.stop()
    await queue(stores, (1, 0), lane_count=2)

    assert before is None
    assert why is not None
    collided = await shown(stores, why.delivery_id)
    assert (why.batch_id, why.reason) == (collided.batch_id, FAILED.error)
    assert why.since == collided.ended
    assert await takes_nothing(stores)


async def test_a_second_collision_leaves_the_first_ones_stop(stores: Stores) -> None:
    await queue(stores, (0, 0), (1, 0), lane_count=2)
    first, second = await begin(stores), await begin(stores)
    await settle(stores, first, FAILED, collision=True)
    why = await stores.deliveries.stop()
    await settle(stores, second, PARTIAL, collision=True)

    assert await stores.deliveries.stop() == why


async def test_a_collision_asked_again_stops_nothing_anew(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    await settle(stores, begun, FAILED, collision=True)
    await stores.resolutions.clear_stop("renumbered", "operator")
    await settle(stores, begun, FAILED, collision=True)

    assert await stores.deliveries.stop() is None


async def test_while_all_is_stopped_what_is_under_way_is_still_followed(stores: Stores) -> None:
    await queue(stores, (0, 0), (1, 0), (1, 1), lane_count=2)
    collided, running = await begin(stores), await begin(stores)
    await settle(stores, collided, FAILED, collision=True)
    stores.let_leases_run_out()
    taken = await take(stores, OTHER)
    await stores.deliveries.begun(taken.lease, 1)
    await stores.deliveries.settled(
        taken.lease, 1, Settlement(outcome=DELIVERED, knowledge=running.delivery.knowledge, tries=1)
    )

    assert taken.delivery == running.delivery
    assert (await shown(stores, taken.delivery.id)).status is DeliveryStatus.DELIVERED
    assert await takes_nothing(stores)


async def test_what_was_taken_before_the_stop_does_not_begin_after_it(stores: Stores) -> None:
    await queue(stores, (0, 0), (1, 0), lane_count=2)
    collided, waiting = await begin(stores), await take(stores, OTHER)
    await settle(stores, collided, FAILED, collision=True)

    with pytest.raises(DeliveryStepError):
        await stores.deliveries.begun(waiting.lease, 1)
    assert await shown(stores, waiting.delivery.id) == waiting.delivery


async def test_files_are_claimed_and_written_while_all_is_stopped(stores: Stores) -> None:
    await stop(stores)
    (delivery,) = await queue(stores, (1, 0), lane_count=2)

    assert delivery.status is DeliveryStatus.WRITTEN


async def test_delivery_goes_on_after_the_stop(stores: Stores) -> None:
    await stop(stores)
    (delivery,) = await queue(stores, (1, 0), lane_count=2)
    await stores.resolutions.clear_stop("renumbered", "operator")

    assert (await begin(stores)).delivery.id == delivery.id
