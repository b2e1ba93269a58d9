"""Batch windows and the files they become, in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from globeco_allocation.adapters.postgres.batch_contents import BatchContents
from globeco_allocation.adapters.postgres.batch_rows import to_batch
from globeco_allocation.adapters.postgres.delivery_rows import to_delivery
from globeco_allocation.adapters.postgres.integers import int4
from globeco_allocation.adapters.postgres.leases import check_held, named
from globeco_allocation.adapters.storable_text import storable
from globeco_allocation.domain.batch import Batch, ClaimTerms
from globeco_allocation.domain.delivery import Delivery, PlannedFile
from globeco_allocation.domain.errors import DeliveryStepError, StoreUnavailableError
from globeco_allocation.domain.lease import Holder, Lease, Leased
from globeco_allocation.domain.window import Window
from globeco_allocation.ports.batches import BatchPage, LeasedBatch

_LARGEST_BIGINT = 2**63 - 1

_LAST_START = "SELECT max(start_time) AS start_time FROM batch_history"

# The function takes the exclusive lock, and finds the start time and inserts in later statements of its own
# (design, "Windows").
_CLAIM = """
SELECT id, previous_start_time, start_time, lease_token
  FROM claim_traced_window($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""

# $1 the holder, $2 for how long. Past those that another process is taking.
_TAKE_UNPREPARED = """
WITH due AS (
     SELECT batch_id
       FROM batch_claim
      WHERE prepared_timestamp IS NULL
        AND (not_before IS NULL OR not_before <= clock_timestamp())
        AND (lease_until IS NULL OR lease_until <= clock_timestamp())
      ORDER BY queue_number
      LIMIT 1
        FOR UPDATE SKIP LOCKED
     ), c AS (
     UPDATE batch_claim
        SET lease_holder = $1, lease_until = clock_timestamp() + $2::interval,
            lease_token = nextval('lease_token')
       FROM due
      WHERE batch_claim.batch_id = due.batch_id
     RETURNING batch_claim.*
     )
SELECT h.*, c.*
  FROM c
  JOIN batch_history AS h ON h.id = c.batch_id
"""

# $1 the batch, $2 its lease's token; $3 lanes, $4 parts, $5 file names and $6 record counts, in their order.
# All files or none: none where there are some already, of this batch or with such a name.
_PLAN = """
WITH held AS (
     SELECT batch_id, queue_number, lane_count, requested_by, trace_parent, trace_state
       FROM batch_claim
      WHERE batch_id = $1 AND lease_token = $2 AND prepared_timestamp IS NULL
        FOR NO KEY UPDATE
     )
INSERT INTO delivery (
       batch_id, lane, part, file_name, record_count, queue_number, lane_count, requested_by,
       trace_parent, trace_state
       )
SELECT held.batch_id, given.lane, given.part, given.file_name, given.record_count,
       held.queue_number, held.lane_count, held.requested_by, held.trace_parent, held.trace_state
  FROM held,
       unnest($3::integer[], $4::integer[], $5::text[], $6::bigint[])
       AS given (lane, part, file_name, record_count)
 WHERE NOT EXISTS (SELECT FROM delivery AS d WHERE d.batch_id = $1 OR d.file_name = ANY ($5::text[]))
 ORDER BY given.lane, given.part
ON CONFLICT DO NOTHING
RETURNING *
"""

_PLANNED = "SELECT * FROM delivery WHERE batch_id = $1 ORDER BY id"

_PREPARED = """
UPDATE batch_claim AS c
   SET prepared_timestamp = coalesce(prepared_timestamp, clock_timestamp()), not_before = NULL,
       lease_until = NULL
 WHERE batch_id = $1 AND lease_token = $2
   AND NOT EXISTS (SELECT FROM delivery AS d WHERE d.batch_id = c.batch_id AND d.status = 'claimed')
RETURNING batch_id
"""

_HINDERED = """
UPDATE batch_claim
   SET not_before = clock_timestamp() + $3::interval, lease_until = NULL
 WHERE batch_id = $1 AND lease_token = $2
RETURNING batch_id
"""

# A batch without a claim is the Go implementation's.
_GET = """
SELECT h.*, c.*
  FROM batch_history AS h
  JOIN batch_claim AS c ON c.batch_id = h.id
 WHERE h.id = $1
"""

# One statement, so that the total and the rows are of the same moment; where there are none, one row remains,
# with the total and no id. $1 how many rows, $2 how many newer ones to leave out.
_PAGE = """
SELECT counted.total, page.*
  FROM (SELECT count(*) AS total FROM batch_claim) AS counted
  LEFT JOIN (
       SELECT h.*, c.*
         FROM (SELECT * FROM batch_claim ORDER BY batch_id DESC LIMIT $1 OFFSET $2) AS c
         JOIN batch_history AS h ON h.id = c.batch_id
       ) AS page ON true
 ORDER BY page.id DESC
"""

# The first batch that starts behind the stamp is the only one whose window may hold it.
_HOLDING = """
SELECT h.*, c.*
  FROM (SELECT * FROM batch_history WHERE start_time > $1 ORDER BY start_time LIMIT 1) AS h
  LEFT JOIN batch_claim AS c ON c.batch_id = h.id
 WHERE h.previous_start_time <= $1
"""


class PostgresBatches(BatchContents):
    """Claims windows in ``batch_history``; see `globeco_allocation.ports.batches.Batches`."""

    async def last_start(self) -> datetime:
        """Return the newest batch's start time; see the port."""
        row = await self._pool.fetch_row(_LAST_START)
        last_start: datetime | None = None if row is None else row["start_time"]
        if last_start is None:
            raise StoreUnavailableError("the database has no first batch yet; it needs its migrations")
        return last_start

    async def claim(self, last_start: datetime, terms: ClaimTerms, holder: Holder) -> LeasedBatch:
        """Claim the window that begins at *last_start*, in one round trip; see the port."""
        terms = replace(terms, requested_by=storable(terms.requested_by))
        (row,) = await self._pool.fetch(
            _CLAIM,
            last_start,
            terms.file_quantity,
            terms.file_format_version,
            terms.lane_count,
            terms.file_max_records,
            terms.requested_by,
            storable(holder.name),
            holder.time,
            terms.trace.parent,
            terms.trace.state,
        )
        batch = Batch(row["id"], Window(row["previous_start_time"], row["start_time"]), terms)
        return LeasedBatch(batch, Lease(Leased.BATCH, batch.id, row["lease_token"], holder))

    async def take_unprepared(self, holder: Holder) -> LeasedBatch | None:
        """Lease the oldest batch whose files are not all written; see the port."""
        row = await self._pool.fetch_row(_TAKE_UNPREPARED, storable(holder.name), holder.time)
        if row is None:
            return None
        batch = to_batch(row)
        return LeasedBatch(batch, Lease(Leased.BATCH, batch.id, row["lease_token"], holder))

    async def plan(self, lease: Lease, files: Sequence[PlannedFile]) -> tuple[Delivery, ...]:
        """Record the files that the leased batch is to have, in one round trip; see the port."""
        wanted = sorted(files, key=lambda file: (file.lane, file.part))
        rows = await self._pool.fetch(
            _PLAN,
            *named(lease, Leased.BATCH),
            [file.lane for file in wanted],
            [file.part for file in wanted],
            [file.file_name for file in wanted],
            [file.record_count for file in wanted],
        )
        if not rows or len(rows) != len(wanted):
            await check_held(self._pool, lease)
            rows = await self._pool.fetch(_PLANNED, lease.id)
        planned = sorted((to_delivery(row) for row in rows), key=lambda one: one.id)
        if [PlannedFile(one.lane, one.part, one.file_name, one.record_count) for one in planned] != wanted:
            raise DeliveryStepError(f"batch {lease.id} has other files already")
        return tuple(planned)

    async def prepared(self, lease: Lease) -> None:
        """Record that all files of the leased batch are written; see the port."""
        if await self._pool.fetch_row(_PREPARED, *named(lease, Leased.BATCH)) is None:
            await check_held(self._pool, lease)
            raise DeliveryStepError(f"a file of batch {lease.id} is not written yet")

    async def hindered(self, lease: Lease, retry_in: timedelta) -> None:
        """Give the leased batch back, to be taken again later; see the port."""
        if await self._pool.fetch_row(_HINDERED, *named(lease, Leased.BATCH), retry_in) is None:
            await check_held(self._pool, lease)

    async def get(self, batch_id: int) -> Batch | None:
        """Return a claimed batch; see the port."""
        row = await self._pool.fetch_row(_GET, int4(batch_id))
        return None if row is None else to_batch(row)

    async def page(self, *, limit: int, offset: int) -> BatchPage:
        """Return some batches, newest first, and how many there are at the same moment; see the port."""
        rows = await self._pool.fetch(_PAGE, limit, min(offset, _LARGEST_BIGINT))
        return BatchPage(tuple(to_batch(row) for row in rows if row["id"] is not None), rows[0]["total"])

    async def holding(self, ready: datetime) -> tuple[int, Batch | None] | None:
        """Return the batch whose window holds a ready stamp; see the port."""
        row = await self._pool.fetch_row(_HOLDING, ready)
        if row is None:
            return None
        return row["id"], None if row["batch_id"] is None else to_batch(row)
