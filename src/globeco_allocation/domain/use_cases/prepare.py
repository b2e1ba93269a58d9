"""Prepare a batch: write its files, lane by lane and part by part, in one pass over its window."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

from globeco_allocation.domain.batch import Batch, Extent
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, WrittenFile
from globeco_allocation.domain.errors import FileNotWrittenError
from globeco_allocation.domain.execution import Execution
from globeco_allocation.domain.lane import lane_of
from globeco_allocation.domain.lease import Lease
from globeco_allocation.domain.transaction_file import HEADER, plan_files, render, row_formatter
from globeco_allocation.domain.use_cases.lane_files import LaneFiles, more_than_planned
from globeco_allocation.ports.batches import Batches, LeasedBatch
from globeco_allocation.ports.deliveries import Deliveries
from globeco_allocation.ports.files import TransactionFiles

_AT_ONCE = 1000
_TRY_AGAIN_IN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class MadeAgain:
    """What a batch's files are when they are made from the database now.

    Attributes:
        checksums: SHA-256 in hex, by the delivery's id.
        in_no_file: Executions of its window that no file has room for: there must never be any.
    """

    checksums: Mapping[int, str]
    in_no_file: int


class PrepareBatch:
    """Writes the files of claimed batches; they follow from the claim alone (design, "Data").

    Args:
        batches: Windows and what is in them.
        deliveries: Where each step is recorded.
        files: Where transaction files are written.
        on_written: Told of each file of a claimed batch that stands whole.
    """

    def __init__(
        self,
        batches: Batches,
        deliveries: Deliveries,
        files: TransactionFiles,
        on_written: Callable[[WrittenFile], None] | None = None,
    ) -> None:
        self._batches = batches
        self._deliveries = deliveries
        self._files = files
        self._on_written = on_written

    async def __call__(self, work: LeasedBatch) -> None:
        """Plan and write every file of the batch that is not written yet; an empty batch has none.

        May be repeated: it goes on after the last file that is recorded as written, and a file made again is
        the same.

        Raises:
            FileNotWrittenError: a file could not be written; why stands at its delivery, and the batch is due
                again a little later.
            LeaseLostError: another holder writes the batch.
            StoreUnavailableError: the database went away; the last recorded step stands.
        """
        batch, lease = work.batch, work.lease
        extent = await self._batches.extent(batch)
        deliveries = await self._batches.plan(lease, plan_files(batch, extent.lane_sizes))
        if any(one.status is DeliveryStatus.CLAIMED for one in deliveries):
            try:
                await self._write(batch, extent, lease, deliveries)
            except FileNotWrittenError:
                await self._batches.hindered(lease, _TRY_AGAIN_IN)
                raise
        await self._batches.prepared(lease)

    async def write_again(self, delivery: Delivery) -> None:
        """Make a written file anew that is gone.

        Raises:
            FileNotWrittenError: it could not be written, or what is in the database now is not what was in
                the file; nothing stands under its name then.
            StoreUnavailableError: the database went away.
        """
        if delivery.file is None or await self.checksum(delivery) != delivery.file.checksum:
            raise FileNotWrittenError(
                f"the file {delivery.file_name} is gone, and was not made again: its executions have changed"
            )
        batch = await self._batch_of(delivery)
        row = row_formatter(batch.terms.file_quantity)
        async with self._files.draft(delivery.file_name, HEADER) as draft:
            async for some in self._executions_of(delivery, batch):
                await draft.append(await asyncio.to_thread(render, some, row))
            await draft.publish()

    async def checksum(self, delivery: Delivery) -> str:
        """Return the checksum (SHA-256, hex) that the delivery's file has when it is made from the database.

        Raises:
            FileNotWrittenError: its batch is gone.
            StoreUnavailableError: the database went away.
        """
        batch = await self._batch_of(delivery)
        digest = _Digest(batch)
        async for some in self._executions_of(delivery, batch):
            await asyncio.to_thread(digest.add, some)
        return digest.hex

    async def made_again(self, batch: Batch, deliveries: Sequence[Delivery]) -> MadeAgain:
        """Return what all files of a batch are when they are made from the database, in one pass.

        Args:
            batch: The batch.
            deliveries: All of them.

        Raises:
            StoreUnavailableError: the database went away.
        """
        shares = [(_Share(one, batch), _Digest(batch)) for one in deliveries]
        in_no_file = 0
        async with self._batches.executions(batch) as executions:
            async for some in _in_chunks(executions):
                in_no_file += len(some)
                lanes = _by_lane(some, batch.terms.lane_count)
                for share, digest in shares:
                    if mine := share.of(lanes):
                        in_no_file -= len(mine)
                        await asyncio.to_thread(digest.add, mine)
        return MadeAgain({share.delivery_id: digest.hex for share, digest in shares}, in_no_file)

    async def _write(
        self, batch: Batch, extent: Extent, lease: Lease, deliveries: Sequence[Delivery]
    ) -> None:
        async with AsyncExitStack() as stack:
            lanes: dict[int, LaneFiles] = {}
            for lane in sorted({one.lane for one in deliveries}):
                parts = sorted((one for one in deliveries if one.lane == lane), key=lambda one: one.part)
                files = LaneFiles(self._deliveries, self._files, lease, parts, self._on_written)
                lanes[lane] = await stack.enter_async_context(files)
            async for some in await stack.enter_async_context(self._batches.rows(batch, extent)):
                if some.lane not in lanes:
                    raise more_than_planned(lease)
                await lanes[some.lane].append(some.rows)
            for files in lanes.values():
                await files.complete()

    async def _batch_of(self, delivery: Delivery) -> Batch:
        batch = await self._batches.get(delivery.batch_id)
        if batch is None:
            raise FileNotWrittenError(f"batch {delivery.batch_id} of the file {delivery.file_name} is gone")
        return batch

    async def _executions_of(self, delivery: Delivery, batch: Batch) -> AsyncGenerator[Sequence[Execution]]:
        """Yield the executions of one file, some at a time."""
        share = _Share(delivery, batch)
        async with self._batches.executions(batch) as executions:
            async for some in _in_chunks(executions):
                if mine := share.of(_by_lane(some, batch.terms.lane_count)):
                    yield mine
                if share.is_complete:
                    return


class _Share:
    """What of a batch's executions, which come some at a time, belongs into one file."""

    def __init__(self, delivery: Delivery, batch: Batch) -> None:
        self.delivery_id = delivery.id
        self._lane = delivery.lane
        self._skip = delivery.part * batch.terms.file_max_records
        self._left = delivery.record_count

    @property
    def is_complete(self) -> bool:
        return not self._left

    def of(self, lanes: Mapping[int, list[Execution]]) -> list[Execution]:
        """Return its executions among the next ones."""
        those = lanes.get(self._lane, [])
        mine = those[self._skip : self._skip + self._left]
        self._skip = max(self._skip - len(those), 0)
        self._left -= len(mine)
        return mine


class _Digest:
    """The checksum of a file that is made again."""

    def __init__(self, batch: Batch) -> None:
        self._row = row_formatter(batch.terms.file_quantity)
        self._hash = hashlib.sha256(HEADER)

    def add(self, some: Sequence[Execution]) -> None:
        self._hash.update(b"".join(map(self._row, some)))

    @property
    def hex(self) -> str:
        return self._hash.hexdigest()


def _by_lane(executions: Sequence[Execution], lane_count: int) -> dict[int, list[Execution]]:
    lanes: dict[int, list[Execution]] = {}
    for one in executions:
        lanes.setdefault(lane_of(one.portfolio_id or "", lane_count), []).append(one)
    return lanes


async def _in_chunks(executions: AsyncIterator[Execution]) -> AsyncGenerator[list[Execution]]:
    some: list[Execution] = []
    async for execution in executions:
        some.append(execution)
        if len(some) >= _AT_ONCE:
            yield some
            some = []
    if some:
        yield some
