"""The files of one lane of a batch, written one part after the other."""

from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Self

from globeco_allocation.domain.batch import Batch
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, PlannedFile, WrittenFile
from globeco_allocation.domain.errors import FileNotWrittenError
from globeco_allocation.domain.lease import Lease
from globeco_allocation.domain.manifest import manifest_beginning, manifest_end, manifest_name
from globeco_allocation.domain.transaction_file import HEADER, RenderedRows
from globeco_allocation.ports.deliveries import Deliveries
from globeco_allocation.ports.files import DraftFile, TransactionFiles


class LaneParts(AbstractAsyncContextManager["LaneParts"]):
    """Takes the lane's rows in order, and spreads them over its parts.

    A part that is not wanted is passed over. What is begun and not published when the context ends is gone.

    Args:
        batch_id: The batch.
        parts: The lane's deliveries, by part.
        ending: Makes a file's last bytes, see `DraftFile.publish`.
    """

    def __init__(
        self,
        batch_id: int,
        parts: Sequence[Delivery],
        ending: Callable[[WrittenFile], bytes] | None = None,
    ) -> None:
        self._batch_id = batch_id
        self._ending = ending
        self._parts = list(parts)
        self._left = parts[0].record_count  # of the part that is being written
        self._draft: DraftFile | None = None
        self._open = AsyncExitStack()

    async def append(self, rows: RenderedRows) -> None:
        """Write the lane's next rows, all of one part.

        Raises:
            FileNotWrittenError: a file cannot be written, or there are more executions than were planned.
            LeaseLostError, StoreUnavailableError: a written file could not be recorded.
        """
        if rows.record_count > self._left:
            raise more_than_planned(self._batch_id)
        part = self._parts[0]
        self._left -= rows.record_count
        if self._is_wanted(part):
            try:
                await self._write(part, rows)
            except FileNotWrittenError as error:
                await self._not_written(part, str(error))
                raise
        if not self._left:
            self._parts.pop(0)
            self._left = self._parts[0].record_count if self._parts else 0

    async def complete(self) -> None:
        """Make sure that every part was written.

        Raises:
            FileNotWrittenError: there were fewer executions than were planned.
        """
        if self._parts:
            part = self._parts[0]
            reason = (
                f"the file {part.file_name} was not written: {self._left} of its executions are gone from the"
                " database"
            )
            if self._is_wanted(part):
                await self._not_written(part, reason)
            raise FileNotWrittenError(reason)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop what is not published."""
        await self._open.__aexit__(kind, error, trace)

    async def __aenter__(self) -> Self:
        """Do nothing: files are opened as their first row comes."""
        return self

    @abstractmethod
    def _is_wanted(self, part: Delivery) -> bool:
        """Tell whether the part is to be written."""

    @abstractmethod
    def _begin(self, part: Delivery) -> AbstractAsyncContextManager[DraftFile]:
        """Begin the part's file."""

    async def _published(self, part: Delivery, file: WrittenFile) -> None:
        """Record that the part's file stands."""

    @abstractmethod
    async def _not_written(self, part: Delivery, reason: str) -> None:
        """Record why the part's file could not be written."""

    async def _write(self, part: Delivery, rows: RenderedRows) -> None:
        if self._draft is None:
            self._draft = await self._open.enter_async_context(self._begin(part))
        await self._draft.append(rows)
        if not self._left:
            file = await self._draft.publish(self._ending)
            self._draft = None
            await self._open.aclose()
            await self._published(part, file)


class LaneFiles(LaneParts):
    """Writes the lane's transaction files that are not recorded as written yet, and records them.

    Args:
        deliveries: Where written files are recorded.
        files: Where they are written.
        lease: The right to write the batch.
        parts: The lane's deliveries, by part.
        on_written: Told of each file that stands whole and is recorded.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        files: TransactionFiles,
        lease: Lease,
        parts: Sequence[Delivery],
        on_written: Callable[[WrittenFile], None] | None = None,
    ) -> None:
        super().__init__(lease.id, parts)
        self._on_written = on_written
        self._deliveries = deliveries
        self._files = files
        self._lease = lease

    def _is_wanted(self, part: Delivery) -> bool:
        return part.status is DeliveryStatus.CLAIMED

    def _begin(self, part: Delivery) -> AbstractAsyncContextManager[DraftFile]:
        return self._files.draft(part.file_name, HEADER)

    async def _published(self, part: Delivery, file: WrittenFile) -> None:
        await self._deliveries.written(self._lease, part.id, file)
        if self._on_written is not None:
            self._on_written(file)

    async def _not_written(self, part: Delivery, reason: str) -> None:
        await self._deliveries.not_written(self._lease, part.id, reason)


class LaneManifests(LaneParts):
    """Writes the manifests of some of the lane's transaction files.

    Args:
        files: Where they are written.
        batch: The batch.
        parts: All deliveries of the lane, by part.
        wanted: The ids of those whose manifests are written.
        deliveries: Where it is recorded that a file cannot be written for want of its manifest, and the right
            to do so; None where the file stands already.
    """

    def __init__(
        self,
        files: TransactionFiles,
        batch: Batch,
        parts: Sequence[Delivery],
        wanted: Collection[int],
        deliveries: tuple[Deliveries, Lease] | None = None,
    ) -> None:
        super().__init__(batch.id, parts, manifest_end)
        self._files = files
        self._batch = batch
        self._wanted = wanted
        self._deliveries = deliveries

    def _is_wanted(self, part: Delivery) -> bool:
        return part.id in self._wanted

    def _begin(self, part: Delivery) -> AbstractAsyncContextManager[DraftFile]:
        file = PlannedFile(part.lane, part.part, part.file_name, part.record_count)
        return self._files.draft(manifest_name(part.file_name), manifest_beginning(self._batch, file))

    async def _not_written(self, part: Delivery, reason: str) -> None:
        if self._deliveries is not None:
            deliveries, lease = self._deliveries
            await deliveries.not_written(lease, part.id, reason)


def more_than_planned(batch_id: int) -> FileNotWrittenError:
    """Return the error for rows that no planned file has room for."""
    return FileNotWrittenError(f"batch {batch_id} holds more executions than were planned: rows have changed")
