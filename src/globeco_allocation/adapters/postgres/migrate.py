"""Bringing the database up to date: in `globeco-allocation migrate`, and in the process that `serve` starts.

psycopg and yoyo are loaded while migrating only: a process that serves never holds them.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.errors import DatabaseUnreachableError
from globeco_allocation.adapters.postgres.migration_session import alone, migration_session
from globeco_allocation.adapters.postgres.migrations_folder import migration_names, migrations_folder
from globeco_allocation.adapters.postgres.unsent import COUNT_UNSENT, UNSTAMPED_IDS

if TYPE_CHECKING:
    import psycopg

    from globeco_allocation.adapters.postgres.yoyo_backend import Backend

PATIENCE_SECONDS = 120.0
"""How long a process waits for another one's migration."""

LISTED_IDS = 20
"""How many executions without a stamp are named."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class MigrationResult:
    """What a migration did, and what it found.

    Attributes:
        applied: The migrations applied by this process, in order; empty when none was missing.
        unsent: Executions that the next batch takes in: their ready stamp is at or after the last start time.
        unstamped: Executions without a ready stamp. No window holds them: they are never sent unless a person
            gives them a stamp (design, "Data").
        unstamped_ids: The ids of the first of those, at most `LISTED_IDS`.
    """

    applied: tuple[str, ...]
    unsent: int
    unstamped: int
    unstamped_ids: tuple[int, ...]


def migrate(
    address: DatabaseAddress, report: Report, *, patience_seconds: float = PATIENCE_SECONDS
) -> MigrationResult:
    """Apply the migrations that are missing; safe for many processes at once, and for a kill at any moment.

    A database that the Go implementation filled is adopted with every row. Where nothing is missing, nothing
    is locked or written, and the role needs no right to create.

    Args:
        address: A direct one, not through a pooler that shares sessions.
        report: Gets one line for each thing done or found.
        patience_seconds: How long to wait for another process's migration.

    Raises:
        DatabaseRefusedError: wrong name, role, password or rights, or contents that break a rule.
        DatabaseUnreachableError: no answer, or another process is at it for longer than we wait.
        FileNotFoundError: the migrations are missing from the installation.
    """
    applied: tuple[str, ...] = ()
    with migration_session(address) as session:
        if _missing(session):
            with alone(session, address, patience_seconds):
                if _missing(session):  # still, after the wait for somebody else's migration
                    applied = _apply(address, report)
        result = _survey(session, applied)
    _tell(result, report)
    return result


def rollback(
    address: DatabaseAddress, report: Report, *, patience_seconds: float = PATIENCE_SECONDS
) -> tuple[str, ...]:
    """Take our tables and functions out again; the specification's two tables stay, with all their rows.

    What became of the files is forgotten. yoyo's own tables stay too: they hold the log of what was done.

    Returns:
        The migrations rolled back, in order.

    Raises:
        DatabaseRefusedError: as in `migrate`.
        DatabaseUnreachableError: as in `migrate`.
        FileNotFoundError: as in `migrate`.
    """
    from yoyo import read_migrations  # noqa: PLC0415 - for migrating only

    done: list[str] = []
    with (
        migration_session(address) as session,
        alone(session, address, patience_seconds),
        _locked_backend(address) as backend,
    ):
        for migration in backend.to_rollback(read_migrations(str(migrations_folder()))):
            backend.rollback_one(migration)
            done.append(migration.id)
            report(f"rolled back {migration.id}")
    return tuple(done)


def _missing(session: "psycopg.Connection") -> bool:
    """Tell whether any migration is not noted as applied; yoyo is not loaded to find out."""
    noted = session.execute("SELECT to_regclass('_yoyo_migration')").fetchone()
    if noted is None or noted[0] is None:
        return True
    applied = {name for (name,) in session.execute("SELECT migration_id FROM _yoyo_migration")}
    return not applied.issuperset(migration_names())


def _apply(address: DatabaseAddress, report: Report) -> tuple[str, ...]:
    from yoyo import read_migrations  # noqa: PLC0415 - for migrating only

    done: list[str] = []
    with _locked_backend(address) as backend:
        # One by one: yoyo's way to apply them all passes over a file that it cannot read.
        for migration in backend.to_apply(read_migrations(str(migrations_folder()))):
            backend.apply_one(migration)
            done.append(migration.id)
            report(f"applied {migration.id}")
    return tuple(done)


@contextmanager
def _locked_backend(address: DatabaseAddress) -> "Generator[Backend]":
    """Open yoyo's backend under its own lock; only for whoever is `alone`."""
    from yoyo.exceptions import LockTimeout  # noqa: PLC0415 - for migrating only

    from globeco_allocation.adapters.postgres.yoyo_backend import open_backend  # noqa: PLC0415

    try:
        with open_backend(address) as backend:
            backend.break_lock()  # a killed process leaves it for ever; one that lives is not beside us
            with backend.lock():
                yield backend
    except LockTimeout as error:
        raise DatabaseUnreachableError(f"database {address.name!r}: somebody holds yoyo's lock") from error


def _survey(session: "psycopg.Connection", applied: tuple[str, ...]) -> MigrationResult:
    """Count what waits to be sent, and find what never will be."""
    counts = f"SELECT ({COUNT_UNSENT}), (SELECT count(*) FROM ({UNSTAMPED_IDS}) AS never)"  # noqa: S608
    unsent, unstamped = session.execute(counts.encode()).fetchone() or (0, 0)
    ids = session.execute(f"{UNSTAMPED_IDS} ORDER BY id LIMIT {LISTED_IDS}".encode())
    return MigrationResult(
        applied=applied,
        unsent=unsent,
        unstamped=unstamped,
        unstamped_ids=tuple(one for (one,) in ids),
    )


def _tell(result: MigrationResult, report: Report) -> None:
    if not result.applied:
        report("nothing to apply: the database is up to date")
    if result.unsent:
        report(f"executions that wait for the next batch: {result.unsent}")
    if result.unstamped:
        ids = ", ".join(map(str, result.unstamped_ids))
        more = ", ..." if result.unstamped > len(result.unstamped_ids) else ""
        report(
            f"executions without a ready_to_send_timestamp: {result.unstamped}. No batch will ever send "
            f"them, unless somebody gives them one. Ids: {ids}{more}"
        )
