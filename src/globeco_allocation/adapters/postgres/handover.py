"""Taking over from the Go implementation, and giving back to it: what an operator has to know first.

Its rule for a send, which is ours too: a new row of ``batch_history`` from the last start time to now, and
every execution whose ready stamp lies in between. So whatever we have claimed lies before its next window.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.errors import DatabaseRefusedError
from globeco_allocation.adapters.postgres.own_session import own_session, what_to_show
from globeco_allocation.adapters.postgres.unsent import COUNT_UNSENT, UNSTAMPED_IDS

if TYPE_CHECKING:
    import psycopg

ITS_USUAL_DATABASE = "postgres"
"""Where the Go implementation works, whatever name it was given, when its password was empty."""

_SETTINGS = {"statement_timeout": "60s"}

_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname"
_TABLES = (
    "SELECT to_regclass('execution') IS NOT NULL AND to_regclass('batch_history') IS NOT NULL,"
    " to_regclass('schema_migrations') IS NOT NULL, to_regclass('batch_claim') IS NOT NULL"
)
_CONTENTS = f"""
SELECT (SELECT count(*) FROM execution), ({COUNT_UNSENT}), (SELECT count(*) FROM ({UNSTAMPED_IDS}) AS never),
       (SELECT max(start_time) FROM batch_history)
"""  # noqa: S608
_SESSIONS = (
    "SELECT coalesce(nullif(application_name, ''), 'nameless'), count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    " GROUP BY 1 ORDER BY 1"
)
_OUR_SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND application_name LIKE 'globeco-allocation%'"
)
_HINDRANCES = (
    (
        _OUR_SESSIONS,
        "connections of this service are open: stop it first (scale it to 0), and wait for its end",
    ),
    (
        "SELECT count(*) FROM pending_execution",
        "executions wait for their portfolio, kept nowhere else: see `globeco-allocation pending list`",
    ),
    (
        "SELECT count(*) FROM batch_claim WHERE prepared_timestamp IS NULL",
        "batches are claimed and not written: run `globeco-allocation batches deliver`",
    ),
    (
        "SELECT count(*) FROM delivery WHERE status IN ('claimed', 'written', 'delivering')",
        "files are not delivered, and nobody else would: run `globeco-allocation batches deliver --wait 60`",
    ),
    (
        "SELECT count(*) FROM delivery WHERE status = 'failed'",
        "files have failed, and nobody else would send them: `batches resend`, or `batches resolve`",
    ),
    (
        "SELECT count(*) FROM delivery_stop WHERE cleared_timestamp IS NULL",
        "stop of all delivery is in force: see `globeco-allocation batches list`",
    ),
    (
        "SELECT count(*) FROM batch_history WHERE start_time > clock_timestamp()",
        "windows end in the future, which the Go implementation cannot follow: wait until that is past",
    ),
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What one database holds of the service, in either implementation.

    Attributes:
        database: Its name.
        from_go: Whether the Go implementation has made its tables: it has left its own log there.
        ours: Whether this service has added tables of its own.
        executions: How many there are.
        unsent: How many of them the next batch takes in.
        unstamped: How many have no ready stamp, and are never sent by anybody.
        last_start: The last batch's start time; None where there was none.
        sessions: Who is connected, by application name, and how often.
    """

    database: str
    from_go: bool
    ours: bool
    executions: int
    unsent: int
    unstamped: int
    last_start: datetime | None
    sessions: Sequence[tuple[str, int]]


def find(address: DatabaseAddress) -> tuple[list[Findings], list[str]]:
    """Look for executions in every database of the server, whichever name is set; nothing is changed.

    Returns:
        What was found, and the databases that the role may not look into.

    Raises:
        DatabaseRefusedError: the role is let into none.
        DatabaseUnreachableError: the server does not answer.
    """
    found: list[Findings] = []
    closed: list[str] = []
    for name in _databases(address):
        try:
            with _session(replace(address, name=name)) as session:
                looked = _look(session, name)
        except DatabaseRefusedError:
            closed.append(name)
            continue
        if looked is not None:
            found.append(looked)
    return found, closed


def hindrances(address: DatabaseAddress) -> list[str]:
    """Say why the database cannot be given back yet: what only this service would still do.

    Raises:
        DatabaseRefusedError: there is nothing of ours in it, or as in `find`.
        DatabaseUnreachableError: as in `find`.
    """
    with _session(address) as session:
        _, _, ours = _row(session, _TABLES)
        if not ours:
            raise DatabaseRefusedError(f"database {address.name!r} holds nothing of this service")
        counted = [(_row(session, query)[0], why) for query, why in _HINDRANCES]
    return [f"{count} {why}" for count, why in counted if count]


def refused_records(address: DatabaseAddress) -> list[int]:
    """Return the batches of whose refused records nothing is known any more once the database is given back.

    Raises:
        DatabaseRefusedError: as in `find`.
        DatabaseUnreachableError: as in `find`.
    """
    query = (
        "SELECT DISTINCT batch_id FROM delivery JOIN delivery_reject ON delivery_id = delivery.id ORDER BY 1"
    )
    with _session(address) as session:
        return [int(one) for (one,) in session.execute(query)]


def _databases(address: DatabaseAddress) -> list[str]:
    try:
        with _session(replace(address, name=ITS_USUAL_DATABASE)) as session:
            return [str(name) for (name,) in session.execute(_DATABASES)]
    except DatabaseRefusedError:  # there may be no such database, or it is not for us
        with _session(address) as session:
            return [str(name) for (name,) in session.execute(_DATABASES)]


def _look(session: "psycopg.Connection", name: str) -> Findings | None:
    has_tables, from_go, ours = _row(session, _TABLES)
    if not has_tables:
        return None
    executions, unsent, unstamped, last_start = _row(session, _CONTENTS)
    sessions = [(str(who), int(number)) for who, number in session.execute(_SESSIONS)]
    return Findings(name, from_go, ours, executions, unsent, unstamped, last_start, sessions)


def _session(address: DatabaseAddress) -> "AbstractContextManager[psycopg.Connection]":
    return own_session(address, _SETTINGS, command="handover", refusal=_refusal)


def _refusal(error: "psycopg.Error", address: DatabaseAddress) -> DatabaseRefusedError:
    return DatabaseRefusedError(
        f"role {address.user!r} cannot look into database {address.name!r}: its rights do not go that far, or"
        f" the tables are not what the specification asks for ({what_to_show(error)})"
    )


def _row(session: "psycopg.Connection", query: str) -> tuple[Any, ...]:
    return session.execute(query.encode()).fetchone() or ()
