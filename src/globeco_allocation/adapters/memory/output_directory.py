"""Which output directory the replicas share, in memory."""

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.storable_text import storable
from globeco_allocation.ports.output_directory import LAPSES_AFTER, SharedDirectory


class MemoryOutputDirectory:
    """The twin of `globeco_allocation.ports.output_directory.DirectoryIdentity`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def confirm(self, identity: str, replica: str) -> SharedDirectory:
        """Say which directory a replica sees, and learn which one is shared; see the port."""
        self._database.answer()
        now, shared = self._database.clock.now(), self._database.output_directory
        if shared is None or shared.identity == identity or shared.confirmed <= now - LAPSES_AFTER:
            shared = self._database.output_directory = SharedDirectory(identity, storable(replica), now)
        return shared
