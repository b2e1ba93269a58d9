"""The stores of one database, and the steps that bring a delivery to where a test begins."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from globeco_allocation.adapters.postgres.pool import Pool, open_pool
from globeco_allocation.domain.batch import ClaimTerms
from globeco_allocation.domain.delivery import (
    Delivery,
    DeliveryStatus,
    Knowledge,
    Outcome,
    PlannedFile,
    RecordVerdict,
    Reject,
    Settlement,
    WrittenFile,
)
from globeco_allocation.domain.lease import LEASE_TIME, Holder
from globeco_allocation.domain.trace_context import TraceContext
from globeco_allocation.ports.activity import Activity
from globeco_allocation.ports.backlog import Backlog
from globeco_allocation.ports.batches import Batches, LeasedBatch
from globeco_allocation.ports.deliveries import Deliveries, LeasedDelivery
from globeco_allocation.ports.executions import Executions
from globeco_allocation.ports.leases import Leases
from globeco_allocation.ports.output_directory import DirectoryIdentity
from globeco_allocation.ports.pending import PendingExecutions
from globeco_allocation.ports.resolutions import Resolutions

ONE, OTHER = Holder("one"), Holder("other")
SOON = timedelta(seconds=40)
HOUR = timedelta(hours=1)

FILE = WrittenFile(record_count=3, byte_count=2**40, checksum="ab" * 32, first_id=5, last_id=2**31 - 1)
DELIVERED = Outcome(DeliveryStatus.DELIVERED, 3, 0, 0, exit_code=0)
PARTIAL = Outcome(DeliveryStatus.PARTIAL, 1, 2, 0, exit_code=0, error="1 of 3 records booked")
FAILED = Outcome(DeliveryStatus.FAILED, 0, 0, 3, exit_code=None, error="killed past its time limit")


@dataclass(frozen=True)
class Stores:
    """The stores of a fresh database, and its clock."""

    executions: Executions
    batches: Batches
    deliveries: Deliveries
    leases: Leases
    resolutions: Resolutions
    output_directory: DirectoryIdentity
    activity: Activity
    pending: PendingExecutions
    backlog: Backlog
    step_clock: Callable[[timedelta], None]

    def let_leases_run_out(self) -> None:
        """Move the clock to the moment at which every lease has just run out."""
        self.step_clock(LEASE_TIME)


@asynccontextmanager
async def opened_pool(request: pytest.FixtureRequest) -> AsyncGenerator[Pool]:
    """Open a pool on the test's database, behind a pooler where the parameter says so."""
    async with AsyncExitStack() as stack:
        address = request.getfixturevalue("database")
        if request.param == "pooler":
            behind_a_pooler = request.getfixturevalue("behind_a_pooler")
            address = await stack.enter_async_context(behind_a_pooler(address))
        yield await stack.enter_async_context(open_pool(address))


TRACE = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=1")
"""Of whoever asks for batches."""


def planned(batch_id: int, lane: int = 0, part: int = 0) -> PlannedFile:
    return PlannedFile(lane, part, f"transactions_{batch_id}_l{lane}_p{part}.csv", FILE.record_count)


async def claim(stores: Stores, *, lane_count: int = 1, holder: Holder = ONE) -> LeasedBatch:
    """Claim the next window."""
    terms = ClaimTerms(lane_count=lane_count, requested_by="correlation-1", trace=TRACE)
    return await stores.batches.claim(await stores.batches.last_start(), terms, holder)


async def claimed(stores: Stores) -> tuple[LeasedBatch, Delivery]:
    """Claim a batch and plan its only file."""
    leased = await claim(stores)
    (delivery,) = await stores.batches.plan(leased.lease, [planned(leased.batch.id)])
    return leased, delivery


async def queue(
    stores: Stores, *places: tuple[int, int], lane_count: int = 1, prepared: bool = True
) -> Sequence[Delivery]:
    """Claim a batch and write its files, each with a lane and part; one of lane 0 if none is said."""
    leased = await claim(stores, lane_count=lane_count)
    files = [planned(leased.batch.id, lane, part) for lane, part in places or [(0, 0)]]
    for delivery in await stores.batches.plan(leased.lease, files):
        await stores.deliveries.written(leased.lease, delivery.id, FILE)
    if prepared:
        await stores.batches.prepared(leased.lease)
    return await stores.deliveries.of_batches([leased.batch.id])


async def take(stores: Stores, holder: Holder = ONE) -> LeasedDelivery:
    """Take the next delivery, which is there."""
    taken = await stores.deliveries.take(holder)
    assert taken is not None
    return taken


async def takes_nothing(stores: Stores) -> bool:
    return await stores.deliveries.take(OTHER) is None


async def begin(stores: Stores, holder: Holder = ONE) -> LeasedDelivery:
    """Take the next delivery and begin its next attempt."""
    taken = await take(stores, holder)
    await stores.deliveries.begun(taken.lease, taken.delivery.attempt)
    return LeasedDelivery(await shown(stores, taken.delivery.id), taken.lease)


async def settle(
    stores: Stores,
    begun: LeasedDelivery,
    outcome: Outcome,
    *,
    knowledge: Knowledge | None = None,
    retry_in: timedelta | None = None,
    collision: bool = False,
) -> None:
    """Settle the attempt that was begun."""
    attempt = begun.delivery.attempts
    known = Knowledge(attempt) if knowledge is None else knowledge
    settlement = Settlement(
        outcome=outcome, knowledge=known, retry_in=retry_in, tries=attempt, collision=collision
    )
    await stores.deliveries.settled(begun.lease, attempt, settlement)


async def end_next(stores: Stores, outcome: Outcome = DELIVERED, *rejects: Reject) -> Delivery:
    """Take the next delivery to its end."""
    begun = await begin(stores)
    if rejects:
        await stores.deliveries.rejected(begun.lease, begun.delivery.attempts, rejects, first=True)
    await settle(stores, begun, outcome)
    return await shown(stores, begun.delivery.id)


async def shown(stores: Stores, delivery_id: int) -> Delivery:
    """Return a delivery as it stands now."""
    delivery = await stores.deliveries.get(delivery_id)
    assert delivery is not None
    return delivery


def reject(number: int, verdict: RecordVerdict = RecordVerdict.REFUSED) -> Reject:
    return Reject(f"AC{number}", verdict, f"price: {number} is too high, 東京")
