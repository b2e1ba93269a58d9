"""Batch windows: reading the last one, claiming the next, what is in it, and which files it becomes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from globeco_allocation.domain.batch import Batch, ClaimTerms, Extent
from globeco_allocation.domain.delivery import Delivery, PlannedFile
from globeco_allocation.domain.execution import Execution
from globeco_allocation.domain.lease import Holder, Lease
from globeco_allocation.domain.transaction_file import RenderedRows


@dataclass(frozen=True, slots=True)
class LeasedBatch:
    """A batch whose files are to be written, and the right to do it."""

    batch: Batch
    lease: Lease


@dataclass(frozen=True, slots=True)
class LaneRows:
    """The next rows of a lane; all of them belong into the same part."""

    lane: int
    rows: RenderedRows


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Some batches, newest first, and how many there are in all."""

    batches: tuple[Batch, ...]
    total: int


class Batches(Protocol):
    """Claimed windows. Every method may raise `StoreUnavailableError`.

    Only batches that were claimed with terms are ours; other rows of the history are another program's.
    """

    async def last_start(self) -> datetime:
        """Return the newest batch's start time: where the next window begins."""
        ...

    async def claim(self, last_start: datetime, terms: ClaimTerms, holder: Holder) -> LeasedBatch:
        """Claim the window that begins at *last_start* and takes in every execution kept so far.

        The claim stands when this returns, leased to *holder* for writing; executions kept later fall into a
        later window.

        Raises:
            WindowTakenError: another sender has claimed the window that begins there.
        """
        ...

    async def take_unprepared(self, holder: Holder) -> LeasedBatch | None:
        """Lease the oldest claimed batch whose files are not all written; None when there is none.

        Nobody works on it, and it is due (`hindered`).
        """
        ...

    async def extent(self, batch: Batch) -> Extent:
        """Count the executions in the batch's window, and find the ends of their ids."""
        ...

    def rows(self, batch: Batch, extent: Extent) -> AbstractAsyncContextManager[AsyncIterator[LaneRows]]:
        """Stream the rows of the batch's files to the byte as `render` has them, each lane's by ascending id.

        Some thousands come at a time, and never some of two parts. The caller may take its time: no statement
        and no transaction waits for it. It may leave at any moment: what is under way ends at once.

        Args:
            batch: The batch.
            extent: Its extent.
        """
        ...

    def manifest_rows(
        self, batch: Batch, extent: Extent
    ) -> AbstractAsyncContextManager[AsyncIterator[LaneRows]]:
        """Stream the same executions, lanes and parts as `rows`, as lines of their files' manifests.

        They hold every column of what is kept (`globeco_allocation.domain.manifest`).
        """
        ...

    def executions(self, batch: Batch) -> AbstractAsyncContextManager[AsyncIterator[Execution]]:
        """Stream the executions in the batch's window by ascending id, the same ones each time.

        A few thousand are held in memory at once, however many there are.
        """
        ...

    async def plan(self, lease: Lease, files: Sequence[PlannedFile]) -> tuple[Delivery, ...]:
        """Record the files that the leased batch is to have, each as a ``claimed`` delivery.

        Asked again with the same files it finds the same deliveries.

        Returns:
            They, by ascending id, which is by lane and part.

        Raises:
            LeaseLostError: another holder writes the batch.
            DeliveryStepError: the batch has other files already.
        """
        ...

    async def prepared(self, lease: Lease) -> None:
        """Record that all files of the leased batch are written, and give the lease back.

        Raises:
            LeaseLostError: another holder writes the batch.
            DeliveryStepError: one of its deliveries is still ``claimed``.
        """
        ...

    async def hindered(self, lease: Lease, retry_in: timedelta) -> None:
        """Give the leased batch back, to be taken again no sooner than in *retry_in*.

        Raises:
            LeaseLostError: another holder writes the batch.
        """
        ...

    async def get(self, batch_id: int) -> Batch | None:
        """Return a claimed batch, or None. *batch_id* is any integer."""
        ...

    async def page(self, *, limit: int, offset: int) -> BatchPage:
        """Return up to *limit* batches by descending id, leaving out the first *offset* of them."""
        ...

    async def holding(self, ready: datetime) -> tuple[int, Batch | None] | None:
        """Return the id of the batch whose window holds a ready stamp, and the batch if it is ours.

        None while no batch has claimed it.
        """
        ...
