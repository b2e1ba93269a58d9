"""An operator settles by hand what nothing else can, and says why; the twin and PostgreSQL agree."""

from datetime import timedelta

import pytest
from tests.contract.stores import (
    DELIVERED,
    FAILED,
    FILE,
    HOUR,
    OTHER,
    PARTIAL,
    SOON,
    Stores,
    begin,
    claimed,
    end_next,
    queue,
    reject,
    settle,
    shown,
    take,
    takes_nothing,
)

from globeco_allocation.domain import DeliveryStatus, DeliveryStepError, Outcome, RecordVerdict, Reject
from globeco_allocation.domain.errors import LeaseLostError

REFUSED = Outcome(DeliveryStatus.FAILED, 0, 2, 0, exit_code=0, error="0 of 2 records booked, 2 refused")


async def resolve(stores: Stores, delivery_id: int) -> None:
    await stores.resolutions.resolve_delivery(delivery_id, "booked by hand", "operator")


async def resolve_record(stores: Stores, delivery_id: int, source_id: str) -> None:
    await stores.resolutions.resolve_record(delivery_id, source_id, f"{source_id} by hand", "operator")


@pytest.mark.parametrize("outcome", [PARTIAL, FAILED], ids=lambda one: one.status)
async def test_an_ended_delivery_is_resolved_with_a_reason_that_is_kept(
    stores: Stores, outcome: Outcome
) -> None:
    await queue(stores)
    ended = await end_next(stores, outcome)
    await resolve(stores, ended.id)
    resolved = await shown(stores, ended.id)
    (kept,) = await stores.resolutions.of_deliveries([ended.id])

    assert (resolved.status, resolved.outcome, resolved.error) == (
        DeliveryStatus.RESOLVED,
        outcome,
        outcome.error,
    )
    assert (kept.delivery_id, kept.source_id) == (ended.id, "")
    assert (kept.reason, kept.resolved_by) == ("booked by hand", "operator")
    assert kept.resolved.utcoffset() == timedelta(0)


async def test_resolving_frees_the_lane(stores: Stores) -> None:
    _, behind = await queue(stores, (0, 0), (0, 1))
    begun = await begin(stores)
    await settle(stores, begun, FAILED, retry_in=HOUR)
    assert await takes_nothing(stores)
    await resolve(stores, begun.delivery.id)

    assert (await take(stores)).delivery.id == behind.id


async def test_a_file_that_cannot_be_written_is_resolved(stores: Stores) -> None:
    leased, delivery = await claimed(stores)
    await stores.batches.hindered(leased.lease, HOUR)
    await resolve(stores, delivery.id)
    stores.step_clock(HOUR)
    again = await stores.batches.take_unprepared(OTHER)
    assert again is not None
    await stores.batches.prepared(again.lease)

    assert (await shown(stores, delivery.id)).status is DeliveryStatus.RESOLVED
    with pytest.raises(DeliveryStepError):
        await stores.deliveries.written(again.lease, delivery.id, FILE)


async def test_what_somebody_writes_is_not_resolved(stores: Stores) -> None:
    _, delivery = await claimed(stores)

    with pytest.raises(DeliveryStepError):
        await resolve(stores, delivery.id)
    assert await shown(stores, delivery.id) == delivery


async def test_what_somebody_delivers_is_not_resolved(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)

    with pytest.raises(DeliveryStepError):
        await resolve(stores, begun.delivery.id)
    assert await shown(stores, begun.delivery.id) == begun.delivery
    assert await stores.resolutions.of_deliveries([begun.delivery.id]) == ()


async def test_whoever_worked_on_what_was_resolved_has_lost_it(stores: Stores) -> None:
    await queue(stores)
    late = await begin(stores)
    await stores.deliveries.identified(late.lease, 1, "uid-1")
    stores.let_leases_run_out()
    await resolve(stores, late.delivery.id)
    resolved = await shown(stores, late.delivery.id)

    with pytest.raises(LeaseLostError):
        await stores.leases.renew(late.lease)
    with pytest.raises(LeaseLostError):
        await settle(stores, late, DELIVERED)
    assert await shown(stores, late.delivery.id) == resolved
    assert (resolved.status, resolved.under_way) == (DeliveryStatus.RESOLVED, False)
    assert await takes_nothing(stores)


async def test_whoever_delivered_what_is_sent_again_has_lost_it(stores: Stores) -> None:
    await queue(stores)
    late = await begin(stores)
    await settle(stores, late, FAILED)
    (again,) = await stores.deliveries.resend(late.delivery.batch_id, "operator")

    with pytest.raises(LeaseLostError):
        await stores.deliveries.begun(late.lease, 2)
    assert await shown(stores, again.id) == again


async def test_what_is_delivered_or_resolved_is_not_resolved(stores: Stores) -> None:
    await queue(stores, (0, 0), (0, 1))
    delivered, failed = await end_next(stores), await end_next(stores, FAILED)
    await resolve(stores, failed.id)

    for delivery_id in (delivered.id, failed.id, 99):
        with pytest.raises(DeliveryStepError):
            await resolve(stores, delivery_id)
    assert await shown(stores, delivered.id) == delivered
    assert len(await stores.resolutions.of_deliveries([delivered.id, failed.id, 99])) == 1


async def test_what_is_resolved_is_not_sent_again(stores: Stores) -> None:
    await queue(stores)
    failed = await end_next(stores, FAILED)
    await resolve(stores, failed.id)

    with pytest.raises(DeliveryStepError):
        await stores.deliveries.resend(failed.batch_id, "operator")


@pytest.mark.parametrize("outcome", [PARTIAL, REFUSED], ids=["partial", "all refused"])
async def test_with_its_last_open_record_a_delivery_is_resolved(stores: Stores, outcome: Outcome) -> None:
    await queue(stores)
    ended = await end_next(stores, outcome, reject(1), reject(2))
    await resolve_record(stores, ended.id, "AC2")
    between = await shown(stores, ended.id)
    await resolve_record(stores, ended.id, "AC1")
    kept = await stores.resolutions.of_deliveries([ended.id])

    assert between == ended
    assert (await shown(stores, ended.id)).status is DeliveryStatus.RESOLVED
    assert [(one.source_id, one.reason, one.resolved_by) for one in kept] == [
        ("AC2", "AC2 by hand", "operator"),
        ("AC1", "AC1 by hand", "operator"),
    ]


async def test_a_delivery_of_which_something_is_unknown_stays_open(stores: Stores) -> None:
    await queue(stores)
    ended = await end_next(stores, FAILED, reject(1), reject(2, RecordVerdict.NOT_SENT))
    for source_id in ("AC1", "AC2"):
        await resolve_record(stores, ended.id, source_id)

    assert await shown(stores, ended.id) == ended


async def test_a_record_that_nobody_could_name_leaves_its_delivery_open(stores: Stores) -> None:
    await queue(stores)
    nameless = Reject("", RecordVerdict.REFUSED, "too few fields")
    ended = await end_next(stores, PARTIAL, reject(1), nameless)
    await resolve_record(stores, ended.id, "AC1")

    with pytest.raises(DeliveryStepError):
        await resolve_record(stores, ended.id, "")
    assert await shown(stores, ended.id) == ended


async def test_only_a_record_that_was_rejected_is_resolved(stores: Stores) -> None:
    await queue(stores)
    ended = await end_next(stores, PARTIAL, reject(1), reject(2))
    await resolve_record(stores, ended.id, "AC1")

    for delivery_id, source_id in [(ended.id, "AC1"), (ended.id, "AC3"), (99, "AC2"), (ended.id, "AC\0")]:
        with pytest.raises(DeliveryStepError):
            await resolve_record(stores, delivery_id, source_id)
    assert len(await stores.resolutions.of_deliveries([ended.id])) == 1


async def test_no_record_is_resolved_before_its_delivery_has_ended(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    await stores.deliveries.rejected(begun.lease, 1, [reject(1)], first=True)
    with pytest.raises(DeliveryStepError):
        await resolve_record(stores, begun.delivery.id, "AC1")
    await settle(stores, begun, FAILED, retry_in=SOON)

    with pytest.raises(DeliveryStepError):
        await resolve_record(stores, begun.delivery.id, "AC1")


async def test_no_record_of_a_resolved_delivery_is_resolved(stores: Stores) -> None:
    await queue(stores)
    ended = await end_next(stores, PARTIAL, reject(1), reject(2))
    await resolve(stores, ended.id)

    with pytest.raises(DeliveryStepError):
        await resolve_record(stores, ended.id, "AC1")


async def test_a_stop_is_cleared_once(stores: Stores) -> None:
    await queue(stores)
    await settle(stores, await begin(stores), FAILED, collision=True)
    await stores.resolutions.clear_stop("the ids were renumbered", "operator")

    assert await stores.deliveries.stop() is None
    with pytest.raises(DeliveryStepError):
        await stores.resolutions.clear_stop("again", "operator")


async def test_where_nothing_is_stopped_there_is_nothing_to_clear(stores: Stores) -> None:
    with pytest.raises(DeliveryStepError):
        await stores.resolutions.clear_stop("why not", "operator")


async def test_clearing_a_stop_resolves_no_delivery(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    await settle(stores, begun, FAILED, collision=True)
    await stores.resolutions.clear_stop("the ids were renumbered", "operator")

    assert (await shown(stores, begun.delivery.id)).status is DeliveryStatus.FAILED
    assert await stores.resolutions.of_deliveries([begun.delivery.id]) == ()


async def test_a_new_collision_stops_all_delivery_anew(stores: Stores) -> None:
    await queue(stores, (0, 0), (0, 1))
    for number in range(2):
        await settle(stores, await begin(stores), FAILED, collision=True)
        assert await stores.deliveries.stop() is not None
        await stores.resolutions.clear_stop(f"reason {number}", "operator")

    assert await stores.deliveries.stop() is None


async def test_resolutions_come_oldest_first_and_only_those_asked_for(stores: Stores) -> None:
    await queue(stores, (0, 0), (0, 1), (0, 2))
    ended = [await end_next(stores, FAILED) for _ in range(3)]
    for one in (ended[2], ended[0], ended[1]):
        await resolve(stores, one.id)
    kept = await stores.resolutions.of_deliveries([ended[0].id, ended[2].id, 10**40])

    assert [one.delivery_id for one in kept] == [ended[2].id, ended[0].id]
    assert await stores.resolutions.of_deliveries([]) == ()


async def test_an_operators_odd_words_are_kept_readable(stores: Stores) -> None:
    await queue(stores)
    failed = await end_next(stores, FAILED)
    await stores.resolutions.resolve_delivery(failed.id, f"a\0b{chr(0xD800)}c", "ann\0")
    (kept,) = await stores.resolutions.of_deliveries([failed.id])

    assert (kept.reason, kept.resolved_by) == ("a\ufffdb?c", "ann\ufffd")
