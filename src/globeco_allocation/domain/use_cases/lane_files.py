"""The files of one lane of a batch, written one part after the other."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Self

from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, WrittenFile
from globeco_allocation.domain.errors import FileNotWrittenError
from globeco_allocation.domain.lease import Lease
from globeco_allocation.domain.transaction_file import HEADER, RenderedRows
from globeco_allocation.ports.deliveries import Deliveries
from globeco_allocation.ports.files import DraftFile, TransactionFiles


class LaneFiles(AbstractAsyncContextManager["LaneFiles"]):
    """Takes the lane's rows in order, and spreads them over its parts.

    A part that is recorded as written already is passed over. What is begun and not published when the
    context ends is gone.

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
        self._deliveries = deliveries
        self._files = files
        self._lease = lease
        self._parts = list(parts)
        self._on_written = on_written
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
            raise more_than_planned(self._lease)
        part = self._parts[0]
        self._left -= rows.record_count
        if part.status is DeliveryStatus.CLAIMED:
            try:
                await self._write(part, rows)
            except FileNotWrittenError as error:
                await self._deliveries.not_written(self._lease, part.id, str(error))
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
            if part.status is DeliveryStatus.CLAIMED:
                await self._deliveries.not_written(self._lease, part.id, reason)
            raise FileNotWrittenError(reason)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop what is not published."""
        await self._open.__aexit__(kind, error, trace)

    async def __aenter__(self) -> Self:
        """Do nothing: files are opened as their first row comes."""
        return self

    async def _write(self, part: Delivery, rows: RenderedRows) -> None:
        if self._draft is None:
            draft = self._files.draft(part.file_name, HEADER)
            self._draft = await self._open.enter_async_context(draft)
        await self._draft.append(rows)
        if not self._left:
            file = await self._draft.publish()
            self._draft = None
            await self._open.aclose()
            await self._deliveries.written(self._lease, part.id, file)
            if self._on_written is not None:
                self._on_written(file)


def more_than_planned(lease: Lease) -> FileNotWrittenError:
    """Return the error for rows that no planned file has room for."""
    return FileNotWrittenError(f"batch {lease.id} holds more executions than were planned: rows have changed")
