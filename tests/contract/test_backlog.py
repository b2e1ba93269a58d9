"""What is not at its end is counted, with the time since when it waits; the twin and PostgreSQL agree."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.contract.stores import (
    FAILED,
    FILE,
    HOUR,
    PARTIAL,
    Stores,
    begin,
    claim,
    claimed,
    end_next,
    queue,
    reject,
    settle,
    shown,
    take,
)

from globeco_allocation.domain import AllocatedExecution, DeliveryStatus, Outcome
from globeco_allocation.domain.backlog import Waiting
from globeco_allocation.ports.pending import Deferral

Allocate = Callable[..., AllocatedExecution]
NOTHING = Waiting()
A_WHILE = timedelta(minutes=5)


async def test_in_a_fresh_database_nothing_is_outstanding(stores: Stores) -> None:
    seen = await stores.backlog.look()

    assert (seen.executions, seen.pending, seen.in_error, seen.batches) == (NOTHING,) * 4
    assert (seen.open_deliveries, seen.unresolved_deliveries, seen.stopped) == (NOTHING, NOTHING, None)
    assert set(seen.deliveries) == set(DeliveryStatus) - {DeliveryStatus.DELIVERED, DeliveryStatus.RESOLVED}
    assert seen.seen.utcoffset() == timedelta(0)


async def test_executions_wait_until_a_window_takes_them_in(stores: Stores, allocate: Allocate) -> None:
    await stores.executions.keep([allocate(1), allocate(2)])
    await claim(stores)
    await stores.executions.keep([allocate(3)])
    stores.step_clock(A_WHILE)
    await stores.executions.keep([allocate(4), allocate(5)])
    third = (await stores.executions.known([3]))[3]

    assert (await stores.backlog.look()).executions == Waiting(3, third.ready_to_send_timestamp)
    await claim(stores)
    assert (await stores.backlog.look()).executions == NOTHING


async def test_the_age_of_what_waits_is_told_by_the_databases_clock(
    stores: Stores, allocate: Allocate
) -> None:
    await stores.executions.keep([allocate(1)])
    stores.step_clock(HOUR)
    seen = await stores.backlog.look()

    assert seen.executions.oldest is not None
    assert HOUR <= seen.seen - seen.executions.oldest < HOUR + A_WHILE


async def test_what_waits_for_its_portfolio_is_told_from_what_was_given_up(
    stores: Stores, allocate: Allocate
) -> None:
    await stores.pending.defer([Deferral(allocate(1).execution, "away")], most=9)
    stores.step_clock(A_WHILE)
    await stores.pending.defer([Deferral(allocate(key).execution, "away") for key in (2, 3)], most=9)
    await stores.pending.give_up({2: "no portfolio"})
    seen = await stores.backlog.look()
    there = await stores.pending.among([1, 2])

    assert seen.pending == Waiting(2, there[1].deferred)
    assert seen.in_error == Waiting(1, there[2].deferred)
    assert seen.executions == NOTHING


async def test_a_batch_waits_until_all_its_files_are_written(stores: Stores) -> None:
    before = (await stores.backlog.look()).seen
    leased, delivery = await claimed(stores)
    batches = (await stores.backlog.look()).batches
    await stores.deliveries.written(leased.lease, delivery.id, FILE)
    await stores.batches.prepared(leased.lease)

    assert batches.count == 1
    assert batches.oldest is not None
    assert before <= batches.oldest < before + A_WHILE
    assert (await stores.backlog.look()).batches == NOTHING


async def test_a_delivery_is_open_from_its_claim_to_its_end(stores: Stores) -> None:
    leased, delivery = await claimed(stores)
    open_ = Waiting(1, delivery.created, delivery.record_count)
    stores.step_clock(A_WHILE)

    async def found() -> list[DeliveryStatus]:
        seen = await stores.backlog.look()
        assert seen.unresolved_deliveries == NOTHING
        return [status for status, waiting in seen.deliveries.items() if waiting == open_]

    assert await found() == [DeliveryStatus.CLAIMED]
    await stores.deliveries.written(leased.lease, delivery.id, FILE)
    await stores.batches.prepared(leased.lease)
    assert await found() == [DeliveryStatus.WRITTEN]
    begun = await begin(stores)
    assert await found() == [DeliveryStatus.DELIVERING]
    await settle(stores, begun, FAILED, retry_in=timedelta(0))
    assert await found() == [DeliveryStatus.DELIVERING]
    await end_next(stores)
    assert await found() == []


async def test_of_several_open_deliveries_the_oldest_tells_since_when(stores: Stores) -> None:
    (first,) = await queue(stores)
    stores.step_clock(A_WHILE)
    await queue(stores, (0, 0), (0, 1))
    await take(stores)

    assert (await stores.backlog.look()).open_deliveries == Waiting(3, first.created, 9)


@pytest.mark.parametrize("outcome", [PARTIAL, FAILED], ids=lambda one: one.status)
async def test_what_ended_without_success_waits_for_a_person(stores: Stores, outcome: Outcome) -> None:
    await queue(stores)
    stores.step_clock(A_WHILE)
    ended = await end_next(stores, outcome, reject(1), reject(2))
    to_look_at = outcome.rejected_count + outcome.unknown_count
    seen = await stores.backlog.look()

    assert seen.deliveries[ended.status] == Waiting(1, ended.ended, to_look_at)
    assert seen.unresolved_deliveries == Waiting(1, ended.ended, to_look_at)
    assert seen.open_deliveries == NOTHING
    await stores.resolutions.resolve_delivery(ended.id, "booked by hand", "operator")
    assert (await stores.backlog.look()).unresolved_deliveries == NOTHING


async def test_what_is_sent_again_is_open_again(stores: Stores) -> None:
    await queue(stores)
    ended = await end_next(stores, FAILED)
    await stores.deliveries.resend(ended.batch_id, "operator")
    seen = await stores.backlog.look()

    assert seen.deliveries[DeliveryStatus.WRITTEN] == Waiting(1, ended.created, ended.record_count)
    assert seen.unresolved_deliveries == NOTHING


async def test_a_stop_is_seen_until_it_is_cleared(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    await settle(stores, begun, FAILED, collision=True)
    stop = await stores.deliveries.stop()

    assert stop is not None
    assert (await stores.backlog.look()).stopped == stop.since
    await stores.resolutions.clear_stop("renumbered", "operator")
    assert (await stores.backlog.look()).stopped is None
    assert (await shown(stores, begun.delivery.id)).status is DeliveryStatus.FAILED
