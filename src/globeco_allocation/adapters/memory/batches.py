"""Batch windows and the files they become, in memory."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.rows import BatchRow, DeliveryRow
from globeco_allocation.adapters.storable_text import storable
from globeco_allocation.domain.batch import Batch, ClaimTerms
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, PlannedFile
from globeco_allocation.domain.errors import DeliveryStepError
from globeco_allocation.domain.execution import Execution
from globeco_allocation.domain.lease import Holder, Lease, Leased
from globeco_allocation.ports.batches import BatchPage, LeasedBatch

T = TypeVar("T")


class MemoryBatches:
    """The twin of `globeco_allocation.ports.batches.Batches`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def last_start(self) -> datetime:
        """Return the newest batch's start time; see the port."""
        return self._database.last_start

    async def claim(self, last_start: datetime, terms: ClaimTerms, holder: Holder) -> LeasedBatch:
        """Claim the window that begins at *last_start*; see the port."""
        terms = replace(terms, requested_by=storable(terms.requested_by))
        batch = self._database.claim(last_start, terms)
        return self._leased(batch, holder)

    async def take_unprepared(self, holder: Holder) -> LeasedBatch | None:
        """Lease the oldest batch whose files are not all written; see the port."""
        self._database.answer()
        now = self._database.clock.now()
        for row in self._database.batches.values():
            due = row.not_before is None or row.not_before <= now
            if due and not row.batch.prepared and self._database.leases.is_free(Leased.BATCH, row.batch.id):
                return self._leased(row.batch, holder)
        return None

    @asynccontextmanager
    async def portfolio_sizes(self, batch: Batch) -> AsyncGenerator[AsyncIterator[tuple[str, int]]]:
        """Stream each portfolio in the window and its size; see the port."""
        sizes = Counter(one.portfolio_id or "" for one in self._database.in_window(batch.window))
        yield _each(sizes.items())

    @asynccontextmanager
    async def executions(self, batch: Batch) -> AsyncGenerator[AsyncIterator[Execution]]:
        """Stream the window's executions by ascending id; see the port."""
        yield _each(self._database.in_window(batch.window))

    async def plan(self, lease: Lease, files: Sequence[PlannedFile]) -> tuple[Delivery, ...]:
        """Record the files that the leased batch is to have; see the port."""
        row = self._held(lease)
        wanted = sorted(files, key=lambda file: (file.lane, file.part))
        found = [
            one.delivery for one in self._database.deliveries.values() if one.delivery.batch_id == lease.id
        ]
        if not found and not row.batch.prepared:
            found = self._record(row, wanted)
        elif [PlannedFile(one.lane, one.part, one.file_name, one.record_count) for one in found] != wanted:
            raise DeliveryStepError(f"batch {lease.id} has other files already")
        return tuple(found)

    async def prepared(self, lease: Lease) -> None:
        """Record that all files of the leased batch are written; see the port."""
        row = self._held(lease)
        for one in self._database.deliveries.values():
            if (one.delivery.batch_id, one.delivery.status) == (lease.id, DeliveryStatus.CLAIMED):
                raise DeliveryStepError(f"the file {one.delivery.file_name} is not written yet")
        row.batch = replace(row.batch, prepared=True)
        row.not_before = None
        self._database.leases.release(lease)

    async def hindered(self, lease: Lease, retry_in: timedelta) -> None:
        """Give the leased batch back, to be taken again later; see the port."""
        row = self._held(lease)
        row.not_before = self._database.clock.now() + retry_in
        self._database.leases.release(lease)

    async def get(self, batch_id: int) -> Batch | None:
        """Return a claimed batch; see the port."""
        self._database.answer()
        row = self._database.batches.get(batch_id)
        return row.batch if row else None

    async def page(self, *, limit: int, offset: int) -> BatchPage:
        """Return some batches, newest first; see the port."""
        self._database.answer()
        everything = [row.batch for row in reversed(self._database.batches.values())]
        return BatchPage(tuple(everything[offset : offset + limit]), len(everything))

    async def holding(self, ready: datetime) -> tuple[int, Batch | None] | None:
        """Return the batch whose window holds a ready stamp; see the port."""
        batch_id = self._database.window_holding(ready)
        return None if batch_id is None else (batch_id, await self.get(batch_id))

    def _leased(self, batch: Batch, holder: Holder) -> LeasedBatch:
        return LeasedBatch(batch, self._database.leases.take(Leased.BATCH, batch.id, holder))

    def _held(self, lease: Lease) -> BatchRow:
        self._database.answer()
        self._database.leases.check(lease, Leased.BATCH)
        return self._database.batches[lease.id]

    def _record(self, row: BatchRow, files: Sequence[PlannedFile]) -> list[Delivery]:
        """Record a claimed delivery for each file, all or none."""
        deliveries = self._database.deliveries
        names = {one.delivery.file_name for one in deliveries.values()}
        if not names.isdisjoint(file.file_name for file in files):
            raise DeliveryStepError(f"a file of batch {row.batch.id} has the name of another batch's")
        first_id = len(deliveries) + 1
        new = [
            Delivery(
                id=first_id + number,
                batch_id=row.batch.id,
                lane=file.lane,
                lane_count=row.batch.terms.lane_count,
                part=file.part,
                file_name=file.file_name,
                status=DeliveryStatus.CLAIMED,
                record_count=file.record_count,
                requested_by=row.batch.terms.requested_by,
                created=self._database.clock.now(),
            )
            for number, file in enumerate(files)
        ]
        deliveries |= {one.id: DeliveryRow(one, row.place) for one in new}
        return new


async def _each(items: Iterable[T]) -> AsyncIterator[T]:
    for one in items:
        yield one
