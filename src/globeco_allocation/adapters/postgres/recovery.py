"""The transaction in which a database that was restored from a backup learns what was sent after it.

A tool like the migrations, for an operator and a stopped service: it goes straight to the tables, behind no
port.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import execute
from globeco_allocation.adapters.postgres.errors import DatabaseRefusedError, DatabaseUnreachableError
from globeco_allocation.adapters.postgres.own_session import own_session, what_to_show
from globeco_allocation.adapters.postgres.recovery_doubts import Doubts
from globeco_allocation.adapters.postgres.recovery_steps import RecoverySteps
from globeco_allocation.adapters.postgres.recovery_tables import FoundTables

if TYPE_CHECKING:
    import psycopg

# A million executions take a while; a lock that is not free at once is somebody's who should not be there.
_SETTINGS = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "5s",
    "timezone": "UTC",
    "datestyle": "ISO",
    "default_transaction_isolation": "read\\ committed",
}

_ENDING_SECONDS = 2.0  # a command that has ended, such as the migrations, is listed for a moment longer

_TABLES = """
SELECT to_regclass('delivery_resolution'), to_regclass('pending_execution'), to_regclass('execution_count')
"""
_SESSIONS = """
SELECT DISTINCT application_name || coalesce(' from ' || host(client_addr), '')
  FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
   AND application_name LIKE 'globeco-allocation%'
 ORDER BY 1
"""
_LEASES = """
SELECT DISTINCT lease_holder FROM (
       SELECT lease_holder FROM batch_claim WHERE lease_until > clock_timestamp()
        UNION ALL SELECT lease_holder FROM delivery WHERE lease_until > clock_timestamp()) AS held
 WHERE lease_holder IS NOT NULL
 ORDER BY 1
"""

# In the order in which the service's statements take them. Readers go on.
_LOCK = """
SELECT pg_advisory_xact_lock(window_lock_key()), pg_advisory_xact_lock(queue_lock_key());
LOCK TABLE execution, pending_execution, batch_history, batch_claim, delivery IN SHARE ROW EXCLUSIVE MODE;
"""


class Recovery:
    """A recovery under way; made by `open_recovery`.

    Attributes:
        tables: What was found.
        steps: What is changed.
    """

    def __init__(self, session: "psycopg.Connection") -> None:
        self._session = session
        self.tables = FoundTables(session)
        self.steps = RecoverySteps(session, self.tables)
        self.committed = False

    def knows_ids(self, execution_ids: list[int]) -> int:
        """Return how many of these executions the database or a manifest has."""
        row = execute(
            self._session,
            "SELECT count(*) FROM (SELECT id FROM execution WHERE id = ANY(%s)"
            " UNION SELECT id FROM found_execution WHERE id = ANY(%s)) AS known",
            (execution_ids, execution_ids),
        ).fetchone()
        return int(row[0]) if row else 0

    def doubts(self, last_attempt: int) -> Doubts:
        """Begin to put files in doubt, once `tables` has the attempts that were made.

        Args:
            last_attempt: The one under which an earlier recovery has done so; 0: there was none.
        """
        return Doubts(self._session, last_attempt)

    def commit(self) -> None:
        """Let the changes stand, all of them, once the block ends without an error."""
        self.steps.move_ids()
        self.committed = True


@contextmanager
def open_recovery(address: DatabaseAddress) -> Generator[Recovery]:
    """Begin a recovery, and roll it back at the end unless it was committed.

    Raises:
        DatabaseRefusedError: the service runs, or the database will not have us; nothing has changed.
        DatabaseUnreachableError: the database is away or busy; what was committed may stand.
    """
    import psycopg  # noqa: PLC0415 (for this and the migrations only)

    with own_session(address, _SETTINGS, command="recover", refusal=_refusal) as session:
        _refuse_beside_others(session)
        with session.transaction() as transaction:
            execute(session, _LOCK)
            recovery = Recovery(session)
            yield recovery
            if not recovery.committed:
                raise psycopg.Rollback(transaction)


def _refuse_beside_others(session: "psycopg.Connection") -> None:
    tables = execute(session, _TABLES).fetchone()
    if tables is None or None in tables:
        raise DatabaseRefusedError(
            "the database lacks tables of this version: restore the backup, then `globeco-allocation migrate`"
        )
    over = time.monotonic() + _ENDING_SECONDS
    while (others := _other_sessions(session)) and time.monotonic() < over:
        time.sleep(0.1)
    if others:
        raise DatabaseRefusedError(
            f"the database is in use by {', '.join(others)}: stop every replica and command, and let none"
            " start before the recovery is done"
        )
    holders = [str(row[0]) for row in execute(session, _LEASES).fetchall()]
    if holders:
        raise DatabaseUnreachableError(
            f"{', '.join(holders)} worked on batches until a moment ago: make sure that it is stopped, and"
            " try again in a minute"
        )


def _other_sessions(session: "psycopg.Connection") -> list[str]:
    return [str(row[0]) for row in execute(session, _SESSIONS).fetchall()]


def _refusal(error: "psycopg.Error", address: DatabaseAddress) -> DatabaseRefusedError:
    return DatabaseRefusedError(
        f"database {address.name!r} refuses what the manifests hold ({what_to_show(error)});"
        " nothing has changed"
    )
