"""Whether the service can do its work now."""

import asyncio
from typing import Final

from globeco_allocation.adapters.postgres.pool import Pool
from globeco_allocation.adapters.postgres.schema import schema_is_there
from globeco_allocation.domain.errors import StoreUnavailableError
from globeco_allocation.entrypoints.database_start import DatabaseStart
from globeco_allocation.entrypoints.services import READY

UNAVAILABLE: Final = "unavailable"
"""The database does not answer within a second, or refuses us."""

MIGRATING: Final = "migrating"
"""It answers, and its schema is being brought up to date."""

SCHEMA_MISSING: Final = "schema missing"
"""It answers, lacks tables of ours, and nobody is to make them: ``MIGRATE_ON_START`` is false."""

_ANSWER_SECONDS = 1.0


class DatabaseReadiness:
    """Ready when the database answers and its schema is there; the service can do without all else.

    Without the Trade Service known executions are still served and records are told why they failed; an
    output directory that cannot be written to costs only sends.

    Args:
        pool: Where the database is asked.
        start: How far it is since our own start.
    """

    def __init__(self, pool: Pool, start: DatabaseStart) -> None:
        self._pool = pool
        self._start = start

    async def checks(self) -> dict[str, str]:
        """Ask the database; see `globeco_allocation.entrypoints.services.Readiness`."""
        return {"database": await self._database()}

    async def _database(self) -> str:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                complete = await schema_is_there(self._pool)
        except (StoreUnavailableError, TimeoutError):
            return UNAVAILABLE
        if self._start.migrating:
            return MIGRATING
        return READY if complete else SCHEMA_MISSING
