"""The steps of a delivery, in PostgreSQL.

Each is one statement that names the lease's token and the status from which the step may be taken, so that of
two who take it at once one succeeds. Only when it changed nothing is it looked up why.
"""

from dataclasses import replace
from datetime import timedelta

from globeco_allocation.adapters.postgres.delivery_rows import to_delivery
from globeco_allocation.adapters.postgres.integers import int4
from globeco_allocation.adapters.postgres.leases import check_held, named
from globeco_allocation.adapters.postgres.on_pool import OnPool
from globeco_allocation.adapters.storable_text import storable
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, Settlement, WrittenFile
from globeco_allocation.domain.errors import DeliveryStepError
from globeco_allocation.domain.lease import Lease, Leased

# $1 the batch, $2 its lease's token, $3 the delivery. The batch's row is locked: until we have committed,
# nobody takes the lease over.
_WRITTEN = """
WITH held AS (
     SELECT batch_id FROM batch_claim WHERE batch_id = $1 AND lease_token = $2 FOR SHARE
     )
UPDATE delivery AS d
   SET status = 'written', record_count = $4, byte_count = $5, checksum = $6, first_id = $7, last_id = $8,
       error = NULL, written_timestamp = clock_timestamp()
  FROM held
 WHERE d.id = $3 AND d.batch_id = held.batch_id AND d.status = 'claimed'
RETURNING d.id
"""

_NOT_WRITTEN = """
WITH held AS (
     SELECT batch_id FROM batch_claim WHERE batch_id = $1 AND lease_token = $2 FOR SHARE
     )
UPDATE delivery AS d
   SET error = $4
  FROM held
 WHERE d.id = $3 AND d.batch_id = held.batch_id AND d.status = 'claimed'
RETURNING d.id
"""

# From here on: $1 the delivery, $2 its lease's token.
_BEGUN = """
UPDATE delivery
   SET status = 'delivering', attempts = $3, not_before = NULL, run_uid = '', error = NULL,
       outcome_status = NULL, accepted_count = NULL, rejected_count = NULL, unknown_count = NULL,
       exit_code = NULL, outcome_error = NULL,
       started_timestamp = clock_timestamp(), ended_timestamp = NULL
 WHERE id = $1 AND lease_token = $2
   AND status IN ('written', 'delivering') AND NOT under_way AND attempts + 1 = $3
   AND NOT EXISTS (SELECT FROM delivery_stop WHERE cleared_timestamp IS NULL)
RETURNING id
"""

_IDENTIFIED = """
UPDATE delivery
   SET run_uid = $4
 WHERE id = $1 AND lease_token = $2 AND attempts = $3 AND under_way
RETURNING id
"""

_HINDERED = """
UPDATE delivery
   SET error = $3, not_before = clock_timestamp() + $4::interval, lease_until = NULL
 WHERE id = $1 AND lease_token = $2 AND status IN ('written', 'delivering')
RETURNING id
"""

# $9 what the last attempt came to, $10 its error, $16 whether all delivery stops. Rejects of attempts that
# tell nothing more are dropped.
_SETTLED = """
WITH settled AS (
     UPDATE delivery
        SET status = $4, accepted_count = $5, rejected_count = $6, unknown_count = $7, exit_code = $8,
            outcome_status = $9, outcome_error = $10, error = $10, knowledge_attempt = $11, cut_offs = $12,
            tries = $13, confirming = $14, not_before = moment.now + $15::interval, run_uid = '',
            ended_timestamp = moment.now, lease_until = NULL
       FROM (SELECT clock_timestamp() AS now) AS moment
      WHERE id = $1 AND lease_token = $2 AND attempts = $3 AND under_way
     RETURNING id, ended_timestamp
     ), stopped AS (
     INSERT INTO delivery_stop (delivery_id, reason, stopped_timestamp)
     SELECT id, $10, ended_timestamp FROM settled WHERE $16
     ON CONFLICT DO NOTHING
     ), dropped AS (
     DELETE FROM delivery_reject AS r
      USING settled
      WHERE r.delivery_id = settled.id AND r.attempt NOT IN ($3, $11)
     )
SELECT id FROM settled
"""

_GET = "SELECT * FROM delivery WHERE id = $1"


class DeliverySteps(OnPool):
    """Records how far deliveries are."""

    async def written(self, batch_lease: Lease, delivery_id: int, file: WrittenFile) -> None:
        """Record that the file stands whole; see the port."""
        row = await self._pool.fetch_row(
            _WRITTEN,
            *named(batch_lease, Leased.BATCH),
            int4(delivery_id),
            file.record_count,
            file.byte_count,
            file.checksum,
            file.first_id,
            file.last_id,
        )
        if row is None:
            delivery = await self._held(batch_lease, delivery_id)
            if delivery.file != file:
                raise DeliveryStepError(f"delivery {delivery_id} is {delivery.status}, with another file")

    async def not_written(self, batch_lease: Lease, delivery_id: int, error: str) -> None:
        """Record why the file could not be written; see the port."""
        row = await self._pool.fetch_row(
            _NOT_WRITTEN, *named(batch_lease, Leased.BATCH), int4(delivery_id), storable(error)
        )
        if row is None:
            delivery = await self._held(batch_lease, delivery_id)
            raise DeliveryStepError(f"delivery {delivery_id} is {delivery.status} already")

    async def begun(self, lease: Lease, attempt: int) -> None:
        """Record that an attempt's run is about to be started; see the port."""
        if await self._pool.fetch_row(_BEGUN, *named(lease, Leased.DELIVERY), int4(attempt)) is not None:
            return
        delivery = await self._held(lease, lease.id)
        if delivery.status not in DeliveryStatus.DELIVERING.follows or delivery.attempt != attempt:
            raise DeliveryStepError(f"delivery {lease.id} cannot begin attempt {attempt} now")
        if not delivery.under_way:
            raise DeliveryStepError(f"delivery {lease.id} cannot begin: all delivery is stopped")

    async def identified(self, lease: Lease, attempt: int, uid: str) -> None:
        """Record by what the run under way can be found again; see the port."""
        row = await self._pool.fetch_row(
            _IDENTIFIED, *named(lease, Leased.DELIVERY), int4(attempt), storable(uid)
        )
        if row is None:
            await check_held(self._pool, lease)
            raise not_under_way(lease, attempt)

    async def hindered(self, lease: Lease, error: str, retry_in: timedelta) -> None:
        """Record why the next step could not be taken, and give the lease back; see the port."""
        row = await self._pool.fetch_row(_HINDERED, *named(lease, Leased.DELIVERY), storable(error), retry_in)
        if row is None:
            delivery = await self._held(lease, lease.id)
            raise DeliveryStepError(f"delivery {lease.id} is {delivery.status}")

    async def settled(self, lease: Lease, attempt: int, settlement: Settlement) -> None:
        """Record how the attempt under way ended, and give the lease back; see the port."""
        outcome = settlement.outcome
        error = storable(outcome.error)
        row = await self._pool.fetch_row(
            _SETTLED,
            *named(lease, Leased.DELIVERY),
            int4(attempt),
            outcome.status if settlement.retry_in is None else DeliveryStatus.DELIVERING,
            outcome.accepted_count,
            outcome.rejected_count,
            outcome.unknown_count,
            outcome.exit_code,
            outcome.status,
            error,
            settlement.knowledge.attempt,
            settlement.knowledge.cut_offs,
            settlement.tries,
            settlement.confirming,
            settlement.retry_in,
            settlement.collision,
        )
        if row is None:
            delivery = await self._held(lease, lease.id)
            ended = (delivery.attempts, delivery.under_way, delivery.outcome)
            if ended != (attempt, False, replace(outcome, error=error)):
                raise not_under_way(lease, attempt)

    async def _held(self, lease: Lease, delivery_id: int) -> Delivery:
        """Return the delivery that a step could not be taken with, though its lease was not lost."""
        await check_held(self._pool, lease)
        row = await self._pool.fetch_row(_GET, int4(delivery_id))
        if row is None or (lease.of is Leased.BATCH and row["batch_id"] != lease.id):
            raise DeliveryStepError(f"{lease.of} {lease.id} has no delivery {delivery_id}")
        return to_delivery(row)


def not_under_way(lease: Lease, attempt: int) -> DeliveryStepError:
    """Say that a step belongs to an attempt that is not under way."""
    return DeliveryStepError(f"attempt {attempt} of delivery {lease.id} is not under way")
