"""Batch windows, in memory."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.domain.batch import Batch, ClaimTerms
from globeco_allocation.domain.execution import Execution


class MemoryBatches:
    """The twin of `globeco_allocation.ports.batches.Batches`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def last_start(self) -> datetime:
        """Return the newest batch's start time; see the port."""
        return self._database.last_start

    async def claim(self, last_start: datetime, terms: ClaimTerms) -> Batch:
        """Claim the window that begins at *last_start*; see the port."""
        return self._database.claim(last_start, terms)

    async def get(self, batch_id: int) -> Batch | None:
        """Return a claimed batch; see the port."""
        return self._database.batch(batch_id)

    async def is_empty(self, batch: Batch) -> bool:
        """Tell whether the batch's window holds no execution; see the port."""
        return not self._database.in_window(batch.window)

    @asynccontextmanager
    async def executions(self, batch: Batch) -> AsyncGenerator[AsyncIterator[Execution]]:
        """Stream the window's executions by ascending id; see the port."""
        yield _each(self._database.in_window(batch.window))


async def _each(executions: list[Execution]) -> AsyncIterator[Execution]:
    for one in executions:
        yield one
