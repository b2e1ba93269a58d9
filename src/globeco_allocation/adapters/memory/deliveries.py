"""Deliveries, in memory."""

from collections.abc import Sequence
from dataclasses import replace

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, Outcome, Reject, WrittenFile
from globeco_allocation.domain.errors import DeliveryStepError


class MemoryDeliveries:
    """The twin of `globeco_allocation.ports.deliveries.Deliveries`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._deliveries: dict[int, Delivery] = {}
        self._rejects: dict[tuple[int, int], list[Reject]] = {}

    async def claimed(self, batch_id: int, file_name: str) -> Delivery:
        """Record that a file is to be made; see the port."""
        self._database.answer()
        for one in self._deliveries.values():
            if (one.batch_id, one.file_name) == (batch_id, file_name):
                return one
            if one.batch_id == batch_id or one.file_name == file_name:
                raise DeliveryStepError(f"batch {batch_id} or the file {file_name} has another delivery")
        delivery = Delivery(
            id=len(self._deliveries) + 1,
            batch_id=batch_id,
            file_name=file_name,
            status=DeliveryStatus.CLAIMED,
            file=None,
            attempts=0,
            outcome=None,
            created=self._database.clock.now(),
        )
        self._deliveries[delivery.id] = delivery
        return delivery

    async def written(self, delivery_id: int, file: WrittenFile) -> None:
        """Record that the file stands whole; see the port."""
        delivery = self._find(delivery_id)
        if delivery is None or (delivery.status, delivery.file) != (DeliveryStatus.WRITTEN, file):
            self._step(delivery_id, delivery, DeliveryStatus.WRITTEN, file=file, error="")

    async def hindered(self, delivery_id: int, error: str) -> None:
        """Record why the next step could not be taken; see the port."""
        delivery = self._find(delivery_id)
        if delivery is None or delivery.status not in {DeliveryStatus.CLAIMED, DeliveryStatus.WRITTEN}:
            raise DeliveryStepError(f"delivery {delivery_id} is begun already")
        self._deliveries[delivery_id] = replace(delivery, error=_storable(error))

    async def started(self, delivery_id: int) -> int:
        """Record that a run is about to begin; see the port."""
        delivery = self._find(delivery_id)
        attempt = (delivery.attempts if delivery else 0) + 1
        self._step(delivery_id, delivery, DeliveryStatus.DELIVERING, attempts=attempt, outcome=None, error="")
        return attempt

    async def rejected(self, delivery_id: int, attempt: int, rejects: Sequence[Reject]) -> None:
        """Record records that were not accepted; see the port."""
        delivery = self._find(delivery_id)
        if (
            delivery is None
            or delivery.status is not DeliveryStatus.DELIVERING
            or delivery.attempts != attempt
        ):
            raise DeliveryStepError(f"delivery {delivery_id} is not in its attempt {attempt}")
        self._rejects.setdefault((delivery_id, attempt), []).extend(
            replace(one, source_id=_storable(one.source_id), reason=_storable(one.reason)) for one in rejects
        )

    async def settled(self, delivery_id: int, outcome: Outcome) -> None:
        """Record how an attempt ended; see the port."""
        outcome = replace(outcome, error=_storable(outcome.error))
        delivery = self._find(delivery_id)
        if delivery is None or (delivery.status, delivery.outcome) != (outcome.status, outcome):
            self._step(delivery_id, delivery, outcome.status, outcome=outcome, error=outcome.error)

    async def of_batch(self, batch_id: int) -> tuple[Delivery, ...]:
        """Return the batch's deliveries; see the port."""
        self._database.answer()
        return tuple(one for one in self._deliveries.values() if one.batch_id == batch_id)

    async def rejects(self, delivery_id: int, *, limit: int) -> tuple[Reject, ...]:
        """Return records that the last attempt did not deliver; see the port."""
        delivery = self._find(delivery_id)
        attempt = delivery.attempts if delivery else 0
        return tuple(self._rejects.get((delivery_id, attempt), ())[:limit])

    def _find(self, delivery_id: int) -> Delivery | None:
        self._database.answer()
        return self._deliveries.get(delivery_id)

    def _step(
        self, delivery_id: int, delivery: Delivery | None, status: DeliveryStatus, **changes: object
    ) -> None:
        if delivery is None or delivery.status not in status.follows:
            raise DeliveryStepError(f"delivery {delivery_id} cannot become {status} now")
        self._deliveries[delivery_id] = replace(delivery, status=status, **changes)  # pyright: ignore[reportArgumentType]


def _storable(text: str) -> str:
    # As in PostgreSQL, whose text can hold neither.
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
