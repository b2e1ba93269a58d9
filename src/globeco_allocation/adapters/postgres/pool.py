"""Connections to PostgreSQL: few, bounded in every wait, and healed by use."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager, suppress
from copy import copy

import asyncpg
from asyncpg.protocol import NO_TIMEOUT

from globeco_allocation.adapters.postgres.address import DatabaseAddress, Pooler
from globeco_allocation.adapters.postgres.bounds import Bounds, client_bound, limits_of, session_settings
from globeco_allocation.adapters.postgres.pieces import Pieces
from globeco_allocation.adapters.postgres.pool_counts import Lending, PoolCounts
from globeco_allocation.adapters.postgres.tls import asyncpg_tls
from globeco_allocation.adapters.postgres.transaction import transaction
from globeco_allocation.adapters.postgres.translation import DRIVER_ERRORS, connecting, translated
from globeco_allocation.adapters.postgres.watching import Watch, watched

_PREFETCH = 2_000
_NULL = "no field of ours is null or as long as this"  # were a null empty: an empty field would be quoted
_PING_SECONDS = 1.0
_READY = "SELECT 1 FROM batch_history LIMIT 1"
_CACHED_STATEMENTS = 100  # of one connection: the driver's own default


class Pool:
    """Connections to one database; made by `open_pool`.

    Every method raises `StoreUnavailableError` while the database is away, and works again when it is back:
    broken connections are replaced as they are asked for.

    Attributes:
        watch: Watches each use but those over `held`, which whoever shares it is to have watched; or None.
    """

    def __init__(
        self, pool: asyncpg.Pool, bounds: Bounds, pooler: Pooler = Pooler.NONE, watch: Watch | None = None
    ) -> None:
        self._pool = pool
        self._bounds = bounds
        self._pooler = pooler
        self.watch = watch
        self._lending = Lending(pool)

    def unwatched(self) -> "Pool":
        """Return the same connections, for what goes on beside all else and is not worth watching."""
        same = copy(self)
        same.watch = None
        return same

    @property
    def counts(self) -> PoolCounts:
        """How its connections are used now, and were until now."""
        return self._lending.counts

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Run one statement as a transaction of its own, and return its rows."""
        with watched(self.watch, sql), translated():
            async with self._connection() as connection:
                return await self._run(connection, sql, arguments)

    @asynccontextmanager
    async def held(self) -> AsyncGenerator["Held"]:
        """Hold a connection for several statements: taking one costs as much as a small statement."""
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(self._connection())
            yield Held(connection, self._run)

    async def fetch_row(self, sql: str, *arguments: object) -> asyncpg.Record | None:
        """Run one statement as a transaction of its own, and return its first row, if any."""
        rows = await self.fetch(sql, *arguments)
        return rows[0] if rows else None

    async def read(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Return all rows of a query that may take as long as `Bounds.stream_statement`, all at once.

        Unlike those of a stream, they may be computed by several of the server's processes.
        """
        bounds = self._bounds
        bound = client_bound(bounds.stream_statement)
        limits = limits_of(bounds, statement=bounds.stream_statement)
        with watched(self.watch, sql), translated():
            async with self._reading(limits) as connection:
                return await connection.fetch(sql, *arguments, timeout=bound)

    @asynccontextmanager
    async def stream(self, sql: str, *arguments: object) -> AsyncGenerator[AsyncIterator[asyncpg.Record]]:
        """Read the rows of a query through a cursor, some thousands at a time, in a read-only transaction.

        The caller may take its time between rows, up to `Bounds.stream_idle`. An error of the caller's own
        passes through unchanged.
        """
        bounds = self._bounds
        async with AsyncExitStack() as stack:
            stack.enter_context(watched(self.watch, sql))
            with translated():
                limits = limits_of(bounds, statement=bounds.stream_statement, idle=bounds.stream_idle)
                connection = await stack.enter_async_context(self._reading(limits))
                # Without a name: behind a pooler, one would outlive the transaction in somebody's session.
                statement = await connection.prepare(sql, name="")
            rows = statement.cursor(
                *arguments, prefetch=_PREFETCH, timeout=client_bound(bounds.stream_statement)
            )
            yield await stack.enter_async_context(aclosing(_each(rows)))

    async def copy(self, sql: str, *arguments: object, null: str = _NULL, **settings: str) -> list[bytes]:
        """Return all rows of a query as the server writes them in CSV, with no header.

        A null is written as *null*; unless one is given, no field may be null.

        A transaction of its own, read-only and under these *settings*. Each piece of some hundred kilobytes
        ends with a row.
        """
        pieces = Pieces()
        bounds = self._bounds
        bound = client_bound(bounds.stream_statement)
        limits = limits_of(bounds, statement=bounds.stream_statement)
        with watched(self.watch, sql), translated():
            # One bound around it all: the driver would set its own anew for each few rows.
            async with asyncio.timeout(bound), self._reading(limits | settings) as connection:
                await connection.copy_from_query(
                    sql, *arguments, output=pieces.add, format="csv", null=null, timeout=NO_TIMEOUT
                )
        return pieces.all()

    async def ping(self) -> None:
        """Make sure, within a second, that the database answers and has its tables.

        Raises:
            StoreUnavailableError: it does not.
        """
        with translated():
            async with asyncio.timeout(_PING_SECONDS):
                await self.fetch(_READY)

    @asynccontextmanager
    async def _reading(self, settings: Mapping[str, str]) -> AsyncGenerator[asyncpg.Connection]:
        """Lend a connection in a read-only transaction under these settings."""
        async with self._connection() as connection, transaction(connection, settings, read_only=True):
            yield connection

    async def _run(
        self, connection: asyncpg.Connection, sql: str, arguments: tuple[object, ...]
    ) -> list[asyncpg.Record]:
        """Run one statement as a transaction of its own."""
        if self._pooler == Pooler.NONE:  # the bounds are the session's, and each statement commits itself
            return await connection.fetch(sql, *arguments)
        # One bound around it all: the driver's own is set anew for each round trip.
        bound = asyncio.timeout(client_bound(self._bounds.statement))
        async with bound, transaction(connection, limits_of(self._bounds)):
            return await connection.fetch(sql, *arguments)

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[asyncpg.Connection]:
        with connecting():
            connection = await self._lending.acquire(self._bounds.acquire)
        try:
            with _ended_if_left(connection):
                yield connection
        finally:
            with suppress(*DRIVER_ERRORS):
                await self._pool.release(connection)


_Run = Callable[[asyncpg.Connection, str, tuple[object, ...]], Awaitable[list[asyncpg.Record]]]


class Held:
    """One connection of a pool, for as long as it is held; made by `Pool.held`."""

    def __init__(self, connection: asyncpg.Connection, run: _Run) -> None:
        self._connection = connection
        self._run = run

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Run one statement as a transaction of its own; after an error, let the connection go."""
        with translated(), _ended_if_left(self._connection):
            return await self._run(self._connection, sql, arguments)


@contextmanager
def _ended_if_left(connection: asyncpg.Connection) -> Generator[None]:
    """End the connection when a statement on it is left in the middle."""
    try:
        yield
    except asyncpg.PostgresError:
        raise  # the server answered: the connection goes on
    except BaseException:
        # To go on using it, the driver would ask the server over a second connection to end the statement,
        # and wait for that: too long where nobody answers any more.
        with suppress(asyncpg.InterfaceError):  # it was closed already, and has left the pool
            connection.terminate()
        raise


@asynccontextmanager
async def open_pool(
    address: DatabaseAddress,
    *,
    min_size: int = 0,
    max_size: int = 10,
    application_name: str = "globeco-allocation",
    bounds: Bounds | None = None,
    watch: Watch | None = None,
) -> AsyncGenerator[Pool]:
    """Open connections as they are needed, and close them all at the end, within `Bounds.close`.

    With *min_size* 0 it opens without a database; each use, which *watch* sees, tells whether there is one.

    Raises:
        StoreUnavailableError: *min_size* connections could not be had.
    """
    bounds = bounds or Bounds()
    with connecting():
        pool = await asyncpg.create_pool(
            host=address.host,
            port=address.port,
            database=address.name,
            user=address.user,
            password=address.password,
            **asyncpg_tls(address),
            min_size=min_size,
            max_size=max_size,
            timeout=bounds.acquire,
            command_timeout=client_bound(bounds.statement),
            reset=_keep_session,
            statement_cache_size=_CACHED_STATEMENTS if address.pooler == Pooler.NONE else 0,
            server_settings=session_settings(bounds, application_name, address.pooler),
        )
    try:
        yield Pool(pool, bounds, address.pooler, watch)
    finally:
        try:
            await asyncio.wait_for(pool.close(), bounds.close)
        except DRIVER_ERRORS:
            pool.terminate()


async def _each(rows: AsyncIterator[asyncpg.Record]) -> AsyncGenerator[asyncpg.Record]:
    with translated():
        async for row in rows:
            yield row


async def _keep_session(_connection: asyncpg.Connection) -> None:
    """Leave a connection as it is on its release.

    The driver has rolled back what was open by then. Its further reset, a round trip for each use, would have
    nothing to do: we set nothing for a session, listen to nothing and take no session locks.
    """
