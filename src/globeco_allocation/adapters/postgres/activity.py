"""What came in and what went out lately, from PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from globeco_allocation.adapters.postgres.on_pool import OnPool
from globeco_allocation.ports.activity import Delivered, Stretches

_EPOCH: Final = datetime.fromtimestamp(0, UTC)

# $1 since, $2 until, $3 the width, $4 what stretches are counted from, $5 how many at most. The inner query
# reads nothing but the index on the ready stamp, from its newest end.
_BECAME_READY = """
SELECT date_bin($3::interval, stamp, $4::timestamptz) AS start, count(*) AS count
  FROM (SELECT ready_to_send_timestamp AS stamp
          FROM execution
         WHERE ready_to_send_timestamp >= $1 AND ready_to_send_timestamp < $2
         ORDER BY ready_to_send_timestamp DESC
         LIMIT $5) AS newest
 GROUP BY 1
"""

# The same parameters. By ids, which rise: what was delivered lately is among the newest files.
_DELIVERED = """
WITH newest AS MATERIALIZED (
     SELECT batch_id, claimed_timestamp, ended_timestamp, accepted_count, rejected_count, unknown_count
       FROM delivery ORDER BY id DESC LIMIT $5
     )
SELECT start, sum(batches)::bigint AS batches, sum(booked)::bigint AS booked,
       sum(rejected)::bigint AS rejected, sum(unknown)::bigint AS unknown
  FROM (SELECT date_bin($3::interval, claimed_timestamp, $4::timestamptz) AS start,
               count(DISTINCT batch_id) AS batches, 0 AS booked, 0 AS rejected, 0 AS unknown
          FROM newest
         WHERE claimed_timestamp >= $1 AND claimed_timestamp < $2
         GROUP BY 1
         UNION ALL
        SELECT date_bin($3::interval, ended_timestamp, $4::timestamptz),
               0, sum(accepted_count), sum(rejected_count), sum(unknown_count)
          FROM newest
         WHERE ended_timestamp >= $1 AND ended_timestamp < $2 AND accepted_count IS NOT NULL
         GROUP BY 1) AS counted
 GROUP BY start
"""

# $1 how many batches, $2 how many files; by the index on those that nobody resolved or sent again.
_TROUBLED = """
SELECT DISTINCT batch_id
  FROM (SELECT batch_id FROM delivery
         WHERE status IN ('partial', 'failed')
         ORDER BY ended_timestamp DESC
         LIMIT $2) AS troubled
 ORDER BY batch_id DESC
 LIMIT $1
"""


class PostgresActivity(OnPool):
    """Counts in ``execution`` and ``delivery``; see `globeco_allocation.ports.activity.Activity`."""

    async def became_ready(self, stretches: Stretches, *, most: int) -> Mapping[datetime, int]:
        """Count executions by their ready stamps; see the port."""
        rows = await self._pool.fetch(_BECAME_READY, *_named(stretches), most)
        return {row["start"]: row["count"] for row in rows}

    async def delivered(self, stretches: Stretches, *, most: int) -> Mapping[datetime, Delivered]:
        """Sum up the newest files; see the port."""
        rows = await self._pool.fetch(_DELIVERED, *_named(stretches), most)
        names = ("batches", "booked", "rejected", "unknown")
        return {row["start"]: Delivered(*(row[name] for name in names)) for row in rows}

    async def troubled(self, *, batches: int, most: int) -> Sequence[int]:
        """Return batches with failed or partial files; see the port."""
        return [row["batch_id"] for row in await self._pool.fetch(_TROUBLED, batches, most)]


def _named(stretches: Stretches) -> tuple[object, ...]:
    return stretches.since, stretches.until, stretches.width, _EPOCH
