"""Deliveries and their queue, in memory."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.rows import DeliveryRow
from globeco_allocation.adapters.storable_text import storable
from globeco_allocation.domain.delivery import (
    Delivery,
    DeliveryStatus,
    DeliveryStop,
    Reject,
    Settlement,
    WrittenFile,
)
from globeco_allocation.domain.errors import DeliveryStepError
from globeco_allocation.domain.lease import Holder, Lease, Leased
from globeco_allocation.domain.trace_context import NO_TRACE, TraceContext
from globeco_allocation.ports.deliveries import LeasedDelivery

_SENT_AGAIN = frozenset({DeliveryStatus.FAILED, DeliveryStatus.PARTIAL})


class MemoryDeliveries:
    """The twin of `globeco_allocation.ports.deliveries.Deliveries`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def written(self, batch_lease: Lease, delivery_id: int, file: WrittenFile) -> None:
        """Record that the file stands whole; see the port."""
        row = self._held_by_batch(batch_lease, delivery_id)
        if row.delivery.file == file:
            return
        if row.delivery.status is not DeliveryStatus.CLAIMED:
            raise DeliveryStepError(f"delivery {delivery_id} is {row.delivery.status}, with another file")
        row.delivery = replace(
            row.delivery,
            status=DeliveryStatus.WRITTEN,
            file=file,
            record_count=file.record_count,
            error="",
            written=self._database.clock.now(),
        )

    async def not_written(self, batch_lease: Lease, delivery_id: int, error: str) -> None:
        """Record why the file could not be written; see the port."""
        row = self._held_by_batch(batch_lease, delivery_id)
        if row.delivery.status is not DeliveryStatus.CLAIMED:
            raise DeliveryStepError(f"delivery {delivery_id} is {row.delivery.status} already")
        row.delivery = replace(row.delivery, error=storable(error))

    async def take(self, holder: Holder) -> LeasedDelivery | None:
        """Lease the first delivery that may be worked on now; see the port."""
        self._database.answer()
        leases = self._database.leases
        open_rows = [row for row in self._database.deliveries.values() if not row.delivery.status.ended]
        open_rows.sort(key=lambda row: row.position)
        for number, row in enumerate(open_rows):
            if self._is_ready(row) and not self._is_held_back(row, open_rows[:number]):
                lease = leases.take(Leased.DELIVERY, row.delivery.id, holder)
                return LeasedDelivery(row.delivery, lease)
        return None

    async def begun(self, lease: Lease, attempt: int) -> None:
        """Record that an attempt's run is about to be started; see the port."""
        row = self._held(lease)
        delivery = row.delivery
        if delivery.status not in DeliveryStatus.DELIVERING.follows or delivery.attempt != attempt:
            raise DeliveryStepError(f"delivery {lease.id} cannot begin attempt {attempt} now")
        if delivery.under_way:
            return
        if self._database.stop is not None:
            raise DeliveryStepError(f"delivery {lease.id} cannot begin: all delivery is stopped")
        row.delivery = replace(
            delivery,
            status=DeliveryStatus.DELIVERING,
            attempts=attempt,
            under_way=True,
            not_before=None,
            run_uid="",
            outcome=None,
            error="",
            started=self._database.clock.now(),
            ended=None,
        )

    async def identified(self, lease: Lease, attempt: int, uid: str) -> None:
        """Record by what the run under way can be found again; see the port."""
        row = self._under_way(lease, attempt)
        row.delivery = replace(row.delivery, run_uid=storable(uid))

    async def hindered(self, lease: Lease, error: str, retry_in: timedelta) -> None:
        """Record why the next step could not be taken, and give the lease back; see the port."""
        row = self._held(lease)
        if row.delivery.status not in {DeliveryStatus.WRITTEN, DeliveryStatus.DELIVERING}:
            raise DeliveryStepError(f"delivery {lease.id} is {row.delivery.status}")
        not_before = self._database.clock.now() + retry_in
        row.delivery = replace(row.delivery, error=storable(error), not_before=not_before)
        self._database.leases.release(lease)

    async def rejected(self, lease: Lease, attempt: int, rejects: Sequence[Reject], *, first: bool) -> None:
        """Record records that were not accepted; see the port."""
        row = self._under_way(lease, attempt)
        if first:
            row.rejects.pop(attempt, None)
        row.rejects.setdefault(attempt, []).extend(
            replace(one, source_id=storable(one.source_id), reason=storable(one.reason)) for one in rejects
        )

    async def settled(self, lease: Lease, attempt: int, settlement: Settlement) -> None:
        """Record how the attempt under way ended, and give the lease back; see the port."""
        row = self._held(lease)
        outcome = replace(settlement.outcome, error=storable(settlement.outcome.error))
        before = row.delivery
        if (before.attempts, before.under_way, before.outcome) == (attempt, False, outcome):
            return
        self._under_way(lease, attempt)
        now, retry_in = self._database.clock.now(), settlement.retry_in
        row.delivery = replace(
            before,
            status=outcome.status if retry_in is None else DeliveryStatus.DELIVERING,
            under_way=False,
            tries=settlement.tries,
            confirming=settlement.confirming,
            not_before=None if retry_in is None else now + retry_in,
            run_uid="",
            outcome=outcome,
            knowledge=settlement.knowledge,
            error=outcome.error,
            ended=now,
        )
        needed = {attempt, settlement.knowledge.attempt}
        row.rejects = {key: rejects for key, rejects in row.rejects.items() if key in needed}
        if settlement.collision and self._database.stop is None:
            self._database.stop = DeliveryStop(before.id, before.batch_id, outcome.error, now)
        self._database.leases.release(lease)

    async def resend(
        self, batch_id: int, requested_by: str, trace: TraceContext = NO_TRACE
    ) -> tuple[Delivery, ...]:
        """Have the batch's failed and partial deliveries delivered again; see the port."""
        self._database.answer()
        rows = [row for row in self._database.deliveries.values() if row.delivery.batch_id == batch_id]
        for row in rows:
            if not row.delivery.status.ended:
                raise DeliveryStepError(
                    f"the file {row.delivery.file_name} is {row.delivery.status}: wait for its end"
                )
        again = [row for row in rows if row.delivery.status in _SENT_AGAIN]
        if not again:
            raise DeliveryStepError(f"batch {batch_id} has no failed or partial delivery to be sent again")
        place = self._database.next_place()
        for row in again:
            row.place = place
            row.delivery = replace(
                row.delivery,
                status=DeliveryStatus.WRITTEN,
                tries=0,
                confirming=False,
                not_before=None,
                error="",
                requested_by=storable(requested_by),
                trace=trace,
            )
            self._database.leases.revoke(Leased.DELIVERY, row.delivery.id)
        return tuple(row.delivery for row in again)

    async def stop(self) -> DeliveryStop | None:
        """Return why nothing is delivered now; see the port."""
        self._database.answer()
        return self._database.stop

    async def get(self, delivery_id: int) -> Delivery | None:
        """Return a delivery; see the port."""
        row = self._find(delivery_id)
        return row.delivery if row else None

    async def of_batches(self, batch_ids: Sequence[int]) -> tuple[Delivery, ...]:
        """Return the deliveries of these batches; see the port."""
        self._database.answer()
        found = (row.delivery for row in self._database.deliveries.values())
        return tuple(one for one in found if one.batch_id in batch_ids)

    async def not_ended(self, *, limit: int) -> tuple[Delivery, ...]:
        """Return the first deliveries in the queue that have not ended; see the port."""
        self._database.answer()
        rows = sorted(self._database.deliveries.values(), key=lambda row: row.position)
        return tuple(row.delivery for row in rows if not row.delivery.status.ended)[:limit]

    async def rejects(self, delivery_id: int, *, limit: int) -> tuple[Reject, ...]:
        """Return records that the last attempt which recorded any did not deliver; see the port."""
        row = self._find(delivery_id)
        return tuple(row.shown_rejects[:limit]) if row else ()

    async def reject_of(self, delivery_id: int, source_id: str) -> Reject | None:
        """Return what that attempt recorded of one record; see the port."""
        row = self._find(delivery_id)
        found = (one for one in (row.shown_rejects if row else ()) if one.source_id == source_id)
        return next(found, None)

    @asynccontextmanager
    async def rejects_of_attempt(
        self, delivery_id: int, attempt: int
    ) -> AsyncGenerator[AsyncIterator[Reject]]:
        """Stream every record that an attempt did not deliver; see the port."""
        row = self._find(delivery_id)
        yield _each(tuple(row.rejects.get(attempt, ())) if row else ())

    def _find(self, delivery_id: int) -> DeliveryRow | None:
        self._database.answer()
        return self._database.deliveries.get(delivery_id)

    def _held(self, lease: Lease) -> DeliveryRow:
        self._database.answer()
        self._database.leases.check(lease, Leased.DELIVERY)
        return self._database.deliveries[lease.id]

    def _under_way(self, lease: Lease, attempt: int) -> DeliveryRow:
        row = self._held(lease)
        if not row.delivery.under_way or row.delivery.attempts != attempt:
            raise DeliveryStepError(f"attempt {attempt} of delivery {lease.id} is not under way")
        return row

    def _held_by_batch(self, batch_lease: Lease, delivery_id: int) -> DeliveryRow:
        self._database.answer()
        self._database.leases.check(batch_lease, Leased.BATCH)
        row = self._database.deliveries.get(delivery_id)
        if row is None or row.delivery.batch_id != batch_lease.id:
            raise DeliveryStepError(f"batch {batch_lease.id} has no delivery {delivery_id}")
        return row

    def _is_ready(self, row: DeliveryRow) -> bool:
        """Tell whether the delivery itself may be worked on, whatever stands before it."""
        delivery = row.delivery
        return (
            delivery.status in {DeliveryStatus.WRITTEN, DeliveryStatus.DELIVERING}
            and (delivery.not_before is None or delivery.not_before <= self._database.clock.now())
            and self._database.leases.is_free(Leased.DELIVERY, delivery.id)
            and (delivery.under_way or self._database.stop is None)
        )

    def _is_held_back(self, row: DeliveryRow, before: Sequence[DeliveryRow]) -> bool:
        """Tell whether something that stands before it in the queue must have ended first."""
        own = row.delivery
        return any(
            one.delivery.lane_count != own.lane_count or one.delivery.lane == own.lane for one in before
        ) or any(
            one.place < row.place and not one.batch.prepared and one.batch.id != own.batch_id
            for one in self._database.batches.values()
        )


async def _each(rejects: Sequence[Reject]) -> AsyncIterator[Reject]:
    for one in rejects:
        yield one
