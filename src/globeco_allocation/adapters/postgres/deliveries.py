"""Deliveries, in PostgreSQL."""

from collections.abc import Sequence

from globeco_allocation.adapters.postgres.delivery_queue import DeliveryQueue
from globeco_allocation.adapters.postgres.delivery_rejects import DeliveryRejects
from globeco_allocation.adapters.postgres.delivery_rows import to_delivery
from globeco_allocation.adapters.postgres.delivery_steps import DeliverySteps
from globeco_allocation.adapters.postgres.integers import int4
from globeco_allocation.domain.delivery import Delivery

_GET = "SELECT * FROM delivery WHERE id = $1"

_OF_BATCHES = "SELECT * FROM delivery WHERE batch_id = ANY ($1::integer[]) ORDER BY id"

_NOT_ENDED = """
SELECT * FROM delivery
 WHERE status IN ('claimed', 'written', 'delivering')
 ORDER BY queue_number, part, lane
 LIMIT $1
"""


class PostgresDeliveries(DeliveryQueue, DeliverySteps, DeliveryRejects):
    """Records deliveries in ``delivery``; see `globeco_allocation.ports.deliveries.Deliveries`."""

    async def get(self, delivery_id: int) -> Delivery | None:
        """Return a delivery; see the port."""
        row = await self._pool.fetch_row(_GET, int4(delivery_id))
        return None if row is None else to_delivery(row)

    async def of_batches(self, batch_ids: Sequence[int]) -> tuple[Delivery, ...]:
        """Return the deliveries of these batches; see the port."""
        keys = [int4(one) for one in batch_ids]
        return tuple(to_delivery(row) for row in await self._pool.fetch(_OF_BATCHES, keys))

    async def not_ended(self, *, limit: int) -> tuple[Delivery, ...]:
        """Return the first deliveries in the queue that have not ended; see the port."""
        return tuple(to_delivery(row) for row in await self._pool.fetch(_NOT_ENDED, limit))
