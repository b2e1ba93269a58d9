"""Keeping and giving back leases."""

from typing import Protocol

from globeco_allocation.domain.lease import Lease


class Leases(Protocol):
    """Leases on batches and deliveries, by the database's clock. They are taken together with their work.

    A lease is free when it was given back or has run out. Its last holder may write all the same until
    another one has taken it over, so that a step which gives the lease back may be asked again.
    """

    async def renew(self, lease: Lease) -> None:
        """Let a lease run from now on for its holder's time, also one that ran out and that nobody took over.

        One that was given back stays free.

        Raises:
            LeaseLostError: another holder has taken it over.
            StoreUnavailableError: it may or may not be renewed.
        """
        ...

    async def release(self, lease: Lease) -> None:
        """Give a lease back, so that anyone may go on at once; nothing happens when it is ours no longer.

        Raises:
            StoreUnavailableError: it runs out by itself.
        """
        ...
