"""Connections to PostgreSQL: few, bounded in every wait, and healed by use."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.translation import DRIVER_ERRORS, translated

_PREFETCH = 2_000
_PING_SECONDS = 1.0
_READY = "SELECT 1 FROM batch_history LIMIT 1"
_STREAM_BOUNDS = """
    SELECT set_config('statement_timeout', $1, true),
           set_config('idle_in_transaction_session_timeout', $2, true)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long anything may wait for the database, in seconds.

    Attributes:
        acquire: For a connection: a free one, or a new one.
        statement: For one statement's answer.
        lock: For another transaction's lock (design, "Windows").
        idle: Within a transaction, for us: a paused process stalls nobody for longer (design, "Windows").
        stream_statement: For one portion of a stream; the first one sorts the whole window.
        stream_idle: Between two portions of a stream, while they are written to disk. It holds no lock.
        close: For connections in use, when the pool is closed; then they are cut off.
    """

    acquire: float = 3
    statement: float = 5
    lock: float = 2
    idle: float = 5
    stream_statement: float = 60
    stream_idle: float = 300
    close: float = 5


class Pool:
    """Connections to one database; made by `open_pool`.

    Every method raises `StoreUnavailableError` while the database is away, and works again when it is back:
    broken connections are replaced as they are asked for.
    """

    def __init__(self, pool: asyncpg.Pool, bounds: Bounds) -> None:
        self._pool = pool
        self._bounds = bounds

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Run one statement as a transaction of its own, and return its rows."""
        with translated():
            async with self._connection() as connection:
                return await connection.fetch(sql, *arguments)

    async def fetch_row(self, sql: str, *arguments: object) -> asyncpg.Record | None:
        """Run one statement as a transaction of its own, and return its first row, if any."""
        rows = await self.fetch(sql, *arguments)
        return rows[0] if rows else None

    @asynccontextmanager
    async def stream(self, sql: str, *arguments: object) -> AsyncGenerator[AsyncIterator[asyncpg.Record]]:
        """Read the rows of a query through a cursor, some thousands at a time, in a read-only transaction.

        The caller may take its time between rows, up to `Bounds.stream_idle`. An error of the caller's own
        passes through unchanged.
        """
        bounds = self._bounds
        async with AsyncExitStack() as stack:
            with translated():
                connection = await stack.enter_async_context(self._connection())
                transaction = connection.transaction(isolation="read_committed", readonly=True)
                await transaction.start()
                await connection.fetch(_STREAM_BOUNDS, _ms(bounds.stream_statement), _ms(bounds.stream_idle))
            rows = connection.cursor(
                sql, *arguments, prefetch=_PREFETCH, timeout=_client_bound(bounds.stream_statement)
            )
            yield await stack.enter_async_context(aclosing(_each(rows)))
            with suppress(*DRIVER_ERRORS):
                await transaction.rollback()  # nothing is lost with a read-only one, even if this fails

    async def ping(self) -> None:
        """Make sure, within a second, that the database answers and has its tables.

        Raises:
            StoreUnavailableError: it does not.
        """
        with translated():
            async with asyncio.timeout(_PING_SECONDS):
                await self.fetch(_READY)

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[asyncpg.Connection]:
        connection = await self._pool.acquire(timeout=self._bounds.acquire)
        try:
            yield connection
        except asyncpg.PostgresError:
            raise  # the server answered: the connection goes on
        except BaseException:
            # Left in the middle. To go on using it, the driver would ask the server over a second connection
            # to end the statement, and wait for that: too long where nobody answers any more.
            with suppress(asyncpg.InterfaceError):  # it was closed already, and has left the pool
                connection.terminate()
            raise
        finally:
            with suppress(*DRIVER_ERRORS):
                await self._pool.release(connection)


@asynccontextmanager
async def open_pool(
    address: DatabaseAddress,
    *,
    min_size: int = 0,
    max_size: int = 10,
    application_name: str = "globeco-allocation",
    bounds: Bounds | None = None,
) -> AsyncGenerator[Pool]:
    """Open connections as they are needed, and close them all at the end, within `Bounds.close`.

    With *min_size* 0 it opens without a database; each use tells whether there is one.

    Raises:
        StoreUnavailableError: *min_size* connections could not be had.
    """
    bounds = bounds or Bounds()
    with translated():
        pool = await asyncpg.create_pool(
            host=address.host,
            port=address.port,
            database=address.name,
            user=address.user,
            password=address.password,
            min_size=min_size,
            max_size=max_size,
            timeout=bounds.acquire,
            command_timeout=_client_bound(bounds.statement),
            reset=_keep_session,
            server_settings=session_settings(bounds, application_name),
        )
    try:
        yield Pool(pool, bounds)
    finally:
        try:
            await asyncio.wait_for(pool.close(), bounds.close)
        except DRIVER_ERRORS:
            pool.terminate()


def session_settings(bounds: Bounds, application_name: str = "globeco-allocation") -> dict[str, str]:
    """Return the server's settings for a session that keeps to *bounds*, in UTC and READ COMMITTED."""
    return {
        "application_name": application_name,
        "timezone": "UTC",
        "default_transaction_isolation": "read committed",
        "lock_timeout": _ms(bounds.lock),
        "statement_timeout": _ms(bounds.statement),
        "idle_in_transaction_session_timeout": _ms(bounds.idle),
    }


async def _each(rows: AsyncIterator[asyncpg.Record]) -> AsyncGenerator[asyncpg.Record]:
    with translated():
        async for row in rows:
            yield row


async def _keep_session(_connection: asyncpg.Connection) -> None:
    """Leave a connection as it is on its release.

    The driver has rolled back what was open by then. Its further reset, a round trip for each use, would have
    nothing to do: we set nothing for a session, listen to nothing and take no session locks.
    """


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def _client_bound(seconds: float) -> float:
    # The server's own limit should come first: it ends the statement and keeps the connection.
    return seconds + 1
