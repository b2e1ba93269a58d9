"""What is in a batch's window, in PostgreSQL: counted, as executions, and as the rows of its files."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice

import asyncpg

from globeco_allocation.adapters.blocking import finish
from globeco_allocation.adapters.postgres.execution_rows import SELECT_EXECUTIONS, to_execution
from globeco_allocation.adapters.postgres.file_rows import rows_query
from globeco_allocation.adapters.postgres.lane_rows import FILE_LAYOUT, RowLayout, RowsOfLanes
from globeco_allocation.adapters.postgres.manifest_rows import (
    MANIFEST_LAYOUT,
    MANIFEST_SETTINGS,
    manifest_query,
)
from globeco_allocation.adapters.postgres.on_pool import OnPool
from globeco_allocation.domain.batch import Batch, Extent
from globeco_allocation.domain.execution import Execution
from globeco_allocation.ports.batches import LaneRows

_IDS_AT_ONCE = 50_000
_PORTIONS_AHEAD = 1

_EXECUTIONS = (
    SELECT_EXECUTIONS + " WHERE ready_to_send_timestamp >= $1 AND ready_to_send_timestamp < $2 ORDER BY id"
)

_EXTENT = """
SELECT 0 AS lane, count(*) AS size, min(id) AS first_id, max(id) AS last_id
  FROM execution
 WHERE ready_to_send_timestamp >= $1 AND ready_to_send_timestamp < $2
HAVING count(*) > 0
"""

# $3 how many lanes. As `lane_of` has it, once for each portfolio; as text, char(24) has no padding.
_EXTENT_BY_LANE = """
WITH portfolio AS (
     SELECT portfolio_id, count(*) AS size, min(id) AS first_id, max(id) AS last_id
       FROM execution
      WHERE ready_to_send_timestamp >= $1 AND ready_to_send_timestamp < $2
      GROUP BY portfolio_id
     ), hashed AS (
     SELECT sha256(convert_to(coalesce(portfolio_id::text, ''), 'UTF8')) AS hash, size, first_id, last_id
       FROM portfolio
     )
SELECT (('x' || encode(substr(hash, 1, 4), 'hex'))::bit(32)::bigint % $3)::integer AS lane,
       sum(size)::bigint AS size, min(first_id) AS first_id, max(last_id) AS last_id
  FROM hashed
 GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class _Export:
    """One way to write executions as rows.

    Attributes:
        query: Selects those of a batch from one id to another, with its arguments.
        layout: Of a row.
        settings: For `Pool.copy`.
        width: Of a row, as many times that of a transaction file: fewer of them are read at once.
    """

    query: Callable[[Batch, int, int], tuple[str, *tuple[object, ...]]]
    layout: RowLayout
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    width: int = 1


_FILE_ROWS = _Export(rows_query, FILE_LAYOUT)
_MANIFEST_ROWS = _Export(manifest_query, MANIFEST_LAYOUT, {"null": "", **MANIFEST_SETTINGS}, width=3)


class BatchContents(OnPool):
    """Reads what is in batch windows; see `globeco_allocation.ports.batches.Batches`."""

    @asynccontextmanager
    async def executions(self, batch: Batch) -> AsyncGenerator[AsyncIterator[Execution]]:
        """Stream the window's executions by ascending id through a cursor; see the port."""
        window = batch.window
        async with self._pool.stream(_EXECUTIONS, window.previous_start, window.start) as rows:
            yield _each_execution(rows)

    async def extent(self, batch: Batch) -> Extent:
        """Count the window's executions by their lanes; see the port."""
        window, lane_count = batch.window, batch.terms.lane_count
        if lane_count == 1:
            lanes = await self._pool.read(_EXTENT, window.previous_start, window.start)
        else:
            lanes = await self._pool.read(_EXTENT_BY_LANE, window.previous_start, window.start, lane_count)
        return Extent(
            {row["lane"]: row["size"] for row in lanes},
            min((row["first_id"] for row in lanes), default=0),
            max((row["last_id"] for row in lanes), default=0),
        )

    @asynccontextmanager
    async def rows(self, batch: Batch, extent: Extent) -> AsyncGenerator[AsyncIterator[LaneRows]]:
        """Stream the rows of the batch's files as the server's COPY writes them; see the port."""
        async with self._exported(batch, extent, _FILE_ROWS) as rows:
            yield rows

    @asynccontextmanager
    async def manifest_rows(self, batch: Batch, extent: Extent) -> AsyncGenerator[AsyncIterator[LaneRows]]:
        """Stream the lines of the manifests of the batch's files, likewise; see the port."""
        async with self._exported(batch, extent, _MANIFEST_ROWS) as rows:
            yield rows

    @asynccontextmanager
    async def _exported(
        self, batch: Batch, extent: Extent, export: _Export
    ) -> AsyncGenerator[AsyncIterator[LaneRows]]:
        async with (
            aclosing(self._texts(batch, extent, export)) as texts,
            aclosing(_spread(texts, RowsOfLanes(batch.terms, export.layout))) as rows,
        ):
            yield rows

    async def _texts(self, batch: Batch, extent: Extent, export: _Export) -> AsyncGenerator[bytes]:
        """Yield the window's rows, a portion at a time, while the next portions are made.

        A claimed window never changes, so each portion is a transaction of its own: no snapshot is held while
        the caller takes its time.
        """
        portions = self._portions(batch, extent, export)
        ahead = deque(map(asyncio.create_task, islice(portions, _PORTIONS_AHEAD)))
        try:
            while ahead:
                portion = await ahead[0]
                ahead.popleft()
                ahead.extend(map(asyncio.create_task, islice(portions, 1)))
                for text in portion:
                    yield text
        finally:
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    def _portions(
        self, batch: Batch, extent: Extent, export: _Export
    ) -> Iterator[Coroutine[None, None, list[bytes]]]:
        """Yield what reads one portion after the other."""
        first_id, last_id = extent.first_id, extent.last_id
        at_once = _IDS_AT_ONCE // export.width
        if sum(extent.lane_sizes.values()) <= at_once:
            # However far apart the ids are, the planner may find the rows by their stamps, and sort them.
            if extent.lane_sizes:
                yield self._pool.copy(*export.query(batch, first_id, last_id), **export.settings)
            return
        for first in range(first_id, last_id + 1, at_once):
            last = min(first + at_once - 1, last_id)
            # Along the primary key, whatever the planner thinks: without statistics, which are often not
            # there yet, it would read the whole window for each portion.
            yield self._pool.copy(*export.query(batch, first, last), enable_sort="off", **export.settings)


async def _spread(texts: AsyncIterator[bytes], lanes: RowsOfLanes) -> AsyncGenerator[LaneRows]:
    async for text in texts:
        # To tell lanes apart takes a millisecond; one lane only has its rows counted.
        for rows in lanes.add(text) if lanes.count == 1 else await finish(lanes.add, text):
            yield rows
    for rows in await finish(lanes.rest):
        yield rows


async def _each_execution(rows: AsyncIterator[asyncpg.Record]) -> AsyncIterator[Execution]:
    async for row in rows:
        yield to_execution(row)
