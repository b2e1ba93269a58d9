"""Deliveries, in PostgreSQL."""

from collections.abc import Sequence

import asyncpg

from globeco_allocation.adapters.postgres.pool import Pool
from globeco_allocation.domain.delivery import (
    Delivery,
    DeliveryStatus,
    Outcome,
    RecordVerdict,
    Reject,
    WrittenFile,
)
from globeco_allocation.domain.errors import DeliveryStepError
from globeco_allocation.domain.execution import LARGEST_ID

_CLAIMED = "INSERT INTO delivery (batch_id, file_name) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING *"

_BY_FILE_NAME = "SELECT * FROM delivery WHERE file_name = $1 AND batch_id = $2"

# Each step names the statuses from which it may be taken, in the statement itself: of two who take a step at
# once, one succeeds. No row comes back when the step was not allowed.
_WRITTEN = """
UPDATE delivery
   SET status = 'written', record_count = $3, byte_count = $4, checksum = $5, error = NULL,
       written_timestamp = coalesce(written_timestamp, clock_timestamp())
 WHERE id = $1
   AND (status = ANY ($2)
        OR (status, record_count, byte_count, checksum) = ('written', $3, $4, $5))
RETURNING id
"""

_HINDERED = """
UPDATE delivery SET error = $2 WHERE id = $1 AND status IN ('claimed', 'written') RETURNING id
"""

_STARTED = """
UPDATE delivery
   SET status = 'delivering', attempts = attempts + 1, exit_code = NULL, accepted_count = NULL,
       rejected_count = NULL, unknown_count = NULL, error = NULL, started_timestamp = clock_timestamp(),
       ended_timestamp = NULL
 WHERE id = $1 AND status = ANY ($2)
RETURNING attempts
"""

# $3, $4, $5: source ids, verdicts and reasons, in their order.
_REJECTED = """
WITH under_way AS (
     SELECT id FROM delivery WHERE id = $1 AND attempts = $2 AND status = 'delivering' FOR UPDATE
     ), kept AS (
     INSERT INTO delivery_reject (delivery_id, attempt, source_id, verdict, reason)
     SELECT under_way.id, $2, given.source_id, given.verdict, given.reason
       FROM under_way,
            unnest($3::text[], $4::text[], $5::text[])
            WITH ORDINALITY AS given (source_id, verdict, reason, place)
      ORDER BY given.place
     )
SELECT id FROM under_way
"""

_SETTLED = """
UPDATE delivery
   SET status = $3, accepted_count = $4, rejected_count = $5, unknown_count = $6, exit_code = $7, error = $8,
       ended_timestamp = coalesce(ended_timestamp, clock_timestamp())
 WHERE id = $1
   AND (status = ANY ($2)
        OR (status, accepted_count, rejected_count, unknown_count, error) = ($3, $4, $5, $6, $8)
           AND exit_code IS NOT DISTINCT FROM $7)
RETURNING id
"""

_OF_BATCH = "SELECT * FROM delivery WHERE batch_id = $1 ORDER BY id"

_REJECTS = """
SELECT source_id, verdict, reason
  FROM delivery_reject
 WHERE delivery_id = $1 AND attempt = (SELECT attempts FROM delivery WHERE id = $1)
 ORDER BY id
 LIMIT $2
"""


class PostgresDeliveries:
    """Records deliveries in ``delivery``; see `globeco_allocation.ports.deliveries.Deliveries`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claimed(self, batch_id: int, file_name: str) -> Delivery:
        """Record that a file is to be made; see the port."""
        row = await self._pool.fetch_row(_CLAIMED, batch_id, file_name)
        if row is None:
            # A second statement, for a second snapshot: it sees a row for whose commit the first one waited.
            row = await self._pool.fetch_row(_BY_FILE_NAME, file_name, batch_id)
        if row is None:
            raise DeliveryStepError(f"batch {batch_id} or the file {file_name} has another delivery")
        return _to_delivery(row)

    async def written(self, delivery_id: int, file: WrittenFile) -> None:
        """Record that the file stands whole; see the port."""
        await self._step(
            _WRITTEN, delivery_id, DeliveryStatus.WRITTEN, file.record_count, file.byte_count, file.checksum
        )

    async def hindered(self, delivery_id: int, error: str) -> None:
        """Record why the next step could not be taken; see the port."""
        row = await self._pool.fetch_row(_HINDERED, delivery_id, _storable(error))
        if row is None:
            raise DeliveryStepError(f"delivery {delivery_id} is begun already")

    async def started(self, delivery_id: int) -> int:
        """Record that a run is about to begin; see the port."""
        row = await self._step(_STARTED, delivery_id, DeliveryStatus.DELIVERING)
        return row["attempts"]

    async def rejected(self, delivery_id: int, attempt: int, rejects: Sequence[Reject]) -> None:
        """Record records that were not accepted, in one round trip; see the port."""
        row = await self._pool.fetch_row(
            _REJECTED,
            delivery_id,
            attempt,
            [_storable(one.source_id) for one in rejects],
            [one.verdict for one in rejects],
            [_storable(one.reason) for one in rejects],
        )
        if row is None:
            raise DeliveryStepError(f"delivery {delivery_id} is not in its attempt {attempt}")

    async def settled(self, delivery_id: int, outcome: Outcome) -> None:
        """Record how an attempt ended; see the port."""
        await self._step(
            _SETTLED,
            delivery_id,
            outcome.status,
            outcome.status,
            outcome.accepted_count,
            outcome.rejected_count,
            outcome.unknown_count,
            outcome.exit_code,
            _storable(outcome.error),
        )

    async def of_batch(self, batch_id: int) -> tuple[Delivery, ...]:
        """Return the batch's deliveries; see the port."""
        if not 1 <= batch_id <= LARGEST_ID:
            return ()
        return tuple(_to_delivery(row) for row in await self._pool.fetch(_OF_BATCH, batch_id))

    async def rejects(self, delivery_id: int, *, limit: int) -> tuple[Reject, ...]:
        """Return records that the last attempt did not deliver; see the port."""
        rows = await self._pool.fetch(_REJECTS, delivery_id, limit)
        return tuple(Reject(row["source_id"], RecordVerdict(row["verdict"]), row["reason"]) for row in rows)

    async def _step(
        self, sql: str, delivery_id: int, status: DeliveryStatus, *arguments: object
    ) -> asyncpg.Record:
        row = await self._pool.fetch_row(sql, delivery_id, sorted(status.follows), *arguments)
        if row is None:
            raise DeliveryStepError(f"delivery {delivery_id} cannot become {status} now")
        return row


def _to_delivery(row: asyncpg.Record) -> Delivery:
    status = DeliveryStatus(row["status"])
    checksum: str | None = row["checksum"]
    return Delivery(
        id=row["id"],
        batch_id=row["batch_id"],
        file_name=row["file_name"],
        status=status,
        file=None if checksum is None else WrittenFile(row["record_count"], row["byte_count"], checksum),
        attempts=row["attempts"],
        outcome=_to_outcome(row, status) if status.ended else None,
        error=row["error"] or "",
        created=row["claimed_timestamp"],
    )


def _to_outcome(row: asyncpg.Record, status: DeliveryStatus) -> Outcome:
    return Outcome(
        status,
        row["accepted_count"],
        row["rejected_count"],
        row["unknown_count"],
        row["exit_code"],
        row["error"],
    )


def _storable(text: str) -> str:
    # PostgreSQL's text can hold neither a NUL character nor half a surrogate pair.
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
