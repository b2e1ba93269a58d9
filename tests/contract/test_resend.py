"""What failed is sent again on request, behind everything else; the twin and PostgreSQL agree."""

import asyncio

import pytest
from tests.contract.stores import (
    DELIVERED,
    FAILED,
    FILE,
    HOUR,
    PARTIAL,
    Stores,
    begin,
    claim,
    end_next,
    planned,
    queue,
    settle,
    shown,
    take,
)

from globeco_allocation.domain import DeliveryStatus, DeliveryStepError
from globeco_allocation.domain.delivery import Knowledge, Settlement
from globeco_allocation.domain.trace_context import TraceContext


async def test_a_batchs_failed_and_partial_deliveries_are_sent_again(stores: Stores) -> None:
    await queue(stores, (0, 0), (1, 0), (2, 0), lane_count=3)
    ended = [await end_next(stores, outcome) for outcome in (FAILED, DELIVERED, PARTIAL)]
    anew = TraceContext("00-11111111111111111111111111111111-2222222222222222-00")
    again = await stores.deliveries.resend(ended[0].batch_id, "operator-7", anew)
    stand = await stores.deliveries.of_batches([ended[0].batch_id])

    assert [one.id for one in again] == [ended[0].id, ended[2].id]
    assert stand == (again[0], ended[1], again[1])
    for one, before in zip(again, (ended[0], ended[2]), strict=True):
        assert one.status is DeliveryStatus.WRITTEN
        assert (one.tries, one.attempts, one.attempt) == (0, 1, 2)
        assert (one.under_way, one.confirming, one.not_before, one.error) == (False, False, None, "")
        assert (one.requested_by, one.trace, one.file) == ("operator-7", anew, FILE)
        assert one.knowledge == before.knowledge, "what was ever stored is never forgotten"


async def test_what_is_sent_again_may_end_otherwise(stores: Stores) -> None:
    await queue(stores)
    failed = await end_next(stores, FAILED)
    await stores.deliveries.resend(failed.batch_id, "operator")
    ended = await end_next(stores, DELIVERED)

    assert (ended.id, ended.status, ended.attempts) == (failed.id, DeliveryStatus.DELIVERED, 2)


async def test_nothing_is_sent_again_that_was_delivered(stores: Stores) -> None:
    await queue(stores)
    delivered = await end_next(stores)

    with pytest.raises(DeliveryStepError):
        await stores.deliveries.resend(delivered.batch_id, "operator")
    assert await shown(stores, delivered.id) == delivered


@pytest.mark.parametrize("state", ["claimed", "written", "under way", "to be repeated"])
async def test_nothing_is_sent_again_while_a_delivery_of_the_batch_is_not_ended(
    stores: Stores, state: str
) -> None:
    leased = await claim(stores, lane_count=2)
    first, second = await stores.batches.plan(
        leased.lease, [planned(leased.batch.id, 0), planned(leased.batch.id, 1)]
    )
    await stores.deliveries.written(leased.lease, first.id, FILE)
    failed = await end_next(stores, FAILED)
    if state != "claimed":
        await stores.deliveries.written(leased.lease, second.id, FILE)
        await stores.batches.prepared(leased.lease)
    if state in {"under way", "to be repeated"}:
        begun = await begin(stores)
        if state == "to be repeated":
            await settle(stores, begun, FAILED, retry_in=HOUR)
    before = await stores.deliveries.of_batches([leased.batch.id])

    with pytest.raises(DeliveryStepError):
        await stores.deliveries.resend(leased.batch.id, "operator")
    assert await stores.deliveries.of_batches([leased.batch.id]) == before
    assert before[0] == failed


@pytest.mark.parametrize("batch_id", [99, 0, -1, 2**31, 10**40])
async def test_a_batch_that_is_not_there_is_not_sent_again(stores: Stores, batch_id: int) -> None:
    with pytest.raises(DeliveryStepError):
        await stores.deliveries.resend(batch_id, "operator")


async def test_of_those_who_send_a_batch_again_at_once_one_does(stores: Stores) -> None:
    await queue(stores)
    failed = await end_next(stores, FAILED)
    answers = await asyncio.gather(
        *(stores.deliveries.resend(failed.batch_id, f"operator-{number}") for number in range(5)),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, tuple) for answer in answers) == 1
    assert sum(isinstance(answer, DeliveryStepError) for answer in answers) == 4


async def test_what_is_sent_again_waits_not_for_its_own_batch(stores: Stores) -> None:
    leased = await claim(stores, lane_count=2)
    files = [planned(leased.batch.id, 0), planned(leased.batch.id, 1)]
    first, never_written = await stores.batches.plan(leased.lease, files)
    await stores.deliveries.written(leased.lease, first.id, FILE)
    await end_next(stores, FAILED)
    await stores.batches.hindered(leased.lease, HOUR)
    await stores.resolutions.resolve_delivery(never_written.id, "the disk is lost", "operator")
    await stores.deliveries.resend(leased.batch.id, "operator")

    assert (await take(stores)).delivery.id == first.id


async def test_what_is_sent_again_is_sent_to_be_booked_not_to_be_confirmed(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    settlement = Settlement(outcome=FAILED, knowledge=Knowledge(1, 1), tries=3, confirming=True)
    await stores.deliveries.settled(begun.lease, 1, settlement)
    (again,) = await stores.deliveries.resend(begun.delivery.batch_id, "operator")

    assert (again.confirming, again.tries, again.knowledge) == (False, 0, Knowledge(1, 1))
