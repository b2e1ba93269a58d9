"""Leases, in PostgreSQL: columns of what is leased, by the database's clock.

A write names its lease's token in the statement itself. Only when it changed nothing is it looked up why.
"""

from globeco_allocation.adapters.postgres.integers import int4
from globeco_allocation.adapters.postgres.on_pool import OnPool
from globeco_allocation.adapters.postgres.pool import Pool
from globeco_allocation.domain.errors import LeaseLostError
from globeco_allocation.domain.lease import Lease, Leased

# $1 what is leased, $2 the token, $3 for how long. One that was given back is left so.
_RENEW = {
    Leased.BATCH: """
        UPDATE batch_claim
           SET lease_until = CASE WHEN lease_until IS NULL THEN NULL ELSE clock_timestamp() + $3::interval END
         WHERE batch_id = $1 AND lease_token = $2
        RETURNING lease_token
    """,
    Leased.DELIVERY: """
        UPDATE delivery
           SET lease_until = CASE WHEN lease_until IS NULL THEN NULL ELSE clock_timestamp() + $3::interval END
         WHERE id = $1 AND lease_token = $2
        RETURNING lease_token
    """,
}

_RELEASE = {
    Leased.BATCH: "UPDATE batch_claim SET lease_until = NULL WHERE batch_id = $1 AND lease_token = $2",
    Leased.DELIVERY: "UPDATE delivery SET lease_until = NULL WHERE id = $1 AND lease_token = $2",
}

_HELD = {
    Leased.BATCH: "SELECT FROM batch_claim WHERE batch_id = $1 AND lease_token = $2",
    Leased.DELIVERY: "SELECT FROM delivery WHERE id = $1 AND lease_token = $2",
}


class PostgresLeases(OnPool):
    """Keeps and gives back leases; see `globeco_allocation.ports.leases.Leases`."""

    async def renew(self, lease: Lease) -> None:
        """Let a lease run from now on for its holder's time; see the port."""
        key, time = int4(lease.id), lease.holder.time
        if await self._pool.fetch_row(_RENEW[lease.of], key, lease.token, time) is None:
            raise _lost(lease)

    async def release(self, lease: Lease) -> None:
        """Give a lease back; see the port."""
        await self._pool.fetch(_RELEASE[lease.of], int4(lease.id), lease.token)


def named(lease: Lease, of: Leased) -> tuple[int, int]:
    """Return the id of what a lease is on, and its token: the first two parameters of a step.

    Raises:
        LeaseLostError: it is on a thing of another kind.
    """
    if lease.of is not of:
        raise _lost(lease)
    return int4(lease.id), lease.token


async def check_held(pool: Pool, lease: Lease) -> None:
    """Make sure that a lease was not taken over.

    Raises:
        LeaseLostError: it was.
        StoreUnavailableError: it cannot be known now.
    """
    if await pool.fetch_row(_HELD[lease.of], int4(lease.id), lease.token) is None:
        raise _lost(lease)


def _lost(lease: Lease) -> LeaseLostError:
    return LeaseLostError(f"the lease on {lease.of} {lease.id} has passed to another holder")
