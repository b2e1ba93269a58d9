"""Which output directory the replicas share."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

LAPSES_AFTER = timedelta(seconds=60)
"""How long a directory stays the shared one when no replica says any more that it sees it."""


@dataclass(frozen=True, slots=True)
class SharedDirectory:
    """The output directory that the replicas share.

    Attributes:
        identity: What stands in its identity file.
        confirmed_by: The replica that saw it last.
        confirmed: When that was, by the database's clock (UTC).
    """

    identity: str
    confirmed_by: str
    confirmed: datetime


class DirectoryIdentity(Protocol):
    """One shared output directory for the whole cluster, kept in its database (design, "Lanes").

    A replica with another one would write files that no other can deliver, and hold locks that no other sees.
    """

    async def confirm(self, identity: str, replica: str) -> SharedDirectory:
        """Say which directory a replica sees, and learn which one is shared.

        The replica's becomes the shared one when there is none yet, or when the present one has not been
        confirmed for `LAPSES_AFTER`: one that was removed and made anew heals by itself.

        Args:
            identity: What stands in the identity file of the replica's directory.
            replica: Its name, for people.

        Returns:
            The shared directory: with *identity* and confirmed now, or another one, which stays as it is.

        Raises:
            StoreUnavailableError: it cannot be known now.
        """
        ...
