"""Whether the database has the tables that this version works with."""

from globeco_allocation.adapters.postgres.migrations_folder import migration_names
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

# The table in which yoyo notes what it has applied; it is there once it has applied anything.
_NOTED = "SELECT to_regclass('_yoyo_migration') IS NOT NULL AS noted"
_APPLIED = "SELECT count(*) AS applied FROM _yoyo_migration WHERE migration_id = ANY ($1::text[])"


async def schema_is_there(pool: Pool) -> bool:
    """Tell whether every table, and the newest function, is there; costs one round trip and reads no row.

    Raises:
        StoreUnavailableError: the database does not answer.
    """
    row = await pool.fetch_row(_COMPLETE)
    return row is not None and bool(row["complete"])


async def missing_migrations(pool: Pool) -> int:
    """Return how many migrations of this version the database lacks: not noted there as applied.

    Raises:
        StoreUnavailableError: the database does not answer, or does not let us look.
    """
    names = migration_names()
    noted = await pool.fetch_row(_NOTED)
    if noted is None or not noted["noted"]:
        return len(names)
    row = await pool.fetch_row(_APPLIED, names)
    return len(names) - (row["applied"] if row else 0)
