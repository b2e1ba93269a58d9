"""What a recovery found in manifests, in temporary tables beside the database's own."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from globeco_allocation.adapters.postgres.direct_connection import execute
from globeco_allocation.domain.delivery import WrittenFile
from globeco_allocation.domain.manifest import EXECUTION_COLUMNS
from globeco_allocation.domain.manifest_reading import Manifest
from globeco_allocation.domain.transaction_file import csv_field

if TYPE_CHECKING:
    import psycopg

_NEVER_NULL = ("execution_status", "trade_type", "destination", "security_id", "ticker")

_MAKE = """
CREATE TEMPORARY TABLE found_file (
    file_name text PRIMARY KEY, batch_id integer, previous_start_time timestamptz, start_time timestamptz,
    file_quantity text, file_format_version integer, lane_count integer, file_max_records integer,
    requested_by text, lane integer, part integer, record_count bigint, byte_count bigint, checksum text,
    first_id integer, last_id integer
) ON COMMIT DROP;
CREATE TEMPORARY TABLE known_file (file_name text PRIMARY KEY) ON COMMIT DROP;
CREATE TEMPORARY TABLE left_out (batch_id integer, lane integer, part integer) ON COMMIT DROP;
CREATE TEMPORARY TABLE found_attempt (file_name text PRIMARY KEY, attempt integer) ON COMMIT DROP;
CREATE TEMPORARY TABLE found_execution (LIKE execution) ON COMMIT DROP;
CREATE TEMPORARY VIEW found_batch AS
SELECT DISTINCT ON (batch_id) * FROM found_file ORDER BY batch_id, file_name;
"""

_COLUMNS = ", ".join(EXECUTION_COLUMNS)
_COPY = (
    f"COPY found_execution ({_COLUMNS}) FROM STDIN"
    f" (FORMAT csv, ENCODING 'UTF8', FORCE_NOT_NULL ({', '.join(_NEVER_NULL)}))"
)

_DELIVERY = """
SELECT h.id = %(batch)s AND h.previous_start_time = %(from)s AND h.start_time = %(to)s
       AND d.lane = %(lane)s AND d.part = %(part)s AND d.record_count = %(count)s
  FROM delivery AS d
  JOIN batch_history AS h ON h.id = d.batch_id
 WHERE d.file_name = %(name)s
"""

# Each names in what manifests contradict one another.
_AMONG_MANIFESTS = {
    "two manifests disagree about batch {0}": """
        SELECT batch_id FROM found_file GROUP BY batch_id
        HAVING count(DISTINCT (previous_start_time, start_time, file_quantity, file_format_version,
                               lane_count, file_max_records, requested_by)) > 1
    """,
    "the windows of batches {0} and {1} in the manifests overlap": """
        SELECT before, batch_id
          FROM (SELECT batch_id, previous_start_time,
                       lag(batch_id) OVER w AS before, lag(start_time) OVER w AS ended
                  FROM found_batch WINDOW w AS (ORDER BY previous_start_time)) AS b
         WHERE ended > previous_start_time
    """,
    "a manifest of batch {0}, lane {1} is missing: its parts do not follow one another": """
        SELECT batch_id, lane
          FROM (SELECT *, max(part) OVER (PARTITION BY batch_id, lane) AS last FROM found_file) AS f
         GROUP BY batch_id, lane, last
        HAVING last + 1 <> count(*) + (SELECT count(*) FROM left_out AS o
                                        WHERE o.batch_id = f.batch_id AND o.lane = f.lane AND o.part < last)
            OR bool_or(part < last AND record_count <> file_max_records)
    """,
    "execution {0} stands in two manifests": """
        SELECT id FROM found_execution GROUP BY id HAVING count(*) > 1
    """,
    "executionServiceId {0} stands in two manifests, as executions {1} and {2}": """
        SELECT execution_service_id, min(id), max(id) FROM found_execution
         GROUP BY execution_service_id HAVING count(DISTINCT id) > 1
    """,
}

# And in what the database contradicts them. What is in it is never overwritten, but for the ready stamp of
# what was never sent: an earlier recovery may have moved it into a later window.
_WITH_DATABASE = {
    "batch {0} was claimed for another window after the backup was restored": """
        SELECT f.batch_id FROM found_batch AS f JOIN batch_history AS h ON h.id = f.batch_id
         WHERE (h.previous_start_time, h.start_time) IS DISTINCT FROM (f.previous_start_time, f.start_time)
    """,
    "the window of batch {0}, claimed after the backup was restored, overlaps that of the lost batch {1}": """
        SELECT h.id, f.batch_id FROM found_batch AS f
          JOIN batch_history AS h
            ON h.start_time > f.previous_start_time AND h.previous_start_time < f.start_time
           AND h.id <> f.batch_id
    """,
    "batch {0} is older than the newest one in the database, which does not know it": """
        SELECT f.batch_id FROM found_batch AS f
         WHERE f.previous_start_time < (SELECT max(start_time) FROM batch_history)
           AND NOT EXISTS (SELECT FROM batch_history AS h WHERE h.id = f.batch_id)
    """,
    "batch {0} has other files in the database than its manifests describe": """
        SELECT f.batch_id FROM found_batch AS f
          JOIN batch_history AS h ON h.id = f.batch_id
          LEFT JOIN batch_claim AS c ON c.batch_id = h.id
         WHERE c.batch_id IS NULL OR c.prepared_timestamp IS NOT NULL
            OR EXISTS (SELECT FROM delivery AS d WHERE d.batch_id = h.id)
    """,
    "execution {0} in the database is another one than the one that was sent under this id": """
        SELECT f.id FROM found_execution AS f JOIN execution AS e ON e.id = f.id
         WHERE ROW(e.*) IS DISTINCT FROM ROW(f.*)
           AND (e.ready_to_send_timestamp < (SELECT max(start_time) FROM batch_history)
                OR to_jsonb(e) - 'ready_to_send_timestamp' <> to_jsonb(f) - 'ready_to_send_timestamp')
    """,
    "executionServiceId {0} was kept again as execution {1}, after it had been sent as execution {2}": """
        SELECT f.execution_service_id, e.id, f.id FROM found_execution AS f
          JOIN execution AS e ON e.execution_service_id = f.execution_service_id
         WHERE e.id <> f.id
    """,
}
_NAMED_EACH = 5


class FoundTables:
    """The temporary tables of one recovery, in its transaction."""

    def __init__(self, session: "psycopg.Connection") -> None:
        self._session = session
        execute(session, _MAKE)

    def knows(self, manifest: Manifest) -> bool | None:
        """Tell whether the database has the manifest's file; None: it has another one under its name."""
        batch, file = manifest.batch, manifest.file
        row = execute(
            self._session,
            _DELIVERY,
            {
                "batch": batch.id,
                "from": batch.window.previous_start,
                "to": batch.window.start,
                "lane": file.lane,
                "part": file.part,
                "count": file.record_count,
                "name": file.file_name,
            },
        ).fetchone()
        if row is None:
            return False
        if not row[0]:
            return None
        execute(self._session, "INSERT INTO known_file VALUES (%s)", (file.file_name,))
        return True

    def names_a_delivery(self, file_name: str) -> bool:
        """Tell whether the database has a file of this name."""
        row = execute(self._session, "SELECT FROM delivery WHERE file_name = %s", (file_name,)).fetchone()
        return row is not None

    def add_executions(self, rows: Sequence[Sequence[str]]) -> None:
        """Take executions of a file that the database does not know."""
        text = "".join(f"{','.join(map(csv_field, row))}\n" for row in rows)
        with self._session.cursor() as cursor, cursor.copy(_COPY.encode()) as copy:
            copy.write(text)

    def add_file(self, manifest: Manifest, written: WrittenFile) -> None:
        """Take the file itself."""
        batch, file, terms = manifest.batch, manifest.file, manifest.batch.terms
        values = (
            *(file.file_name, batch.id, batch.window.previous_start, batch.window.start),
            *(terms.file_quantity.value, terms.file_format_version, terms.lane_count),
            *(terms.file_max_records, terms.requested_by, file.lane, file.part, written.record_count),
            *(written.byte_count, written.checksum, written.first_id, written.last_id),
        )
        places = ", ".join(["%s"] * len(values))
        execute(self._session, f"INSERT INTO found_file VALUES ({places})", values)  # noqa: S608

    def add_attempts(self, attempts: Mapping[str, int]) -> None:
        """Take the highest attempt that was begun for each file, as far as it shows."""
        with (
            self._session.cursor() as cursor,
            cursor.copy(b"COPY found_attempt (file_name, attempt) FROM STDIN") as copy,
        ):
            for row in attempts.items():
                copy.write_row(row)

    def leave_out(self, batch_id: int, lane: int, part: int) -> None:
        """Take the place of a file whose manifest is missing, and may be."""
        execute(self._session, "INSERT INTO left_out VALUES (%s, %s, %s)", (batch_id, lane, part))

    def contradictions(self) -> list[str]:
        """Say in what manifests contradict one another: some examples of each, and how many there are."""
        execute(self._session, "ANALYZE found_execution")
        return self._examples(_AMONG_MANIFESTS)

    def conflicts(self) -> list[str]:
        """Say in what the database contradicts the manifests, likewise."""
        return self._examples(_WITH_DATABASE)

    def _examples(self, kinds: Mapping[str, str]) -> list[str]:
        found: list[str] = []
        for words, query in kinds.items():
            rows = execute(
                self._session,
                f"SELECT count(*) OVER (), q.* FROM ({query}) AS q LIMIT {_NAMED_EACH}",  # noqa: S608
            ).fetchall()
            found += [words.format(*row[1:]) for row in rows]
            if rows and rows[0][0] > len(rows):
                found.append(f"... and {rows[0][0] - len(rows)} more like that")
        return found
