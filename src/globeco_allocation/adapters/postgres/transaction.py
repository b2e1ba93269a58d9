"""A transaction that brings along what a session would hold: for sessions that are not ours alone."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress

import asyncpg

from globeco_allocation.adapters.postgres.translation import DRIVER_ERRORS


@asynccontextmanager
async def transaction(
    connection: asyncpg.Connection, settings: Mapping[str, str], *, read_only: bool = False
) -> AsyncGenerator[None]:
    """Be in a READ COMMITTED transaction, begun under *settings* in one round trip, and commit it.

    An error of the server's rolls it back. After any other it is left open: whoever lent the connection
    closes it then.

    Args:
        connection: In no transaction.
        settings: The server's, until the transaction ends. Names and values are ours, and put in as they are.
        read_only: Whether it writes nothing, so that nothing is lost if it does not end well.
    """
    modes = "READ COMMITTED, READ ONLY" if read_only else "READ COMMITTED"
    begin = [
        f"BEGIN ISOLATION LEVEL {modes}",
        *(f"SET LOCAL {name} = '{settings[name]}'" for name in settings),
    ]
    await connection.execute("; ".join(begin))
    try:
        yield
    except asyncpg.PostgresError:
        await _roll_back(connection)
        raise
    if not read_only:
        await connection.execute("COMMIT")
    else:
        with suppress(*DRIVER_ERRORS):
            await connection.execute("COMMIT")


async def _roll_back(connection: asyncpg.Connection) -> None:
    """Roll back, or close the connection; the error that is the reason is the one to be told."""
    try:
        await connection.execute("ROLLBACK")
    except DRIVER_ERRORS:
        with suppress(asyncpg.InterfaceError):  # it was closed already, and has left the pool
            connection.terminate()
