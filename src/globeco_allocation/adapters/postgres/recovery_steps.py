"""What a recovery changes: each step once, in one transaction, from the tables of what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from globeco_allocation.adapters.postgres.direct_connection import execute
from globeco_allocation.adapters.postgres.recovery_doubts import DoubtfulFile, Doubts
from globeco_allocation.adapters.postgres.recovery_tables import FoundTables
from globeco_allocation.domain.manifest import EXECUTION_COLUMNS

if TYPE_CHECKING:
    import psycopg

_COLUMNS = ", ".join(EXECUTION_COLUMNS)

_PUT_BACK = f"""
INSERT INTO execution ({_COLUMNS})
SELECT {_COLUMNS} FROM found_execution AS f
 WHERE NOT EXISTS (SELECT FROM execution AS e WHERE e.id = f.id)
 ORDER BY id
"""  # noqa: S608 (the names are ours)

_STAMPS = """
UPDATE execution AS e SET ready_to_send_timestamp = f.ready_to_send_timestamp
  FROM found_execution AS f
 WHERE f.id = e.id AND f.ready_to_send_timestamp <> e.ready_to_send_timestamp
"""

_NOT_PENDING = """
DELETE FROM pending_execution AS p USING found_execution AS f
 WHERE p.execution_service_id = f.execution_service_id
"""

_BATCHES = """
SELECT f.*, h.id IS NOT NULL AS known
  FROM found_batch AS f LEFT JOIN batch_history AS h ON h.id = f.batch_id
 ORDER BY f.start_time
"""

_HIGHEST_BATCH = """
SELECT greatest((SELECT max(id) FROM batch_history), (SELECT max(batch_id) FROM found_file),
                (SELECT last_value FROM {sequence}), 0)
"""

_CLAIM = """
INSERT INTO batch_claim (batch_id, file_quantity, file_format_version, lane_count, file_max_records,
                         requested_by, claimed_timestamp, prepared_timestamp)
VALUES (%s, %s, %s, %s, %s, %s, %s, clock_timestamp())
"""

# The files of a window that was claimed, but not planned yet, when the backup was made.
_PREPARED = """
UPDATE batch_claim
   SET prepared_timestamp = clock_timestamp(), not_before = NULL, lease_until = NULL,
       lease_token = nextval('lease_token')
 WHERE batch_id = %s
"""

# Executions that were never sent, in windows that are only known now: in none of their files. Each goes into
# the next window.
_NEXT_WINDOW = """
UPDATE execution AS e
   SET ready_to_send_timestamp = greatest(clock_timestamp(), (SELECT max(start_time) FROM batch_history))
 WHERE e.ready_to_send_timestamp >= %s AND e.ready_to_send_timestamp < %s
   AND NOT EXISTS (SELECT FROM found_execution AS f WHERE f.id = e.id)
"""


@dataclass(slots=True)
class Changes:
    """What a recovery changes.

    Attributes:
        executions: Put back under their ids.
        known_executions: Known to the backup, where they were not sent yet.
        batches: Put back with their windows and terms.
        bridges: Empty windows put in where none is known, so that windows follow one another.
        deliveries: Put back; each is sent again.
        doubtful_deliveries: Known to the backup and not ended there; each is sent again as well.
        next_window: Executions of the backup that were never sent, and go into the next window.
        no_longer_pending: Executions that wait for their portfolio in the backup, and were sent after it.
        execution_id: The highest id of an execution that was ever sent or is in the database.
        batch_id: The highest id of a batch.
        ids_to_move: Whether a sequence would hand out ids again.
    """

    executions: int = 0
    known_executions: int = 0
    batches: int = 0
    bridges: int = 0
    deliveries: int = 0
    doubtful_deliveries: int = 0
    next_window: int = 0
    no_longer_pending: int = 0
    execution_id: int = 0
    batch_id: int = 0
    ids_to_move: bool = False

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do."""
        return not (
            self.executions
            or self.batches
            or self.bridges
            or self.deliveries
            or self.doubtful_deliveries
            or self.next_window
            or self.no_longer_pending
            or self.ids_to_move
        )


class RecoverySteps:
    """Changes the database to what was found; in the transaction of the tables.

    Attributes:
        changes: What is changed.
    """

    def __init__(self, session: "psycopg.Connection", tables: FoundTables) -> None:
        self._session = session
        self._tables = tables
        self.changes = Changes()

    def put_back(self, highest_id_elsewhere: int, doubts: Doubts) -> list[DoubtfulFile]:
        """Put executions, windows and deliveries back.

        Args:
            highest_id_elsewhere: The highest id of an execution in files without a manifest.
            doubts: Of this recovery.

        Returns:
            The files of which it is not known what became of them: `Doubts.tell` takes what their runs left.
        """
        changes, session = self.changes, self._session
        found = self._number("SELECT count(*) FROM found_execution")
        changes.executions = execute(session, _PUT_BACK).rowcount
        changes.known_executions = found - changes.executions
        execute(session, _STAMPS)
        changes.no_longer_pending = execute(session, _NOT_PENDING).rowcount
        windows = self._put_windows_back()
        doubtful = doubts.put_in_doubt()
        files = doubts.put_back()
        changes.doubtful_deliveries, changes.deliveries = len(doubtful), len(files)
        for since, until in windows:
            changes.next_window += execute(session, _NEXT_WINDOW, (since, until)).rowcount
        self._find_highest_ids(highest_id_elsewhere)
        return files + doubtful

    def move_ids(self) -> None:
        """Let the sequences go on behind everything that was ever sent; right before the commit.

        What they are moved to stays, also if the transaction does not.
        """
        for table, highest in (
            ("execution", self.changes.execution_id),
            ("batch_history", self.changes.batch_id),
        ):
            execute(self._session, "SELECT setval(%s, greatest(%s, 1))", (self._sequence(table), highest))
        execute(self._session, "SELECT recount_executions()")

    def _put_windows_back(self) -> list[tuple[Any, Any]]:
        """Put batches back in the order of their windows, and bridge the gaps; returns the windows."""
        session, changes = self._session, self.changes
        highest = self._number(_HIGHEST_BATCH.format(sequence=self._sequence("batch_history")))
        last_start = execute(session, "SELECT max(start_time) FROM batch_history").fetchone()
        end = last_start[0] if last_start else None
        cursor = execute(session, _BATCHES)
        names = [column.name for column in cursor.description or ()]
        windows: list[tuple[Any, Any]] = []
        for row in cursor.fetchall():
            one = dict(zip(names, row, strict=True))
            since, until = one["previous_start_time"], one["start_time"]
            windows.append((since, until))
            if one["known"]:
                execute(session, _PREPARED, (one["batch_id"],))
                continue
            if end is not None and end < since:
                highest += 1
                self._put_batch(highest, end, since, one | {"requested_by": "recover"})
                windows.append((end, since))
                changes.bridges += 1
            self._put_batch(one["batch_id"], since, until, one)
            changes.batches += 1
            end = until
        changes.batch_id = highest
        return windows

    def _put_batch(self, batch_id: int, since: object, until: object, terms: dict[str, Any]) -> None:
        execute(
            self._session,
            "INSERT INTO batch_history (id, previous_start_time, start_time) VALUES (%s, %s, %s)",
            (batch_id, since, until),
        )
        names = ("file_quantity", "file_format_version", "lane_count", "file_max_records", "requested_by")
        execute(self._session, _CLAIM, (batch_id, *(terms[name] for name in names), until))

    def _find_highest_ids(self, elsewhere: int) -> None:
        changes = self.changes
        changes.execution_id = max(
            elsewhere,
            self._number("SELECT coalesce(max(id), 0) FROM execution"),
            self._handed_out("execution"),
        )
        changes.batch_id = max(changes.batch_id, self._handed_out("batch_history"))
        changes.ids_to_move = changes.execution_id > self._handed_out(
            "execution"
        ) or changes.batch_id > self._handed_out("batch_history")

    def _handed_out(self, table: str) -> int:
        return self._number(f"SELECT last_value FROM {self._sequence(table)}")  # noqa: S608

    def _sequence(self, table: str) -> str:
        row = execute(self._session, "SELECT pg_get_serial_sequence(%s, 'id')", (table,)).fetchone()
        return (row[0] if row else None) or f"{table}_id_seq"

    def _number(self, query: str, values: Sequence[object] = ()) -> int:
        row = execute(self._session, query, values).fetchone()
        return int(row[0]) if row and row[0] is not None else 0
