"""A delivery is recorded step by step, and only in the allowed order; the twin and PostgreSQL agree."""

from datetime import timedelta
from itertools import pairwise

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
    claimed,
    queue,
    reject,
    settle,
    shown,
    take,
    takes_nothing,
)

from globeco_allocation.domain import DeliveryStatus, DeliveryStepError, Outcome
from globeco_allocation.domain.delivery import Knowledge, Settlement
from globeco_allocation.domain.lease import Lease, Leased


async def test_a_delivery_goes_from_claimed_to_its_end(stores: Stores) -> None:
    leased, delivery = await claimed(stores)
    seen = [delivery]
    await stores.deliveries.written(leased.lease, delivery.id, FILE)
    await stores.batches.prepared(leased.lease)
    seen.append(await shown(stores, delivery.id))
    begun = await begin(stores)
    seen.append(begun.delivery)
    await settle(stores, begun, PARTIAL)
    seen.append(await shown(stores, delivery.id))

    assert [one.status for one in seen] == ["claimed", "written", "delivering", "partial"]
    assert [one.file for one in seen] == [None, FILE, FILE, FILE]
    assert [one.attempts for one in seen] == [0, 0, 1, 1]
    assert [one.under_way for one in seen] == [False, False, True, False]
    assert [one.attempt for one in seen] == [1, 1, 1, 2]
    assert [one.outcome for one in seen] == [None, None, None, PARTIAL]
    assert [one.error for one in seen] == ["", "", "", PARTIAL.error]


async def test_each_step_has_its_time(stores: Stores) -> None:
    leased, delivery = await claimed(stores)
    stores.step_clock(SOON)
    await stores.deliveries.written(leased.lease, delivery.id, FILE)
    stores.step_clock(SOON)
    begun = await begin(stores)
    stores.step_clock(SOON)
    await settle(stores, begun, DELIVERED)
    ended = await shown(stores, delivery.id)

    times = [ended.created, ended.written, ended.started, ended.ended]
    assert (delivery.written, delivery.started, begun.delivery.ended) == (None, None, None)
    known = [one for one in times if one is not None]
    assert len(known) == 4
    assert {one.utcoffset() for one in known} == {timedelta(0)}
    for earlier, later in pairwise(known):
        assert SOON <= later - earlier < SOON + timedelta(seconds=20)


async def test_a_delivery_is_found_by_its_id(stores: Stores) -> None:
    _, delivery = await claimed(stores)

    assert await stores.deliveries.get(delivery.id) == delivery


@pytest.mark.parametrize("delivery_id", [99, 0, -1, 2**31, 10**40])
async def test_a_delivery_that_is_not_there_is_not_found(stores: Stores, delivery_id: int) -> None:
    await claimed(stores)

    assert await stores.deliveries.get(delivery_id) is None
    assert await stores.deliveries.rejects(delivery_id, limit=5) == ()
    assert await stores.deliveries.reject_of(delivery_id, "AC1") is None
    async with stores.deliveries.rejects_of_attempt(delivery_id, 1) as rejects:
        assert [one async for one in rejects] == []


async def test_beginning_the_attempt_under_way_again_changes_nothing(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    await stores.deliveries.identified(begun.lease, 1, "uid-1")
    before = await shown(stores, begun.delivery.id)
    stores.step_clock(SOON)
    await stores.deliveries.begun(begun.lease, 1)

    assert await shown(stores, begun.delivery.id) == before


@pytest.mark.parametrize("attempt", [-1, 0, 2, 2**31])
async def test_no_attempt_is_left_out(stores: Stores, attempt: int) -> None:
    (delivery,) = await queue(stores)
    taken = await take(stores)

    with pytest.raises(DeliveryStepError):
        await stores.deliveries.begun(taken.lease, attempt)
    assert await shown(stores, delivery.id) == delivery


async def test_an_ended_attempt_is_not_begun_again(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    await settle(stores, begun, FAILED, retry_in=SOON)

    with pytest.raises(DeliveryStepError):
        await stores.deliveries.begun(begun.lease, 1)


@pytest.mark.parametrize("outcome", [DELIVERED, PARTIAL, FAILED], ids=lambda one: one.status)
async def test_what_has_its_outcome_takes_no_step(stores: Stores, outcome: Outcome) -> None:
    await queue(stores)
    begun = await begin(stores)
    await settle(stores, begun, outcome)
    before = await shown(stores, begun.delivery.id)

    for step in (
        stores.deliveries.begun(begun.lease, 2),
        stores.deliveries.identified(begun.lease, 1, "uid"),
        stores.deliveries.hindered(begun.lease, "late", SOON),
        stores.deliveries.rejected(begun.lease, 1, [reject(1)], first=True),
    ):
        with pytest.raises(DeliveryStepError):
            await step
    assert await shown(stores, begun.delivery.id) == before
    assert before.status is outcome.status
    assert await takes_nothing(stores)


async def test_what_is_not_under_way_has_no_rejects_and_no_outcome(stores: Stores) -> None:
    (delivery,) = await queue(stores)
    lease = (await take(stores)).lease
    settlement = Settlement(outcome=DELIVERED, knowledge=Knowledge(1), tries=1)

    for attempt in (0, 1):
        with pytest.raises(DeliveryStepError):
            await stores.deliveries.settled(lease, attempt, settlement)
        with pytest.raises(DeliveryStepError):
            await stores.deliveries.rejected(lease, attempt, [reject(1)], first=True)
        with pytest.raises(DeliveryStepError):
            await stores.deliveries.identified(lease, attempt, "uid")
    assert await shown(stores, delivery.id) == delivery


async def test_only_the_attempt_under_way_is_settled(stores: Stores) -> None:
    await queue(stores)
    await settle(stores, await begin(stores), FAILED, retry_in=SOON)
    stores.step_clock(SOON)
    begun = await begin(stores)
    settlement = Settlement(outcome=DELIVERED, knowledge=Knowledge(1), tries=1)

    for attempt in (1, 3):
        with pytest.raises(DeliveryStepError):
            await stores.deliveries.settled(begun.lease, attempt, settlement)
    assert await shown(stores, begun.delivery.id) == begun.delivery


async def test_a_run_is_found_by_what_was_noted_of_it(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    for uid in ("uid-1", "uid-2", "uid-2"):
        await stores.deliveries.identified(begun.lease, 1, uid)
    stores.let_leases_run_out()
    successor = await take(stores, OTHER)

    assert (successor.delivery.run_uid, successor.delivery.attempt) == ("uid-2", 1)


async def test_no_attempt_has_the_run_of_an_earlier_one(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    await stores.deliveries.identified(begun.lease, 1, "uid-1")
    await settle(stores, begun, FAILED, retry_in=SOON)
    waiting = await shown(stores, begun.delivery.id)
    stores.step_clock(SOON)

    assert waiting.run_uid == ""
    assert (await begin(stores)).delivery.run_uid == ""


@pytest.mark.parametrize("outcome", [DELIVERED, PARTIAL, FAILED], ids=lambda one: one.status)
async def test_an_outcome_comes_back_as_it_was_settled(stores: Stores, outcome: Outcome) -> None:
    await queue(stores)
    begun = await begin(stores)
    knowledge = Knowledge(attempt=1, cut_offs=2)
    await settle(stores, begun, outcome, knowledge=knowledge)
    ended = await shown(stores, begun.delivery.id)

    assert (ended.outcome, ended.status, ended.error) == (outcome, outcome.status, outcome.error)
    assert (ended.knowledge, ended.tries, ended.not_before) == (knowledge, 1, None)


async def test_an_attempt_that_is_to_be_repeated_leaves_its_outcome_to_be_seen(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    settlement = Settlement(
        outcome=FAILED, knowledge=Knowledge(1, 1), retry_in=HOUR, tries=0, confirming=True
    )
    await stores.deliveries.settled(begun.lease, 1, settlement)
    waiting = await shown(stores, begun.delivery.id)
    stores.step_clock(HOUR)
    again = await begin(stores)

    assert (waiting.status, waiting.under_way) == (DeliveryStatus.DELIVERING, False)
    assert (waiting.outcome, waiting.error) == (FAILED, FAILED.error)
    assert (waiting.tries, waiting.confirming, waiting.knowledge) == (0, True, Knowledge(1, 1))
    assert waiting.ended is not None
    assert waiting.not_before == waiting.ended + HOUR
    assert (again.delivery.attempts, again.delivery.under_way, again.delivery.not_before) == (2, True, None)
    assert (again.delivery.outcome, again.delivery.error, again.delivery.ended) == (None, "", None)
    assert (again.delivery.confirming, again.delivery.knowledge) == (True, Knowledge(1, 1))


@pytest.mark.parametrize("retry_in", [None, SOON], ids=["for good", "to be repeated"])
async def test_settling_may_be_asked_again_but_not_otherwise(
    stores: Stores, retry_in: timedelta | None
) -> None:
    await queue(stores)
    begun = await begin(stores)
    await settle(stores, begun, FAILED, retry_in=retry_in)
    before = await shown(stores, begun.delivery.id)
    stores.step_clock(timedelta(seconds=3))
    await settle(stores, begun, FAILED, retry_in=retry_in)

    with pytest.raises(DeliveryStepError):
        await settle(stores, begun, DELIVERED)
    assert await shown(stores, begun.delivery.id) == before


async def test_a_hindrance_is_forgotten_when_the_attempt_begins(stores: Stores) -> None:
    await queue(stores)
    await stores.deliveries.hindered((await take(stores)).lease, "no turn", SOON)
    stores.step_clock(SOON)
    begun = await begin(stores)

    assert (begun.delivery.error, begun.delivery.not_before) == ("", None)


async def test_being_hindered_may_be_asked_again(stores: Stores) -> None:
    (delivery,) = await queue(stores)
    taken = await take(stores)
    for _ in range(2):
        await stores.deliveries.hindered(taken.lease, "no turn", SOON)
    hindered = await shown(stores, delivery.id)

    assert (hindered.status, hindered.error, hindered.attempts) == (DeliveryStatus.WRITTEN, "no turn", 0)


async def test_words_that_no_text_column_can_hold_are_kept_readable(stores: Stores) -> None:
    odd, readable = f"a\0b{chr(0xD800)}c", "a\ufffdb?c"
    leased, delivery = await claimed(stores)
    await stores.deliveries.not_written(leased.lease, delivery.id, odd)
    seen = [(await shown(stores, delivery.id)).error]
    await stores.deliveries.written(leased.lease, delivery.id, FILE)
    await stores.batches.prepared(leased.lease)
    await stores.deliveries.hindered((await take(stores)).lease, odd, timedelta(0))
    seen.append((await shown(stores, delivery.id)).error)
    begun = await begin(stores)
    await stores.deliveries.identified(begun.lease, 1, odd)
    seen.append((await shown(stores, delivery.id)).run_uid)
    said_oddly = Outcome(DeliveryStatus.FAILED, 0, 0, 3, None, odd)
    for _ in range(2):
        await settle(stores, begun, said_oddly)
    seen.append((await shown(stores, delivery.id)).error)
    (again,) = await stores.deliveries.resend(leased.batch.id, odd)

    assert [*seen, again.requested_by] == [readable] * 5


async def test_a_lease_on_no_delivery_takes_no_step(stores: Stores) -> None:
    lease = Lease(Leased.DELIVERY, 10**40, 1, ONE)
    await stores.leases.release(lease)

    assert await takes_nothing(stores)
