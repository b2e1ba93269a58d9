"""What operators settle by hand, in PostgreSQL."""

from collections.abc import Sequence

from globeco_allocation.adapters.postgres.delivery_rows import to_delivery
from globeco_allocation.adapters.postgres.integers import int4
from globeco_allocation.adapters.postgres.on_pool import OnPool
from globeco_allocation.adapters.storable_text import storable
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, Resolution
from globeco_allocation.domain.errors import DeliveryStepError

# $1 the delivery, $2 the reason, $3 who. Whoever held it before has lost it.
_RESOLVE_DELIVERY = """
WITH resolved AS (
     UPDATE delivery AS d
        SET status = 'resolved', not_before = NULL, run_uid = '',
            lease_token = nextval('lease_token'), lease_holder = NULL, lease_until = NULL
      WHERE d.id = $1
        AND d.status NOT IN ('delivered', 'resolved')
        AND (d.lease_until IS NULL OR d.lease_until <= clock_timestamp())
        AND NOT (
            d.status = 'claimed' AND EXISTS (
                SELECT FROM batch_claim AS c
                 WHERE c.batch_id = d.batch_id AND c.lease_until > clock_timestamp()
            )
        )
     RETURNING d.id
     )
INSERT INTO delivery_resolution (delivery_id, source_id, reason, resolved_by)
SELECT id, '', $2, $3 FROM resolved
RETURNING id
"""

# The function locks the delivery, and looks for records that are open still in a later statement.
_RESOLVE_RECORD = "SELECT resolve_record($1, $2, $3, $4) AS is_resolved"

_CLEAR_STOP = """
UPDATE delivery_stop
   SET cleared_timestamp = clock_timestamp(), cleared_reason = $1, cleared_by = $2
 WHERE cleared_timestamp IS NULL
RETURNING id
"""

_GET = "SELECT * FROM delivery WHERE id = $1"

_OF_DELIVERIES = """
SELECT delivery_id, source_id, reason, resolved_by, resolved_timestamp
  FROM delivery_resolution
 WHERE delivery_id = ANY ($1::integer[])
 ORDER BY id
"""


class PostgresResolutions(OnPool):
    """Keeps operators' decisions; see `globeco_allocation.ports.resolutions.Resolutions`."""

    async def resolve_delivery(self, delivery_id: int, reason: str, resolved_by: str) -> None:
        """Settle a delivery by hand, in one round trip; see the port."""
        reason, resolved_by = storable(reason), storable(resolved_by)
        if await self._pool.fetch_row(_RESOLVE_DELIVERY, int4(delivery_id), reason, resolved_by) is None:
            delivery = await self._find(delivery_id)
            if delivery.status not in DeliveryStatus.RESOLVED.follows:
                raise DeliveryStepError(f"delivery {delivery_id} is {delivery.status} already")
            raise DeliveryStepError(f"somebody works on delivery {delivery_id} now: try again later")

    async def resolve_record(self, delivery_id: int, source_id: str, reason: str, resolved_by: str) -> None:
        """Settle one record by hand, in one round trip; see the port."""
        (row,) = await self._pool.fetch(
            _RESOLVE_RECORD, int4(delivery_id), storable(source_id), storable(reason), storable(resolved_by)
        )
        if row["is_resolved"]:
            return
        delivery = await self._find(delivery_id)
        if not delivery.status.ended:
            raise DeliveryStepError(f"delivery {delivery_id} is {delivery.status}: wait for its end")
        if delivery.status is DeliveryStatus.RESOLVED:
            raise DeliveryStepError(f"delivery {delivery_id} is resolved already")
        if any(one.source_id == source_id for one in await self.of_deliveries([delivery_id])):
            raise DeliveryStepError(f"the record {source_id} of delivery {delivery_id} is resolved already")
        raise DeliveryStepError(f"delivery {delivery_id} has no rejected record {source_id!r}")

    async def clear_stop(self, reason: str, resolved_by: str) -> None:
        """End the stop of all delivery; it stays on record; see the port."""
        if await self._pool.fetch_row(_CLEAR_STOP, storable(reason), storable(resolved_by)) is None:
            raise DeliveryStepError("delivery is not stopped")

    async def of_deliveries(self, delivery_ids: Sequence[int]) -> tuple[Resolution, ...]:
        """Return what was resolved of these deliveries; see the port."""
        keys = [int4(one) for one in delivery_ids]
        return tuple(
            Resolution(
                row["delivery_id"],
                row["source_id"],
                row["reason"],
                row["resolved_by"],
                row["resolved_timestamp"],
            )
            for row in await self._pool.fetch(_OF_DELIVERIES, keys)
        )

    async def _find(self, delivery_id: int) -> Delivery:
        row = await self._pool.fetch_row(_GET, int4(delivery_id))
        if row is None:
            raise DeliveryStepError(f"there is no delivery {delivery_id}")
        return to_delivery(row)
