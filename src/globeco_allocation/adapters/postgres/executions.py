"""Executions, in PostgreSQL."""

from collections.abc import Collection, Sequence

from globeco_allocation.adapters.postgres.execution_rows import SELECT_EXECUTIONS, to_columns, to_execution
from globeco_allocation.adapters.postgres.pool import Pool
from globeco_allocation.domain.execution import LARGEST_ID, AllocatedExecution, Execution
from globeco_allocation.ports.executions import Kept, Page

_LARGEST_BIGINT = 2**63 - 1

# The function takes the shared lock, and stamps and inserts in later statements of its own (design,
# "Windows"). One array per column; for an id that is known already the answer names the row that is there.
_KEEP = """
SELECT execution_service_id, id, is_new
  FROM keep_executions($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
"""

_KNOWN = SELECT_EXECUTIONS + " WHERE execution_service_id = ANY ($1::integer[])"

_GET = SELECT_EXECUTIONS + " WHERE id = $1"

# One statement, so that the total and the rows are of the same moment; where there are none, one row remains,
# with the total and no id. $1 how many rows, $2 how many newer ones to leave out.
_PAGE = """
SELECT counted.total, page.*
  FROM (SELECT count(*) AS total FROM execution) AS counted
  LEFT JOIN (
       SELECT id, execution_service_id, is_open, execution_status, trade_type, destination, trade_date,
              security_id, ticker, portfolio_id, quantity, limit_price, received_timestamp, sent_timestamp,
              last_fill_timestamp, quantity_filled, total_amount, average_price, ready_to_send_timestamp,
              version
         FROM execution
        ORDER BY id DESC
        LIMIT $1 OFFSET $2
       ) AS page ON true
 ORDER BY page.id DESC
"""


class PostgresExecutions:
    """Keeps executions in the table ``execution``; see `globeco_allocation.ports.executions.Executions`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def keep(self, allocated: Sequence[AllocatedExecution]) -> dict[int, Kept]:
        """Keep executions in one transaction and one round trip; see the port."""
        rows = await self._pool.fetch(_KEEP, *to_columns(allocated))
        return {row["execution_service_id"]: Kept(row["id"], row["is_new"]) for row in rows}

    async def known(self, execution_service_ids: Collection[int]) -> dict[int, Execution]:
        """Return the kept executions among these, in one round trip; see the port."""
        rows = await self._pool.fetch(_KNOWN, [key for key in execution_service_ids if _is_id(key)])
        return {row["execution_service_id"]: to_execution(row) for row in rows}

    async def get(self, execution_id: int) -> Execution | None:
        """Return one execution; see the port."""
        if not _is_id(execution_id):
            return None
        row = await self._pool.fetch_row(_GET, execution_id)
        return None if row is None else to_execution(row)

    async def page(self, *, limit: int, offset: int) -> Page:
        """Return some executions, newest first, and the exact total of the same moment; see the port."""
        rows = await self._pool.fetch(_PAGE, limit, min(offset, _LARGEST_BIGINT))
        return Page(tuple(to_execution(row) for row in rows if row["id"] is not None), rows[0]["total"])


def _is_id(key: int) -> bool:
    return 1 <= key <= LARGEST_ID
