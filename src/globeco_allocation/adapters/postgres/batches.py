"""Batch windows, in PostgreSQL."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg

from globeco_allocation.adapters.postgres.execution_rows import SELECT_EXECUTIONS, to_execution
from globeco_allocation.adapters.postgres.pool import Pool
from globeco_allocation.domain.batch import Batch, ClaimTerms, FileQuantity
from globeco_allocation.domain.errors import StoreUnavailableError
from globeco_allocation.domain.execution import LARGEST_ID, Execution
from globeco_allocation.domain.window import Window

_LAST_START = "SELECT max(start_time) AS start_time FROM batch_history"

# The function takes the exclusive lock, and finds the start time and inserts in later statements of its own
# (design, "Windows").
_CLAIM = "SELECT id, previous_start_time, start_time FROM claim_batch($1, $2, $3, $4, $5)"

# A batch without a claim is the Go implementation's.
_GET = """
SELECT h.id, h.previous_start_time, h.start_time,
       c.file_quantity, c.file_format_version, c.lane_count, c.requested_by
  FROM batch_history AS h
  JOIN batch_claim AS c ON c.batch_id = h.id
 WHERE h.id = $1
"""

_IS_EMPTY = """
SELECT NOT EXISTS (
       SELECT FROM execution WHERE ready_to_send_timestamp >= $1 AND ready_to_send_timestamp < $2
       ) AS is_empty
"""

_IN_WINDOW = (
    SELECT_EXECUTIONS + " WHERE ready_to_send_timestamp >= $1 AND ready_to_send_timestamp < $2 ORDER BY id"
)


class PostgresBatches:
    """Claims windows in ``batch_history``; see `globeco_allocation.ports.batches.Batches`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def last_start(self) -> datetime:
        """Return the newest batch's start time; see the port."""
        row = await self._pool.fetch_row(_LAST_START)
        last_start: datetime | None = None if row is None else row["start_time"]
        if last_start is None:
            raise StoreUnavailableError("the database has no first batch yet; it needs its migrations")
        return last_start

    async def claim(self, last_start: datetime, terms: ClaimTerms) -> Batch:
        """Claim the window that begins at *last_start*, in one round trip; see the port."""
        (row,) = await self._pool.fetch(
            _CLAIM,
            last_start,
            terms.file_quantity,
            terms.file_format_version,
            terms.lane_count,
            terms.requested_by,
        )
        return Batch(row["id"], Window(row["previous_start_time"], row["start_time"]), terms)

    async def get(self, batch_id: int) -> Batch | None:
        """Return a claimed batch; see the port."""
        row = await self._pool.fetch_row(_GET, batch_id) if 1 <= batch_id <= LARGEST_ID else None
        if row is None:
            return None
        terms = ClaimTerms(
            file_quantity=FileQuantity(row["file_quantity"]),
            file_format_version=row["file_format_version"],
            lane_count=row["lane_count"],
            requested_by=row["requested_by"],
        )
        return Batch(row["id"], Window(row["previous_start_time"], row["start_time"]), terms)

    async def is_empty(self, batch: Batch) -> bool:
        """Tell whether the batch's window holds no execution; see the port."""
        (row,) = await self._pool.fetch(_IS_EMPTY, batch.window.previous_start, batch.window.start)
        return row["is_empty"]

    @asynccontextmanager
    async def executions(self, batch: Batch) -> AsyncGenerator[AsyncIterator[Execution]]:
        """Stream the window's executions by ascending id through a cursor; see the port."""
        window = batch.window
        async with self._pool.stream(_IN_WINDOW, window.previous_start, window.start) as rows:
            yield _each(rows)


async def _each(rows: AsyncIterator[asyncpg.Record]) -> AsyncIterator[Execution]:
    async for row in rows:
        yield to_execution(row)
