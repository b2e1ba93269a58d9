"""The in-memory database's leases, with their fencing tokens."""

from dataclasses import dataclass, replace
from datetime import datetime

from globeco_allocation.domain.errors import LeaseLostError
from globeco_allocation.domain.lease import Holder, Lease, Leased
from globeco_allocation.ports.clock import Clock


@dataclass(eq=False)
class _Row:
    token: int
    until: datetime | None = None


class LeaseTable:
    """The newest token of everything that was ever leased, and until when it holds.

    A lease that is free still lets its last holder write: only a newer token refuses it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[tuple[Leased, int], _Row] = {}
        self._last_token = 0

    def is_free(self, of: Leased, key: int) -> bool:
        """Tell whether nobody holds the thing now."""
        row = self._rows.get((of, key))
        return row is None or row.until is None or row.until <= self._clock.now()

    def take(self, of: Leased, key: int, holder: Holder) -> Lease:
        """Lease a thing that is free."""
        token = self.revoke(of, key)
        self._rows[of, key].until = self._clock.now() + holder.time
        return Lease(of, key, token, holder)

    def revoke(self, of: Leased, key: int) -> int:
        """Refuse whatever the last holder still writes; returns the newest token, which nobody holds."""
        self._last_token += 1
        self._rows[of, key] = _Row(self._last_token)
        return self._last_token

    def check(self, lease: Lease, of: Leased) -> None:
        """Make sure that something of this kind may be written under the lease.

        Raises:
            LeaseLostError: it was taken over, or is none on such a thing.
        """
        self._row(replace(lease, of=of))

    def renew(self, lease: Lease) -> None:
        """Let a lease run anew, unless it was given back.

        Raises:
            LeaseLostError: it was taken over.
        """
        row = self._row(lease)
        if row.until is not None:
            row.until = self._clock.now() + lease.holder.time

    def release(self, lease: Lease) -> None:
        """Free what is leased; nothing happens when the lease was taken over."""
        row = self._rows.get((lease.of, lease.id))
        if row is not None and row.token == lease.token:
            row.until = None

    def _row(self, lease: Lease) -> _Row:
        row = self._rows.get((lease.of, lease.id))
        if row is None or row.token != lease.token:
            raise LeaseLostError(f"the lease on {lease.of} {lease.id} has passed to another holder")
        return row
