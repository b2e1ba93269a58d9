"""Whether the service can do its work now."""

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Self

from globeco_allocation.adapters.postgres.pool import Pool
from globeco_allocation.adapters.postgres.schema import schema_is_there
from globeco_allocation.domain.errors import StoreUnavailableError
from globeco_allocation.entrypoints.database_start import DatabaseStart
from globeco_allocation.entrypoints.owned_tasks import OwnedTasks
from globeco_allocation.entrypoints.services import READY

UNAVAILABLE: Final = "unavailable"
"""The database does not answer within a second, or refuses us."""

MIGRATING: Final = "migrating"
"""It answers, and its schema is being brought up to date."""

SCHEMA_MISSING: Final = "schema missing"
"""It answers, lacks tables of ours, and nobody is to make them: ``MIGRATE_ON_START`` is false."""

_ANSWER_SECONDS = 1.0


class DatabaseReadiness(AbstractAsyncContextManager["DatabaseReadiness"]):
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
        self._questions = OwnedTasks(grace_seconds=0)
        self._question: asyncio.Task[bool] | None = None

    async def __aenter__(self) -> Self:
        """Do nothing: the database is asked when somebody wants to know."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop the question that is open."""
        await self._questions.__aexit__(kind, error, trace)

    async def checks(self) -> dict[str, str]:
        """Ask the database; see `globeco_allocation.entrypoints.services.Readiness`."""
        return {"database": await self._database()}

    async def _database(self) -> str:
        # A database that says nothing takes seconds until its question is given up, and each question holds
        # a connection. So nobody waits for that, and there is one question at a time.
        question = self._question
        if question is None or question.done():
            question = self._question = self._questions.start(schema_is_there(self._pool))
        await asyncio.wait((question,), timeout=_ANSWER_SECONDS)
        if not question.done() or question.cancelled():
            return UNAVAILABLE
        try:
            complete = question.result()
        except StoreUnavailableError:
            return UNAVAILABLE
        if self._start.migrating:
            return MIGRATING
        return READY if complete else SCHEMA_MISSING
