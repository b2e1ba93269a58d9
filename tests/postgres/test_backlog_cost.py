"""What is outstanding is found by index, however much was sent already."""

from tests.postgres.counted import insert

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect

# What this transaction has read.
READ = """
SELECT relname, seq_scan FROM pg_stat_xact_user_tables
 WHERE relname IN ('execution', 'delivery', 'batch_claim', 'batch_history', 'pending_execution')
   AND seq_scan > 0
"""

COUNT = "SELECT count FROM outstanding_work(%s) WHERE kind = 'executions'"

FILL = """
INSERT INTO batch_history (start_time, previous_start_time)
SELECT clock_timestamp(), (SELECT max(start_time) FROM batch_history)
"""


def test_looking_reads_no_table_through_though_all_were_empty_when_it_was_planned(
    database: DatabaseAddress,
) -> None:
    with connect(database, {}) as session:
        session.execute(COUNT.encode(), (100,))
        session.execute(insert("generate_series(1, 5000) AS id").encode())
        session.execute(FILL.encode())
        session.execute(insert("generate_series(5001, 5003) AS id").encode())

        with session.transaction():
            assert session.execute(COUNT.encode(), (100,)).fetchall() == [(3,)]
            assert session.execute(READ.encode()).fetchall() == []


def test_no_more_are_counted_than_are_asked_for(database: DatabaseAddress) -> None:
    with connect(database, {}) as session:
        session.execute(insert("generate_series(1, 500) AS id").encode())

        assert session.execute(COUNT.encode(), (100,)).fetchall() == [(100,)]
