"""What waits to be sent, and what an operator must act on."""

from typing import Protocol

from globeco_allocation.domain.backlog import Outstanding


class Backlog(Protocol):
    """Looks at everything that is not at its end."""

    async def look(self) -> Outstanding:
        """Count what is outstanding, all at one moment.

        It costs the same however much was sent already, and no more for a backlog beyond what is counted
        exactly; it takes no lock. For every few seconds, not for each request.

        Raises:
            StoreUnavailableError: the database is away, or has not the newest schema.
        """
        ...
