"""Executions, in PostgreSQL."""

from collections.abc import Collection, Sequence

from globeco_allocation.adapters.postgres.execution_rows import SELECT_EXECUTIONS, to_columns, to_execution
from globeco_allocation.adapters.postgres.joined_calls import JoinedCalls
from globeco_allocation.adapters.postgres.pool import Held, Pool
from globeco_allocation.domain.execution import LARGEST_ID, AllocatedExecution, Execution
from globeco_allocation.ports.executions import Kept, Page

_LARGEST_BIGINT = 2**63 - 1

_MOST_KEPT = 500
_MOST_READ = 500

# The function takes the shared lock, and stamps and inserts in later statements of its own (design,
# "Windows"). One array per column; for an id that is known already the answer names the row that is there.
_KEEP = """
SELECT execution_service_id, id, is_new
  FROM keep_executions($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
"""

_KNOWN = SELECT_EXECUTIONS + " WHERE execution_service_id = ANY ($1::integer[])"

_GET = SELECT_EXECUTIONS + " WHERE id = ANY ($1::integer[])"

# The function reads total and rows at one moment; where there are no rows, one remains, with the total and no
# id. $1 how many rows, $2 how many newer ones to leave out.
_PAGE = "SELECT * FROM page_of_executions($1, $2) ORDER BY id DESC"


class PostgresExecutions:
    """Keeps executions in the table ``execution``; see `globeco_allocation.ports.executions.Executions`.

    Args:
        pool: Connections to the database.
        at_once: Joined calls of a kind under way. With two, the next group goes while the database works on
            one; with more of them, or with those of other processes beside them, groups only get smaller.
    """

    def __init__(self, pool: Pool, *, at_once: int = 2) -> None:
        self._pool = pool
        self._joined_keep = JoinedCalls(
            pool.held,
            _keep,
            most_items=_MOST_KEPT,
            at_once=at_once,
            key=_execution_service_id,
            sql=_KEEP,
            watch=pool.watch,
        )
        self._joined_known = JoinedCalls(
            pool.held, _known, most_items=_MOST_READ, at_once=at_once, sql=_KNOWN, watch=pool.watch
        )
        self._joined_get = JoinedCalls(
            pool.held, _get, most_items=_MOST_READ, at_once=at_once, sql=_GET, watch=pool.watch
        )

    async def keep(self, allocated: Sequence[AllocatedExecution]) -> dict[int, Kept]:
        """Keep executions in one transaction and one round trip, perhaps with others; see the port."""
        kept = await self._joined_keep(allocated)
        return {key: kept[key] for key in map(_execution_service_id, allocated)}

    async def known(self, execution_service_ids: Collection[int]) -> dict[int, Execution]:
        """Return the kept executions among these, in one round trip, perhaps with others; see the port."""
        keys = [key for key in execution_service_ids if _is_id(key)]
        known = await self._joined_known(keys)
        return {key: known[key] for key in keys if key in known}

    async def get(self, execution_id: int) -> Execution | None:
        """Return one execution, in one round trip, perhaps with others; see the port."""
        if not _is_id(execution_id):
            return None
        return (await self._joined_get((execution_id,))).get(execution_id)

    async def page(self, *, limit: int, offset: int) -> Page:
        """Return some executions, newest first, and the exact total of the same moment; see the port."""
        rows = await self._pool.fetch(_PAGE, limit, min(offset, _LARGEST_BIGINT))
        return Page(tuple(to_execution(row) for row in rows if row["id"] is not None), rows[0]["total"])


async def _keep(session: Held, allocated: Sequence[AllocatedExecution]) -> dict[int, Kept]:
    rows = await session.fetch(_KEEP, *to_columns(allocated))
    return {row["execution_service_id"]: Kept(row["id"], row["is_new"]) for row in rows}


async def _known(session: Held, execution_service_ids: Sequence[int]) -> dict[int, Execution]:
    rows = await session.fetch(_KNOWN, execution_service_ids)
    return {row["execution_service_id"]: to_execution(row) for row in rows}


async def _get(session: Held, execution_ids: Sequence[int]) -> dict[int, Execution]:
    rows = await session.fetch(_GET, execution_ids)
    return {row["id"]: to_execution(row) for row in rows}


def _is_id(key: int) -> bool:
    return 1 <= key <= LARGEST_ID


def _execution_service_id(allocated: AllocatedExecution) -> int:
    return allocated.execution.execution_service_id
