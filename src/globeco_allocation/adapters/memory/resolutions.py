"""What operators settle by hand, in memory."""

from collections.abc import Sequence
from dataclasses import replace

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.rows import DeliveryRow
from globeco_allocation.adapters.storable_text import storable
from globeco_allocation.domain.delivery import DeliveryStatus, Resolution
from globeco_allocation.domain.errors import DeliveryStepError
from globeco_allocation.domain.lease import Leased


class MemoryResolutions:
    """The twin of `globeco_allocation.ports.resolutions.Resolutions`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def resolve_delivery(self, delivery_id: int, reason: str, resolved_by: str) -> None:
        """Settle a delivery by hand; see the port."""
        row = self._find(delivery_id)
        delivery = row.delivery
        if delivery.status not in DeliveryStatus.RESOLVED.follows:
            raise DeliveryStepError(f"delivery {delivery_id} is {delivery.status} already")
        leases = self._database.leases
        is_free = leases.is_free(Leased.DELIVERY, delivery_id)
        if delivery.status is DeliveryStatus.CLAIMED:
            is_free = is_free and leases.is_free(Leased.BATCH, delivery.batch_id)
        if not is_free:
            raise DeliveryStepError(f"somebody works on delivery {delivery_id} now: try again later")
        self._resolve(row)
        self._note(delivery_id, "", reason, resolved_by)

    async def resolve_record(self, delivery_id: int, source_id: str, reason: str, resolved_by: str) -> None:
        """Settle one record by hand; see the port."""
        row = self._find(delivery_id)
        delivery = row.delivery
        if not delivery.status.ended:
            raise DeliveryStepError(f"delivery {delivery_id} is {delivery.status}: wait for its end")
        if delivery.status is DeliveryStatus.RESOLVED:
            raise DeliveryStepError(f"delivery {delivery_id} is resolved already")
        rejected = {one.source_id for one in row.shown_rejects}
        if not source_id or source_id not in rejected:
            raise DeliveryStepError(f"delivery {delivery_id} has no rejected record {source_id!r}")
        resolved = {one.source_id for one in self._database.resolutions if one.delivery_id == delivery_id}
        if source_id in resolved:
            raise DeliveryStepError(f"the record {source_id} of delivery {delivery_id} is resolved already")
        self._note(delivery_id, source_id, reason, resolved_by)
        unknown = delivery.outcome.unknown_count if delivery.outcome else 0
        if not unknown and rejected <= resolved | {source_id}:
            self._resolve(row)

    async def clear_stop(self, reason: str, resolved_by: str) -> None:
        """End the stop of all delivery; see the port."""
        self._database.answer()
        stop = self._database.stop
        if stop is None:
            raise DeliveryStepError("delivery is not stopped")
        self._database.stop = None
        self._database.ended_stops.append((stop, self._resolution(stop.delivery_id, "", reason, resolved_by)))

    async def of_deliveries(self, delivery_ids: Sequence[int]) -> tuple[Resolution, ...]:
        """Return what was resolved of these deliveries; see the port."""
        self._database.answer()
        return tuple(one for one in self._database.resolutions if one.delivery_id in delivery_ids)

    def _find(self, delivery_id: int) -> DeliveryRow:
        self._database.answer()
        row = self._database.deliveries.get(delivery_id)
        if row is None:
            raise DeliveryStepError(f"there is no delivery {delivery_id}")
        return row

    def _resolve(self, row: DeliveryRow) -> None:
        row.delivery = replace(
            row.delivery, status=DeliveryStatus.RESOLVED, under_way=False, run_uid="", not_before=None
        )
        self._database.leases.revoke(Leased.DELIVERY, row.delivery.id)

    def _note(self, delivery_id: int, source_id: str, reason: str, resolved_by: str) -> None:
        self._database.resolutions.append(self._resolution(delivery_id, source_id, reason, resolved_by))

    def _resolution(self, delivery_id: int, source_id: str, reason: str, resolved_by: str) -> Resolution:
        now = self._database.clock.now()
        return Resolution(delivery_id, source_id, storable(reason), storable(resolved_by), now)
