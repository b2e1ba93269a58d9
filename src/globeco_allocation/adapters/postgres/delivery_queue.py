"""The queue of deliveries, in PostgreSQL: taking the next one, and queueing one again."""

from globeco_allocation.adapters.postgres.delivery_rows import to_delivery
from globeco_allocation.adapters.postgres.integers import int4
from globeco_allocation.adapters.postgres.on_pool import OnPool
from globeco_allocation.adapters.storable_text import storable
from globeco_allocation.domain.delivery import Delivery, DeliveryStop
from globeco_allocation.domain.errors import DeliveryStepError
from globeco_allocation.domain.lease import Holder, Lease, Leased
from globeco_allocation.domain.trace_context import NO_TRACE, TraceContext
from globeco_allocation.ports.deliveries import LeasedDelivery

# The function looks first; it takes the lock of the queue only where there is something to take.
_TAKE = "SELECT * FROM take_delivery($1, $2)"

# $1 the batch, $2 who asks, $3 and $4 its trace. Nothing, not even a place in the queue, unless all are
# ended. By ascending id, as those lock them who take deliveries. Whoever held one of them before has lost it.
_RESEND = """
WITH of_batch AS MATERIALIZED (
     SELECT id, status FROM delivery WHERE batch_id = $1 ORDER BY id FOR NO KEY UPDATE
     ), place AS MATERIALIZED (
     SELECT nextval('delivery_queue_number') AS queue_number
      WHERE EXISTS (SELECT FROM of_batch WHERE status IN ('failed', 'partial'))
        AND NOT EXISTS (SELECT FROM of_batch WHERE status IN ('claimed', 'written', 'delivering'))
     ), again AS (
     UPDATE delivery AS d
        SET status = 'written', queue_number = place.queue_number, tries = 0, confirming = false,
            not_before = NULL, error = NULL, requested_by = $2, trace_parent = $3, trace_state = $4,
            lease_token = nextval('lease_token'), lease_holder = NULL, lease_until = NULL
       FROM place
      WHERE d.batch_id = $1 AND d.status IN ('failed', 'partial')
     RETURNING d.*
     )
SELECT * FROM again ORDER BY id
"""

_OPEN = """
SELECT file_name, status
  FROM delivery
 WHERE batch_id = $1 AND status IN ('claimed', 'written', 'delivering')
 ORDER BY id
 LIMIT 1
"""

_STOP = """
SELECT s.delivery_id, d.batch_id, s.reason, s.stopped_timestamp
  FROM delivery_stop AS s
  JOIN delivery AS d ON d.id = s.delivery_id
 WHERE s.cleared_timestamp IS NULL
"""


class DeliveryQueue(OnPool):
    """Takes deliveries from the queue, and puts them there again."""

    async def take(self, holder: Holder) -> LeasedDelivery | None:
        """Lease the first delivery that may be worked on now, in one round trip; see the port."""
        row = await self._pool.fetch_row(_TAKE, storable(holder.name), holder.time)
        if row is None:
            return None
        lease = Lease(Leased.DELIVERY, row["id"], row["lease_token"], holder)
        return LeasedDelivery(to_delivery(row), lease)

    async def resend(
        self, batch_id: int, requested_by: str, trace: TraceContext = NO_TRACE
    ) -> tuple[Delivery, ...]:
        """Have the batch's failed and partial deliveries delivered again; see the port."""
        rows = await self._pool.fetch(
            _RESEND, int4(batch_id), storable(requested_by), trace.parent, trace.state
        )
        if not rows:
            is_open = await self._pool.fetch_row(_OPEN, int4(batch_id))
            raise DeliveryStepError(
                f"batch {batch_id} has no failed or partial delivery to be sent again"
                if is_open is None
                else f"the file {is_open['file_name']} is {is_open['status']}: wait for its end"
            )
        return tuple(to_delivery(row) for row in rows)

    async def stop(self) -> DeliveryStop | None:
        """Return why nothing is delivered now; see the port."""
        row = await self._pool.fetch_row(_STOP)
        if row is None:
            return None
        return DeliveryStop(row["delivery_id"], row["batch_id"], row["reason"], row["stopped_timestamp"])
