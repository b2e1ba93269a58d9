"""Records that deliveries did not deliver, in PostgreSQL."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from globeco_allocation.adapters.postgres.delivery_steps import not_under_way
from globeco_allocation.adapters.postgres.integers import int4
from globeco_allocation.adapters.postgres.leases import check_held, named
from globeco_allocation.adapters.postgres.on_pool import OnPool
from globeco_allocation.adapters.storable_text import storable
from globeco_allocation.domain.delivery import RecordVerdict, Reject
from globeco_allocation.domain.lease import Lease, Leased

# $1 the delivery, $2 its lease's token, $3 the attempt; $4 source ids, $5 verdicts and $6 reasons, in their
# order; $7 whether they are the first. What is deleted was there before the statement began.
_REJECTED = """
WITH held AS (
     SELECT id
       FROM delivery
      WHERE id = $1 AND lease_token = $2 AND attempts = $3 AND under_way
        FOR NO KEY UPDATE
     ), forgotten AS (
     DELETE FROM delivery_reject AS r
      USING held
      WHERE $7 AND r.delivery_id = held.id AND r.attempt = $3
     ), kept AS (
     INSERT INTO delivery_reject (delivery_id, attempt, source_id, verdict, reason)
     SELECT held.id, $3, given.source_id, given.verdict, given.reason
       FROM held,
            unnest($4::text[], $5::text[], $6::text[])
            WITH ORDINALITY AS given (source_id, verdict, reason, place)
      ORDER BY given.place
     )
SELECT id FROM held
"""

# The attempt is looked up first: only then do the first rows come in the order of the index, without a sort.
_REJECTS = """
SELECT source_id, verdict, reason
  FROM delivery_reject
 WHERE delivery_id = $1 AND attempt = (SELECT rejects_attempt(d) FROM delivery AS d WHERE d.id = $1)
 ORDER BY delivery_id, attempt, id
 LIMIT $2
"""

_REJECT_OF = """
SELECT r.source_id, r.verdict, r.reason
  FROM delivery AS d
  JOIN delivery_reject AS r ON r.delivery_id = d.id AND r.attempt = rejects_attempt(d)
 WHERE d.id = $1 AND r.source_id = $2
 ORDER BY r.id
 LIMIT 1
"""

_OF_ATTEMPT = """
SELECT source_id, verdict, reason FROM delivery_reject WHERE delivery_id = $1 AND attempt = $2 ORDER BY id
"""


class DeliveryRejects(OnPool):
    """Keeps the records that were not accepted."""

    async def rejected(self, lease: Lease, attempt: int, rejects: Sequence[Reject], *, first: bool) -> None:
        """Record records that were not accepted, in one round trip; see the port."""
        row = await self._pool.fetch_row(
            _REJECTED,
            *named(lease, Leased.DELIVERY),
            int4(attempt),
            [storable(one.source_id) for one in rejects],
            [one.verdict for one in rejects],
            [storable(one.reason) for one in rejects],
            first,
        )
        if row is None:
            await check_held(self._pool, lease)
            raise not_under_way(lease, attempt)

    async def rejects(self, delivery_id: int, *, limit: int) -> tuple[Reject, ...]:
        """Return records that the last attempt which recorded any did not deliver; see the port."""
        return tuple(_to_reject(row) for row in await self._pool.fetch(_REJECTS, int4(delivery_id), limit))

    async def reject_of(self, delivery_id: int, source_id: str) -> Reject | None:
        """Return what that attempt recorded of one record; see the port."""
        row = await self._pool.fetch_row(_REJECT_OF, int4(delivery_id), storable(source_id))
        return None if row is None else _to_reject(row)

    @asynccontextmanager
    async def rejects_of_attempt(
        self, delivery_id: int, attempt: int
    ) -> AsyncGenerator[AsyncIterator[Reject]]:
        """Stream every record that an attempt did not deliver through a cursor; see the port."""
        async with self._pool.stream(_OF_ATTEMPT, int4(delivery_id), int4(attempt)) as rows:
            yield _each(rows)


def _to_reject(row: asyncpg.Record) -> Reject:
    return Reject(row["source_id"], RecordVerdict(row["verdict"]), row["reason"])


async def _each(rows: AsyncIterator[asyncpg.Record]) -> AsyncIterator[Reject]:
    async for row in rows:
        yield _to_reject(row)
