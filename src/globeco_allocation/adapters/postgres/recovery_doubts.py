"""Files of which a restored database cannot know what became of them: any of their records may be booked."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from globeco_allocation.adapters.postgres.direct_connection import execute
from globeco_allocation.domain.delivery import Reject

if TYPE_CHECKING:
    import psycopg

RECOVERED_ATTEMPTS = 1000
"""The first multiple of this above every attempt that was made stands for all those that are not known any
more: an attempt's number names its run, and the next one has to be a new run."""

WORDS = "what became of it is not known: the database was restored from a backup"

_HIGHEST_ATTEMPT = """
SELECT greatest((SELECT max(attempts) FROM delivery), (SELECT max(attempt) FROM found_attempt), %s)
"""
_ATTEMPTED_SINCE = (
    "EXISTS (SELECT FROM found_attempt AS a WHERE a.file_name = d.file_name AND a.attempt > d.attempts)"
)

# With a token of its own, so that it is not taken for a delivery of the version that knew no leases.
_DELIVERIES = f"""
INSERT INTO delivery (batch_id, lane, part, file_name, status, record_count, byte_count, checksum, attempts,
                      claimed_timestamp, written_timestamp, started_timestamp, ended_timestamp, queue_number,
                      lane_count, requested_by, first_id, last_id, outcome_status, accepted_count,
                      rejected_count, unknown_count, outcome_error, error, knowledge_attempt, lease_token)
SELECT f.batch_id, f.lane, f.part, f.file_name, 'delivering', f.record_count, f.byte_count, f.checksum,
       %(attempt)s, f.start_time, f.start_time, f.start_time, clock_timestamp(), c.queue_number,
       f.lane_count, f.requested_by, f.first_id, f.last_id, 'failed', 0, 0, f.record_count, '{WORDS}',
       '{WORDS}', %(attempt)s, nextval('lease_token')
  FROM found_file AS f JOIN batch_claim AS c ON c.batch_id = f.batch_id
 ORDER BY c.queue_number, f.lane, f.part
RETURNING id, file_name, attempts
"""  # noqa: S608

# Known to the backup and not ended there, or sent again since: any record may be booked by now. What was
# found out for good of one that is stored, but perhaps not booked, stays; what was refused may be accepted.
# What an earlier recovery has put in doubt is so still, unless attempts were made since.
_IN_DOUBT = f"""
UPDATE delivery AS d
   SET status = CASE status WHEN 'claimed' THEN 'claimed' ELSE 'delivering' END,
       attempts = %(attempt)s, tries = 0, confirming = false, not_before = NULL,
       run_uid = '', started_timestamp = coalesce(started_timestamp, claimed_timestamp),
       ended_timestamp = clock_timestamp(), outcome_status = 'failed', accepted_count = 0, rejected_count = 0,
       unknown_count = record_count, outcome_error = '{WORDS}', error = '{WORDS}', exit_code = NULL,
       knowledge_attempt = %(attempt)s,
       lease_until = NULL, lease_token = nextval('lease_token')
 WHERE (status IN ('written', 'delivering')
        OR status = 'claimed' AND EXISTS (SELECT FROM known_file AS k WHERE k.file_name = d.file_name)
        OR status IN ('partial', 'failed') AND {_ATTEMPTED_SINCE})
   AND NOT (knowledge_attempt >= {RECOVERED_ATTEMPTS} AND knowledge_attempt = attempts AND NOT under_way
            AND NOT {_ATTEMPTED_SINCE}
            AND outcome_error = '{WORDS}')
RETURNING id, file_name, attempts
"""  # noqa: S608

_KEEP_FOR_A_PERSON = """
DELETE FROM delivery_reject AS r
 WHERE delivery_id = %(delivery)s
   AND (verdict NOT IN ('not_booked', 'unconfirmed')
        OR EXISTS (SELECT FROM delivery_reject AS newer
                    WHERE newer.delivery_id = r.delivery_id AND newer.source_id = r.source_id
                      AND newer.id > r.id AND newer.verdict IN ('not_booked', 'unconfirmed')))
"""
_RENUMBER = "UPDATE delivery_reject SET attempt = %(attempt)s WHERE delivery_id = %(delivery)s"
_REJECT = """
INSERT INTO delivery_reject (delivery_id, attempt, source_id, verdict, reason)
SELECT %s, %s, %s, %s, %s
 WHERE NOT EXISTS (
       SELECT FROM delivery_reject
        WHERE delivery_id = %s AND attempt = %s AND source_id = %s
          AND verdict IN ('not_booked', 'unconfirmed'))
"""


@dataclass(frozen=True, slots=True)
class DoubtfulFile:
    """A file of which it is not known what became of it.

    Attributes:
        delivery_id: Its delivery.
        file_name: Its name.
        attempt: Under which its knowledge is kept.
    """

    delivery_id: int
    file_name: str
    attempt: int


class Doubts:
    """Puts files in doubt, so that they are sent again; in the transaction of the tables.

    Attributes:
        attempt: Under which what is known of their records is kept.
    """

    def __init__(self, session: "psycopg.Connection", last_attempt: int) -> None:
        """Choose the attempt.

        Args:
            session: Where the tables are.
            last_attempt: The one of an earlier recovery; 0: there was none.
        """
        self._session = session
        row = execute(session, _HIGHEST_ATTEMPT, [last_attempt]).fetchone()
        highest = int(row[0]) if row else 0
        self.attempt = (highest // RECOVERED_ATTEMPTS + 1) * RECOVERED_ATTEMPTS

    def put_back(self) -> list[DoubtfulFile]:
        """Put the deliveries of the manifests back that the database does not know."""
        return self._doubtful(_DELIVERIES)

    def put_in_doubt(self) -> list[DoubtfulFile]:
        """Put those of the backup in doubt that may have been sent since."""
        return self._doubtful(_IN_DOUBT)

    def tell(self, file: DoubtfulFile, rejects: Iterable[Reject], *, cut_offs: int) -> None:
        """Record what the next attempt has to know.

        Args:
            file: The file.
            rejects: What its runs have told of its records. What the backup names for a person stays.
            cut_offs: How many runs of it were cut off, or may have been, each with one record in flight.
        """
        named = {"delivery": file.delivery_id, "attempt": file.attempt}
        execute(self._session, _KEEP_FOR_A_PERSON, named)
        execute(self._session, _RENUMBER, named)
        with self._session.cursor() as cursor:
            key = (file.delivery_id, file.attempt)
            rows = ((*key, one.source_id, one.verdict, one.reason, *key, one.source_id) for one in rejects)
            cursor.executemany(_REJECT.encode(), rows)
        execute(
            self._session, "UPDATE delivery SET cut_offs = %s WHERE id = %s", (cut_offs, file.delivery_id)
        )

    def _doubtful(self, statement: str) -> list[DoubtfulFile]:
        rows = execute(self._session, statement, {"attempt": self.attempt}).fetchall()
        return [DoubtfulFile(*row) for row in rows]
