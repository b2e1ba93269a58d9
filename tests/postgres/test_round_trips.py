"""What a request of ours costs on the way to the database."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

import pytest

from globeco_allocation.adapters.postgres.address import DatabaseAddress, Pooler
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.deliveries import PostgresDeliveries
from globeco_allocation.adapters.postgres.executions import PostgresExecutions
from globeco_allocation.adapters.postgres.leases import PostgresLeases
from globeco_allocation.adapters.postgres.pool import Pool, open_pool
from globeco_allocation.domain import (
    AllocatedExecution,
    ClaimTerms,
    DeliveryStatus,
    Holder,
    Knowledge,
    Outcome,
    PlannedFile,
    RecordVerdict,
    Reject,
    Settlement,
    WrittenFile,
)

Allocate = Callable[..., AllocatedExecution]

# Behind a pooler: begin, describe, execute, commit.
ROUND_TRIPS = {Pooler.NONE: 1, Pooler.TRANSACTION: 4}
HOLDER = Holder("here")


class Relay(Protocol):
    requests: int

    @property
    def address(self) -> DatabaseAddress: ...

    async def open(self) -> None: ...


async def keep(pool: Pool, allocate: Allocate, first: int) -> None:
    await PostgresExecutions(pool).keep([allocate(key) for key in range(first, first + 100)])


async def known(pool: Pool, _allocate: Allocate, first: int) -> None:
    await PostgresExecutions(pool).known(range(first, first + 100))


async def page(pool: Pool, _allocate: Allocate, _first: int) -> None:
    await PostgresExecutions(pool).page(limit=50, offset=0)


async def claim(pool: Pool, _allocate: Allocate, _first: int) -> None:
    batches = PostgresBatches(pool)
    await batches.claim(await batches.last_start(), ClaimTerms(), HOLDER)


async def deliver(pool: Pool, _allocate: Allocate, first: int) -> None:
    batches, deliveries = PostgresBatches(pool), PostgresDeliveries(pool)
    leased = await batches.claim(await batches.last_start(), ClaimTerms(), HOLDER)
    (planned,) = await batches.plan(leased.lease, [PlannedFile(0, 0, f"{first}.csv", 3)])
    await deliveries.written(leased.lease, planned.id, WrittenFile(3, 99, "abc", 1, 3))
    await batches.prepared(leased.lease)
    taken = await deliveries.take(HOLDER)
    assert taken is not None
    await deliveries.begun(taken.lease, 1)
    await PostgresLeases(pool).renew(taken.lease)
    rejects = [Reject("AC1", RecordVerdict.REFUSED, "why")] * 500
    await deliveries.rejected(taken.lease, 1, rejects, first=True)
    outcome = Outcome(DeliveryStatus.PARTIAL, 2, 1, 0, 0, "why")
    await deliveries.settled(taken.lease, 1, Settlement(outcome=outcome, knowledge=Knowledge(1), tries=1))


async def find_nothing_to_do(pool: Pool, _allocate: Allocate, _first: int) -> None:
    assert await PostgresBatches(pool).take_unprepared(HOLDER) is None
    assert await PostgresDeliveries(pool).take(HOLDER) is None


@pytest.mark.parametrize(
    ("use", "round_trips"),
    [(keep, 1), (known, 1), (page, 1), (claim, 2), (deliver, 10), (find_nothing_to_do, 2)],
    ids=["keep 100", "know 100", "page", "last start and claim", "ten steps", "nothing to do"],
)
@pytest.mark.parametrize("pooler", Pooler)
async def test_on_a_warm_connection_each_question_is_one_round_trip_or_four_behind_a_pooler(
    relay: Relay,
    allocate: Allocate,
    use: Callable[[Pool, Allocate, int], Awaitable[None]],
    round_trips: int,
    pooler: Pooler,
) -> None:
    await relay.open()
    async with open_pool(replace(relay.address, pooler=pooler)) as pool:
        await use(pool, allocate, 1)
        before = relay.requests
        await use(pool, allocate, 1_001)

        assert relay.requests - before == round_trips * ROUND_TRIPS[pooler]
