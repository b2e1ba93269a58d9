"""Pending executions, in PostgreSQL.

All instants are the database's: replicas' clocks may differ.
"""

import math
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from globeco_allocation.adapters.postgres.joined_calls import JoinedCalls
from globeco_allocation.adapters.postgres.pending_rows import to_columns, to_pending
from globeco_allocation.adapters.postgres.pool import Held, Pool
from globeco_allocation.adapters.storable_text import storable
from globeco_allocation.domain.execution import LARGEST_ID
from globeco_allocation.domain.pending import PendingCounts, PendingExecution, PendingStatus
from globeco_allocation.ports.pending import Deferral, Setback

_MOST_READ = 500

# One array per column; $17 for how many there is room. What waits already needs none and is left as it is;
# that it is updated all the same lets its id come back.
_DEFER = """
WITH given AS (
     SELECT g.*,
            EXISTS (
                SELECT FROM pending_execution AS p
                 WHERE p.execution_service_id = g.execution_service_id AND p.status = 'pending'
            ) AS waits
       FROM unnest(
                $1::integer[], $2::boolean[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                $8::numeric[], $9::numeric[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[],
                $13::numeric[], $14::numeric[], $15::numeric[], $16::text[]
            ) WITH ORDINALITY AS g (
                execution_service_id, is_open, execution_status, trade_type, destination, security_id, ticker,
                quantity, limit_price, received_timestamp, sent_timestamp, last_fill_timestamp,
                quantity_filled, total_amount, average_price, reason, place
            )
     ), ranked AS (
     SELECT given.*, row_number() OVER (PARTITION BY waits ORDER BY place) AS rank FROM given
     )
INSERT INTO pending_execution AS p (
       execution_service_id, is_open, execution_status, trade_type, destination, security_id, ticker,
       quantity, limit_price, received_timestamp, sent_timestamp, last_fill_timestamp,
       quantity_filled, total_amount, average_price, reason, deferred_timestamp, next_attempt_timestamp
       )
SELECT execution_service_id, is_open, execution_status, trade_type, destination, security_id, ticker,
       quantity, limit_price, received_timestamp, sent_timestamp, last_fill_timestamp,
       quantity_filled, total_amount, average_price, reason, moment.now, moment.now
  FROM ranked, (SELECT clock_timestamp() AS now) AS moment
 WHERE waits
    OR rank <= $17::bigint
 ORDER BY execution_service_id
ON CONFLICT (execution_service_id) DO UPDATE
   SET status = 'pending',
       reason = CASE p.status WHEN 'error' THEN excluded.reason ELSE p.reason END,
       attempts = CASE p.status WHEN 'error' THEN 0 ELSE p.attempts END,
       deferred_timestamp =
           CASE p.status WHEN 'error' THEN excluded.deferred_timestamp ELSE p.deferred_timestamp END,
       next_attempt_timestamp =
           CASE p.status WHEN 'error' THEN excluded.next_attempt_timestamp ELSE p.next_attempt_timestamp END
RETURNING execution_service_id
"""

# No more rows are read than are of interest.
_WAITING = """
SELECT count(*) AS waiting FROM (SELECT FROM pending_execution WHERE status = 'pending' LIMIT $1) AS known
"""

_AMONG = "SELECT * FROM pending_execution WHERE execution_service_id = ANY ($1::integer[])"

# $1 how many, $2 for how long. The clock is asked in a subquery, and so once: then the index finds the end of
# what is due.
_CLAIM = """
WITH due AS (
     SELECT execution_service_id, next_attempt_timestamp AS due_at
       FROM pending_execution
      WHERE status = 'pending' AND next_attempt_timestamp <= (SELECT clock_timestamp())
      ORDER BY next_attempt_timestamp
      LIMIT $1
        FOR UPDATE SKIP LOCKED
     ), taken AS (
     UPDATE pending_execution AS p
        SET next_attempt_timestamp = clock_timestamp() + $2::interval
       FROM due
      WHERE p.execution_service_id = due.execution_service_id
     RETURNING p.*, due.due_at
     )
SELECT * FROM taken ORDER BY due_at
"""

# $1 ids, $2 reasons, $3 pauses, in their order.
_PUT_OFF = """
UPDATE pending_execution AS p
   SET attempts = p.attempts + 1, reason = given.reason,
       next_attempt_timestamp = clock_timestamp() + given.pause
  FROM unnest($1::integer[], $2::text[], $3::interval[]) AS given (execution_service_id, reason, pause)
 WHERE p.execution_service_id = given.execution_service_id AND p.status = 'pending'
"""

# $1 ids, $2 reasons, in their order.
_GIVE_UP = """
UPDATE pending_execution AS p
   SET attempts = p.attempts + 1, reason = given.reason, status = 'error'
  FROM unnest($1::integer[], $2::text[]) AS given (execution_service_id, reason)
 WHERE p.execution_service_id = given.execution_service_id AND p.status = 'pending'
RETURNING p.execution_service_id
"""

_REMOVE = "DELETE FROM pending_execution WHERE execution_service_id = ANY ($1::integer[])"

# $1 ids, or null for all.
_RETRY = """
UPDATE pending_execution
   SET status = 'pending', attempts = 0, deferred_timestamp = moment.now, next_attempt_timestamp = moment.now
  FROM (SELECT clock_timestamp() AS now) AS moment
 WHERE status = 'error' AND ($1::integer[] IS NULL OR execution_service_id = ANY ($1))
RETURNING execution_service_id
"""

# $1 how many, $2 of which status, or null for both.
_LISTED = """
SELECT *
  FROM pending_execution
 WHERE $2::text IS NULL OR status = $2
 ORDER BY status = 'pending', deferred_timestamp, execution_service_id
 LIMIT $1
"""

_COUNTS = """
SELECT count(*) FILTER (WHERE status = 'pending') AS pending,
       count(*) FILTER (WHERE status = 'error') AS error
  FROM pending_execution
"""


class PostgresPendingExecutions:
    """Keeps what waits in ``pending_execution``; see `globeco_allocation.ports.pending.PendingExecutions`.

    Args:
        pool: Connections.
        count_seconds: For how long a count of what waits is good; meanwhile only what is deferred here is
            added. Counting 100000 takes tens of milliseconds, too long for each request of an outage.
        at_once: See `PostgresExecutions`.
    """

    def __init__(self, pool: Pool, *, count_seconds: float = 1.0, at_once: int = 2) -> None:
        self._pool = pool
        self._joined_among = JoinedCalls(
            pool.held, _among, most_items=_MOST_READ, at_once=at_once, sql=_AMONG, watch=pool.watch
        )
        self._count_seconds = count_seconds
        self._waiting = 0
        self._counted_at = -math.inf

    async def defer(self, deferrals: Sequence[Deferral], *, most: int) -> set[int]:
        """Keep executions as pending, in one round trip, or two with the count; see the port."""
        now = time.monotonic()
        if now - self._counted_at >= self._count_seconds:
            self._counted_at = now  # whoever comes meanwhile makes do with what is known
            (row,) = await self._pool.fetch(_WAITING, most)
            self._waiting = row["waiting"]
        accepted = await self._ids(_DEFER, *to_columns(deferrals), most - self._waiting)
        self._waiting += len(accepted)
        return accepted

    async def among(self, execution_service_ids: Collection[int]) -> dict[int, PendingExecution]:
        """Return the pending ones among these, in one round trip, perhaps with others; see the port."""
        keys = _integers(execution_service_ids)
        found = await self._joined_among(keys)
        return {key: found[key] for key in keys if key in found}

    async def claim(self, *, limit: int, lease: timedelta) -> tuple[PendingExecution, ...]:
        """Take executions that are due, past those that another process is taking; see the port."""
        return tuple(to_pending(row) for row in await self._pool.fetch(_CLAIM, limit, lease))

    async def put_off(self, setbacks: Sequence[Setback]) -> None:
        """Record failed lookups, in one round trip; see the port."""
        await self._pool.fetch(
            _PUT_OFF,
            [one.execution_service_id for one in setbacks],
            [storable(one.reason) for one in setbacks],
            [one.pause for one in setbacks],
        )

    async def give_up(self, reasons: Mapping[int, str]) -> set[int]:
        """Turn pending executions into ``error``, in one round trip; see the port."""
        return await self._ids(_GIVE_UP, list(reasons), [storable(one) for one in reasons.values()])

    async def remove(self, execution_service_ids: Collection[int]) -> None:
        """Forget executions; see the port."""
        await self._pool.fetch(_REMOVE, _integers(execution_service_ids))

    async def retry(self, execution_service_ids: Collection[int] | None = None) -> set[int]:
        """Let executions in error wait anew; see the port."""
        named = None if execution_service_ids is None else _integers(execution_service_ids)
        return await self._ids(_RETRY, named)

    async def listed(
        self, *, limit: int, status: PendingStatus | None = None
    ) -> tuple[PendingExecution, ...]:
        """Return some executions, those in error first; see the port."""
        return tuple(to_pending(row) for row in await self._pool.fetch(_LISTED, limit, status))

    async def counts(self) -> PendingCounts:
        """Count them, in one statement; see the port."""
        (row,) = await self._pool.fetch(_COUNTS)
        return PendingCounts(row["pending"], row["error"])

    async def _ids(self, sql: str, *arguments: object) -> set[int]:
        return {row["execution_service_id"] for row in await self._pool.fetch(sql, *arguments)}


async def _among(session: Held, execution_service_ids: Sequence[int]) -> dict[int, PendingExecution]:
    rows = await session.fetch(_AMONG, execution_service_ids)
    return {row["execution_service_id"]: to_pending(row) for row in rows}


def _integers(keys: Collection[int]) -> list[int]:
    """Return those that the column can hold."""
    return [key for key in keys if 1 <= key <= LARGEST_ID]
