"""What operators settle by hand, with reasons that are kept."""

from collections.abc import Sequence
from typing import Protocol

from globeco_allocation.domain.delivery import Resolution


class Resolutions(Protocol):
    """Decisions of operators. Every method may raise `StoreUnavailableError`."""

    async def resolve_delivery(self, delivery_id: int, reason: str, resolved_by: str) -> None:
        """Settle a delivery by hand: ``-> resolved``; its lane is free.

        Raises:
            DeliveryStepError: it is delivered or resolved already, or somebody works on it now.
        """
        ...

    async def resolve_record(self, delivery_id: int, source_id: str, reason: str, resolved_by: str) -> None:
        """Settle one record by hand.

        With its last open record a ``failed`` or ``partial`` delivery, of which nothing is unknown, becomes
        ``resolved``.

        Raises:
            DeliveryStepError: the delivery is not ended, or did not reject such a record, or it is resolved.
        """
        ...

    async def clear_stop(self, reason: str, resolved_by: str) -> None:
        """End the stop of all delivery.

        Raises:
            DeliveryStepError: there is none.
        """
        ...

    async def of_deliveries(self, delivery_ids: Sequence[int]) -> tuple[Resolution, ...]:
        """Return what was resolved of these deliveries, oldest first."""
        ...
