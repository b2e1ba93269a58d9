"""The driver's errors in the domain's words, told apart by class and field, never by text."""

from collections.abc import Generator
from contextlib import contextmanager

import asyncpg

from globeco_allocation.domain.errors import StoreUnavailableError, WindowTakenError

_UNREACHABLE = "the database cannot be reached; try again later"
_TOO_SLOW = "the database did not answer in time; try again later"
_LOCKED = "the database was busy with another writer for too long; try again later"
_UNPREPARED = "the database is not prepared for this version yet; it needs its migrations"
_FORBIDDEN = "the database does not give this service's role a right that it needs; its operator must look"

# PostgreSQL's documentation, appendix "PostgreSQL Error Codes". First whole codes, then classes.
_BY_SQLSTATE = {
    "25006": _UNREACHABLE,  # read_only_sql_transaction: we still talk to what has become a standby
    "25P03": _TOO_SLOW,  # idle_in_transaction_session_timeout
    "40001": _LOCKED,  # serialization_failure
    "40P01": _LOCKED,  # deadlock_detected
    "42501": _FORBIDDEN,  # insufficient_privilege
    "42703": _UNPREPARED,  # undefined_column
    "42883": _UNPREPARED,  # undefined_function
    "42P01": _UNPREPARED,  # undefined_table
    "55P03": _LOCKED,  # lock_not_available: lock_timeout has passed
    "57014": _TOO_SLOW,  # query_canceled: statement_timeout has passed
    "GA002": _UNPREPARED,  # ours: there is no first batch
}
_BY_CLASS = {
    "08": _UNREACHABLE,  # connection exceptions
    "28": _UNREACHABLE,  # it does not let us in, for instance while a password changes
    "3D": _UNREACHABLE,  # no such database
    "53": _UNREACHABLE,  # insufficient resources: too many connections, disk full
    "57": _UNREACHABLE,  # operator intervention: shut down, restarting
    "58": _UNREACHABLE,  # trouble outside PostgreSQL: input or output failed
}

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""Whatever the driver raises (``TimeoutError`` is an ``OSError``)."""

# Ours, of claim_batch: behind the newest start, and no batch begins there (any more).
_NO_WINDOW_BEGINS_THERE = "GA003"


@contextmanager
def translated() -> Generator[None]:
    """Raise the domain's errors for the driver's; what has no meaning there passes as it is.

    Only the driver's work belongs inside: a caller's own ``OSError`` would be taken for the database's.

    Raises:
        StoreUnavailableError: the database is away, refuses us, or did not answer in time.
        WindowTakenError: the start of a batch window is taken, or is none any more.
    """
    try:
        yield
    except DRIVER_ERRORS as error:
        if _is_window_taken(error):
            raise WindowTakenError("another sender has claimed the same window") from error
        reason = _unavailable(error)
        if reason is None:
            raise
        raise StoreUnavailableError(reason) from error


@contextmanager
def connecting() -> Generator[None]:
    """Translate as `translated` does, while a connection is opened: whatever the server says, it gives none.

    Raises:
        StoreUnavailableError: there is no connection.
    """
    with translated():
        try:
            yield
        except asyncpg.PostgresError as error:
            # For instance 55000, in a statement a fault of ours: the database is closed to all.
            raise StoreUnavailableError(_unavailable(error) or _UNREACHABLE) from error


def _is_window_taken(error: Exception) -> bool:
    match error:
        case asyncpg.UniqueViolationError():
            return error.table_name == "batch_history"
        case asyncpg.PostgresError():
            return error.sqlstate == _NO_WINDOW_BEGINS_THERE
        case _:
            return False


def _unavailable(error: Exception) -> str | None:
    """Say why the database is of no use now, or None when the error is a fault of ours."""
    match error:
        case TimeoutError():
            return _TOO_SLOW
        case asyncpg.PostgresConnectionError() | OSError():
            return _UNREACHABLE
        case asyncpg.InterfaceError():
            return _UNREACHABLE  # the connection, or the whole pool, is closed
        case asyncpg.InternalClientError():
            return _UNREACHABLE  # the server's last words reached a connection while it was idle
        case asyncpg.PostgresError():
            sqlstate = error.sqlstate or ""
            return _BY_SQLSTATE.get(sqlstate, _BY_CLASS.get(sqlstate[:2]))
        case _:
            return None
