"""A session of one's own, straight to the server, whose errors are this program's: for what an operator runs.

psycopg is loaded for that only: a process that serves never holds it.
"""

import asyncio
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from globeco_allocation.adapters.postgres.address import DatabaseAddress, Pooler
from globeco_allocation.adapters.postgres.errors import (
    DatabaseRefusedError,
    DatabaseUnreachableError,
    connection_failure,
)

if TYPE_CHECKING:
    import psycopg

Refusal = Callable[["psycopg.Error", DatabaseAddress], DatabaseRefusedError]

_NOT_LET_IN = {"28", "3D"}
_PASSING = {"08", "40", "53", "57"}
_LOCK_NOT_AVAILABLE = "55P03"


@contextmanager
def own_session(
    address: DatabaseAddress, settings: Mapping[str, str], *, command: str, refusal: Refusal
) -> "Generator[psycopg.Connection]":
    """Connect, and translate whatever the driver says from then on.

    Args:
        address: A direct one: a pooler lends sessions that are shared, so that two processes could hold one
            lock, or nobody free it.
        settings: Server settings of the session.
        command: The one of ours that wants it.
        refusal: Says what an error means that will come again.

    Raises:
        DatabaseRefusedError: asking again is of no use.
        DatabaseUnreachableError: it may be of use.
    """
    if address.pooler != Pooler.NONE:
        raise DatabaseRefusedError(
            f"DB_POOLER={address.pooler}: `{command}` needs a session of its own, which a pooler does not"
            f" give; run `globeco-allocation {command}` with DB_HOST and DB_PORT of the server itself, and"
            f" DB_POOLER={Pooler.NONE}"
        )
    import psycopg  # noqa: PLC0415

    from globeco_allocation.adapters.postgres.direct_connection import connect  # noqa: PLC0415
    from globeco_allocation.adapters.postgres.knock import knock  # noqa: PLC0415

    # asyncpg says why it was not let in; psycopg keeps that SQLSTATE to itself.
    with ThreadPoolExecutor(1) as thread:  # the caller's own may be running an event loop
        thread.submit(asyncio.run, knock(address)).result()
    try:
        with connect(address, settings, command=command) as session:
            yield session
    except psycopg.Error as error:
        state = error.sqlstate
        if state is None or state[:2] in _NOT_LET_IN:
            raise connection_failure(state, address) from error
        if state == _LOCK_NOT_AVAILABLE or state[:2] in _PASSING:
            raise DatabaseUnreachableError(
                f"database {address.name!r} was busy or broke off (SQLSTATE {state})"
            ) from error
        raise refusal(error, address) from error


def what_to_show(error: "psycopg.Error") -> str:
    """Return what of an error may be shown: never its text, which quotes rows."""
    shown = ", ".join(filter(None, (f"SQLSTATE {error.sqlstate}", error.diag.constraint_name)))
    return f"{shown}; the server's log has the statement"
