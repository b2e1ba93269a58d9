"""The session in which a process migrates: let in, alone, with the rights for it."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.errors import DatabaseRefusedError, DatabaseUnreachableError
from globeco_allocation.adapters.postgres.own_session import own_session, what_to_show

if TYPE_CHECKING:
    import psycopg

MIGRATION_LOCK_KEY = 8089002
"""The advisory lock that a migrating process holds for its session. (8089001 is the window protocol's.)"""

_POLL_SECONDS = 0.1
_SETTINGS = {"statement_timeout": "60s"}
_INSUFFICIENT_PRIVILEGE = "42501"


@contextmanager
def migration_session(address: DatabaseAddress) -> "Generator[psycopg.Connection]":
    """Connect, and translate whatever the driver says from then on.

    Raises:
        DatabaseRefusedError: asking again is of no use.
        DatabaseUnreachableError: it may be of use.
    """
    with own_session(address, _SETTINGS, command="migrate", refusal=_refusal) as session:
        yield session


@contextmanager
def alone(
    session: "psycopg.Connection", address: DatabaseAddress, patience_seconds: float
) -> Generator[None]:
    """Be the only process that migrates this database, for as long as the session lives.

    yoyo's own lock is a row, which a killed process leaves for ever; this one ends with the session. It is
    polled for: the snapshot of a waiting statement would hold up who waits for all older snapshots to end.

    Raises:
        DatabaseRefusedError: the role may not create tables.
        DatabaseUnreachableError: another process is at it for longer than *patience_seconds*, or the server
            takes no writes at present.
    """
    deadline = time.monotonic() + patience_seconds
    while not _got_lock(session):
        if time.monotonic() >= deadline:
            raise DatabaseUnreachableError(
                f"database {address.name!r}: another process has been migrating it "
                f"for over {patience_seconds:g} s"
            )
        time.sleep(_POLL_SECONDS)
    _check_rights(session, address)
    yield
    session.execute("SELECT pg_advisory_unlock(%s)", (MIGRATION_LOCK_KEY,))  # else the session's end frees it


def _got_lock(session: "psycopg.Connection") -> bool:
    row = session.execute("SELECT pg_try_advisory_lock(%s)", (MIGRATION_LOCK_KEY,)).fetchone()
    return row is not None and bool(row[0])


def _check_rights(session: "psycopg.Connection", address: DatabaseAddress) -> None:
    """Find out what yoyo would try again and again: it takes every error for a lock that is held."""
    row = session.execute(
        "SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),"
        " current_setting('transaction_read_only') = 'on'"
    ).fetchone()
    may_create, read_only = row or (False, False)
    if read_only:
        raise DatabaseUnreachableError(
            f"database {address.name!r} on {address.host} takes no writes at present"
        )
    if not may_create:
        raise DatabaseRefusedError(
            f"role {address.user!r} may not create tables in database {address.name!r}: "
            "grant it CREATE on the schema, or run `globeco-allocation migrate` as the owner"
        )


def _refusal(error: "psycopg.Error", address: DatabaseAddress) -> DatabaseRefusedError:
    """Say what an error of the driver means for whoever wanted to migrate."""
    if error.sqlstate == _INSUFFICIENT_PRIVILEGE:
        return DatabaseRefusedError(
            f"role {address.user!r} lacks rights in database {address.name!r}: it must be able to read the "
            "tables there, and own them where something is missing"
        )
    table = error.diag.table_name
    return DatabaseRefusedError(
        f"database {address.name!r} cannot be brought up to date: "
        + (f"table {table!r}" if table else "a table")
        + f" or its rows are not what the specification asks for ({what_to_show(error)})"
    )
