"""Keeping and giving back leases, in memory."""

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.domain.lease import Lease


class MemoryLeases:
    """The twin of `globeco_allocation.ports.leases.Leases`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def renew(self, lease: Lease) -> None:
        """Let a lease run from now on for its holder's time; see the port."""
        self._database.answer()
        self._database.leases.renew(lease)

    async def release(self, lease: Lease) -> None:
        """Give a lease back; see the port."""
        self._database.answer()
        self._database.leases.release(lease)
