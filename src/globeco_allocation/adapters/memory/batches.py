"""Batch windows and the files they become, in memory."""

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.rows import BatchRow, DeliveryRow
from globeco_allocation.adapters.storable_text import storable
from globeco_allocation.domain.batch import Batch, ClaimTerms, Extent
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, PlannedFile
from globeco_allocation.domain.errors import DeliveryStepError
from globeco_allocation.domain.execution import Execution
from globeco_allocation.domain.lane import lane_of
from globeco_allocation.domain.lease import Holder, Lease, Leased
from globeco_allocation.domain.transaction_file import render, row_formatter
from globeco_allocation.ports.batches import BatchPage, LaneRows, LeasedBatch

T = TypeVar("T")

_ROWS_AT_ONCE = 1000


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

    async def extent(self, batch: Batch) -> Extent:
        """Count the window's executions; see the port."""
        those = self._database.in_window(batch.window)
        sizes = {lane: len(mine) for lane, mine in _by_lane(those, batch.terms.lane_count).items()}
        return Extent(sizes, those[0].id, those[-1].id) if those else Extent({})

    @asynccontextmanager
    async def rows(self, batch: Batch, extent: Extent) -> AsyncGenerator[AsyncIterator[LaneRows]]:
        """Stream the rows of the batch's files; see the port."""
        window = self._database.in_window(batch.window)
        yield _each(_rows(batch, [one for one in window if extent.first_id <= one.id <= extent.last_id]))

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
                trace=row.batch.terms.trace,
                created=self._database.clock.now(),
            )
            for number, file in enumerate(files)
        ]
        deliveries |= {one.id: DeliveryRow(one, row.place) for one in new}
        return new


def _by_lane(executions: Iterable[Execution], lane_count: int) -> Mapping[int, list[Execution]]:
    lanes: defaultdict[int, list[Execution]] = defaultdict(list)
    for one in executions:
        lanes[lane_of(one.portfolio_id or "", lane_count)].append(one)
    return lanes


def _rows(batch: Batch, executions: Iterable[Execution]) -> Iterator[LaneRows]:
    terms = batch.terms
    row = row_formatter(terms.file_quantity)
    for lane, those in _by_lane(executions, terms.lane_count).items():
        for part in range(0, len(those), terms.file_max_records):
            end = min(part + terms.file_max_records, len(those))
            for first in range(part, end, _ROWS_AT_ONCE):
                yield LaneRows(lane, render(those[first : min(first + _ROWS_AT_ONCE, end)], row))


async def _each(items: Iterable[T]) -> AsyncIterator[T]:
    for one in items:
        yield one
