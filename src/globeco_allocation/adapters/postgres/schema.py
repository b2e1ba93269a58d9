"""Whether the database has the tables that this version works with."""

from globeco_allocation.adapters.postgres.pool import Pool

_COMPLETE = """
    SELECT to_regclass('execution') IS NOT NULL
       AND to_regclass('batch_history') IS NOT NULL
       AND to_regclass('batch_claim') IS NOT NULL
       AND to_regclass('delivery') IS NOT NULL
       AND to_regclass('delivery_reject') IS NOT NULL
       AND to_regclass('delivery_stop') IS NOT NULL
       AND to_regclass('delivery_resolution') IS NOT NULL
       AND to_regclass('output_directory') IS NOT NULL
       AND to_regclass('pending_execution') IS NOT NULL
       AND to_regclass('execution_count') IS NOT NULL
       AND to_regproc('claim_traced_window') IS NOT NULL AS complete
"""


async def schema_is_there(pool: Pool) -> bool:
    """Tell whether every table, and the newest function, is there; costs one round trip and reads no row.

    Raises:
        StoreUnavailableError: the database does not answer.
    """
    row = await pool.fetch_row(_COMPLETE)
    return row is not None and bool(row["complete"])
