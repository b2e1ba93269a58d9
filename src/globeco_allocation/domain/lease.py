"""Leases: whoever works on a batch or a delivery holds one, and a successor can take it over.

A holder that dies or is paused lets its lease run out. Each new lease has a higher fencing token, and every
write names the token it is made under: what a former holder still writes is refused (design, "Delivery").
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

LEASE_TIME = timedelta(seconds=15)
"""How long a lease holds without being renewed: a successor goes on well within 30 seconds."""


class Leased(StrEnum):
    """What can be leased."""

    BATCH = "batch"
    """A claimed window whose files are to be written."""
    DELIVERY = "delivery"
    """A written file that is to be delivered."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who asks for a lease, and for how long at a time.

    Attributes:
        name: Of one life of one process, unlike any other's; kept for people.
        time: How long the lease holds unless it is renewed.
    """

    name: str
    time: timedelta = LEASE_TIME

    @property
    def heartbeat(self) -> timedelta:
        """How often the lease is to be renewed: two renewals may fail."""
        return self.time / 4


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one batch or delivery, until it runs out and is taken over.

    Attributes:
        of: What kind of thing it is.
        id: Its id.
        token: The fencing token, higher than that of every earlier lease.
        holder: Who holds it.
    """

    of: Leased
    id: int
    token: int
    holder: Holder
