"""How the connections of a pool are used."""

import time
from dataclasses import dataclass

import asyncpg

from globeco_allocation.adapters.postgres.translation import DRIVER_ERRORS


@dataclass(frozen=True, slots=True)
class PoolCounts:
    """How the connections of a pool are used.

    Attributes:
        open: Connections that are open.
        idle: Those of them that nobody holds.
        most: How many there may be.
        waiting: Callers who wait for one.
        acquired: How often one was had, since the start.
        acquire_seconds: How long callers have waited for one, in all, since the start.
        failures: How often none was had: none was free in time, or the server gave none. Since the start.
    """

    open: int
    idle: int
    most: int
    waiting: int
    acquired: int
    acquire_seconds: float
    failures: int


class Lending:
    """Lends a pool's connections and counts it, in plain numbers, for this is done for each statement."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._waiting = 0
        self._acquired = 0
        self._seconds = 0.0
        self._failures = 0

    @property
    def counts(self) -> PoolCounts:
        """What was counted until now."""
        pool = self._pool
        return PoolCounts(
            open=pool.get_size(),
            idle=pool.get_idle_size(),
            most=pool.get_max_size(),
            waiting=self._waiting,
            acquired=self._acquired,
            acquire_seconds=self._seconds,
            failures=self._failures,
        )

    async def acquire(self, seconds: float) -> asyncpg.Connection:
        """Wait for a connection; the caller releases it.

        Raises:
            TimeoutError: none was free within *seconds*; what the driver raises: the server gives none.
        """
        begun = time.monotonic()
        self._waiting += 1
        try:
            connection = await self._pool.acquire(timeout=seconds)
        except DRIVER_ERRORS:
            self._failures += 1
            raise
        finally:
            self._waiting -= 1
            self._seconds += time.monotonic() - begun
        self._acquired += 1
        return connection
