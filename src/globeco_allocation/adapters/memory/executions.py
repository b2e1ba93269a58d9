"""Executions, in memory."""

from collections.abc import Collection, Sequence

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.domain.execution import AllocatedExecution, Execution
from globeco_allocation.ports.executions import Kept, Page


class MemoryExecutions:
    """The twin of `globeco_allocation.ports.executions.Executions`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def keep(self, allocated: Sequence[AllocatedExecution]) -> dict[int, Kept]:
        """Keep executions, all or none; see the port."""
        return self._database.commit(self._database.begin_keep(allocated))

    async def known(self, execution_service_ids: Collection[int]) -> dict[int, Execution]:
        """Return the kept executions among these; see the port."""
        return {one.execution_service_id: one for one in self._database.kept(execution_service_ids)}

    async def get(self, execution_id: int) -> Execution | None:
        """Return one execution; see the port."""
        return self._database.execution(execution_id)

    async def page(self, *, limit: int, offset: int) -> Page:
        """Return some executions, newest first; see the port."""
        everything = self._database.newest_first()
        return Page(tuple(everything[offset : offset + limit]), len(everything))
