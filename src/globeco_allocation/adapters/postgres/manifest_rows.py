"""The query whose COPY writes executions as lines of a manifest.

They are to the byte what the domain's `manifest_row` makes of them, which alone cannot tell a total amount
that is null from 0: no row of ours has one.
"""

from globeco_allocation.adapters.postgres.lane_rows import RowLayout
from globeco_allocation.domain.batch import Batch
from globeco_allocation.domain.manifest import (
    BATCH_COLUMNS,
    COLUMNS,
    EXECUTION,
    EXECUTION_COLUMNS,
)

MANIFEST_LAYOUT = RowLayout(portfolio=COLUMNS.index("portfolio_id"), id=COLUMNS.index("id"))

MANIFEST_SETTINGS = {"datestyle": "ISO", "timezone": "UTC"}
"""The server's settings under which it writes them so."""

_LINES = f"""
SELECT '{EXECUTION}', {", ".join(EXECUTION_COLUMNS)}, {", ".join(["NULL"] * (len(BATCH_COLUMNS) + 1))}
  FROM execution
 WHERE ready_to_send_timestamp >= $1 AND ready_to_send_timestamp < $2
   AND id >= $3 AND id <= $4
 ORDER BY id
"""  # noqa: S608 (the names are ours)


def manifest_query(batch: Batch, first_id: int, last_id: int) -> tuple[str, *tuple[object, ...]]:
    """Return the query for the batch's manifest lines from one id to another, and its arguments."""
    return _LINES, batch.window.previous_start, batch.window.start, first_id, last_id
