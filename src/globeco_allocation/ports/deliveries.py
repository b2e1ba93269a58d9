"""The record of every delivery: what was written, sent and answered."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from globeco_allocation.domain.delivery import Delivery, DeliveryStop, Reject, Settlement, WrittenFile
from globeco_allocation.domain.lease import Holder, Lease
from globeco_allocation.domain.trace_context import NO_TRACE, TraceContext


@dataclass(frozen=True, slots=True)
class LeasedDelivery:
    """A delivery that may be worked on now, and the right to do it."""

    delivery: Delivery
    lease: Lease


class Deliveries(Protocol):
    """Deliveries, one per transaction file. Every method may raise `StoreUnavailableError`.

    They stand in one queue: batches in the order of their claims, within a batch by part; a resend queues
    last. A step under a lease that has passed to another holder raises `LeaseLostError`, one that the
    delivery's status does not allow (`DeliveryStatus.follows`) raises `DeliveryStepError`; nothing has
    changed then. Every step may be asked again with the same content.
    """

    async def written(self, batch_lease: Lease, delivery_id: int, file: WrittenFile) -> None:
        """Record, under the lease of its batch, that the file stands whole: ``claimed -> written``."""
        ...

    async def not_written(self, batch_lease: Lease, delivery_id: int, error: str) -> None:
        """Record, under the lease of its batch, why the file could not be written; it stays ``claimed``."""
        ...

    async def take(self, holder: Holder) -> LeasedDelivery | None:
        """Lease the first delivery in the queue that may be worked on now; None when there is none.

        It is ``written`` or ``delivering``, due (``not_before``), and nobody works on it. Nothing that is
        not ended stands before it in the queue and is of its lane or of another lane count, nor a batch whose
        files are not all written. And either its attempt is under way or there is no `stop`.
        """
        ...

    async def begun(self, lease: Lease, attempt: int) -> None:
        """Record that an attempt's run is about to be started: ``written | delivering -> delivering``.

        *attempt* is `Delivery.attempt`; asking again for the attempt under way changes nothing.

        Raises:
            DeliveryStepError: *attempt* is another one; or it is not under way, and there is a `stop`.
        """
        ...

    async def identified(self, lease: Lease, attempt: int, uid: str) -> None:
        """Record by what the run of the attempt under way can be found again."""
        ...

    async def hindered(self, lease: Lease, error: str, retry_in: timedelta) -> None:
        """Record why the next step could not be taken, and give the lease back.

        The delivery can be taken again no sooner than in *retry_in*.
        """
        ...

    async def rejected(self, lease: Lease, attempt: int, rejects: Sequence[Reject], *, first: bool) -> None:
        """Record records that were not accepted by the attempt under way.

        To be called as often as there are more of them; the *first* call forgets what an earlier holder
        recorded of this attempt.
        """
        ...

    async def settled(self, lease: Lease, attempt: int, settlement: Settlement) -> None:
        """Record how the attempt under way ended, and give the lease back.

        With ``retry_in`` it stays ``delivering``, else it becomes what the outcome says. A collision stops
        all delivery, see `stop`.
        """
        ...

    async def resend(
        self, batch_id: int, requested_by: str, trace: TraceContext = NO_TRACE
    ) -> tuple[Delivery, ...]:
        """Have the batch's ``failed`` and ``partial`` deliveries delivered again, last in the queue.

        They are part of *trace* from then on.

        Returns:
            They, now ``written``, with all their tries before them.

        Raises:
            DeliveryStepError: a delivery of the batch is not ended, or none may be sent again; the message
                says which. Nothing has changed.
        """
        ...

    async def stop(self) -> DeliveryStop | None:
        """Return why nothing is delivered now, or None."""
        ...

    async def get(self, delivery_id: int) -> Delivery | None:
        """Return a delivery, or None."""
        ...

    async def of_batches(self, batch_ids: Sequence[int]) -> tuple[Delivery, ...]:
        """Return the deliveries of these batches by ascending id."""
        ...

    async def not_ended(self, *, limit: int) -> tuple[Delivery, ...]:
        """Return the first *limit* deliveries in the queue that have not ended."""
        ...

    async def rejects(self, delivery_id: int, *, limit: int) -> tuple[Reject, ...]:
        """Return the first *limit* records that the last attempt which recorded any did not deliver."""
        ...

    async def reject_of(self, delivery_id: int, source_id: str) -> Reject | None:
        """Return what that attempt recorded of one record, or None."""
        ...

    def rejects_of_attempt(
        self, delivery_id: int, attempt: int
    ) -> AbstractAsyncContextManager[AsyncIterator[Reject]]:
        """Stream every record that an attempt did not deliver."""
        ...
