"""The record of every delivery: what was written, sent and answered."""

from collections.abc import Sequence
from typing import Protocol

from globeco_allocation.domain.delivery import Delivery, Outcome, Reject, WrittenFile


class Deliveries(Protocol):
    """Deliveries, one per transaction file. Every method may raise `StoreUnavailableError`.

    A step that the delivery's status does not allow (`DeliveryStatus.follows`) raises `DeliveryStepError`, as
    does one of a delivery that does not exist; nothing has changed then. `written` and `settled` may be asked
    again with the same content.
    """

    async def claimed(self, batch_id: int, file_name: str) -> Delivery:
        """Record that a file of this name is to be made; asking again finds the same delivery."""
        ...

    async def written(self, delivery_id: int, file: WrittenFile) -> None:
        """Record that the file stands whole: ``claimed -> written``."""
        ...

    async def hindered(self, delivery_id: int, error: str) -> None:
        """Record why the next step could not be taken; the status stays ``claimed`` or ``written``."""
        ...

    async def started(self, delivery_id: int) -> int:
        """Record that a run of the CLI is about to begin: ``-> delivering``.

        Returns:
            The number of this attempt, from 1.
        """
        ...

    async def rejected(self, delivery_id: int, attempt: int, rejects: Sequence[Reject]) -> None:
        """Record records that were not accepted; to be called as often as there are more of them."""
        ...

    async def settled(self, delivery_id: int, outcome: Outcome) -> None:
        """Record how an attempt ended: ``-> delivered | partial | failed``."""
        ...

    async def of_batch(self, batch_id: int) -> tuple[Delivery, ...]:
        """Return the batch's deliveries by ascending id."""
        ...

    async def rejects(self, delivery_id: int, *, limit: int) -> tuple[Reject, ...]:
        """Return the first *limit* records that the last attempt did not deliver."""
        ...
