"""Executions of chosen ids, and whether their counts are right."""

from collections.abc import Iterable

import psycopg

IDS_OF_A_RANGE = 4096

SMALLEST, LARGEST = -(2**31), 2**31 - 1

COLUMNS = (
    "execution_status, trade_type, destination, trade_date, security_id, ticker, quantity,"
    " received_timestamp, sent_timestamp, average_price"
)
VALUES = "'FULL', 'BUY', 'ML', '2026-03-02', 'S', 'IBM', 1, now(), now(), 1"


def insert(ids: str) -> str:
    """A statement that inserts an execution for each ``id`` of a FROM clause."""
    return f"INSERT INTO execution (id, execution_service_id, {COLUMNS}) SELECT id, id, {VALUES} FROM {ids}"


INSERT = insert("unnest($1::integer[]) AS id")
DELETE = "DELETE FROM execution WHERE id = ANY ($1::integer[])"

COUNTED = (
    "SELECT bucket, sum(count) FROM execution_count GROUP BY bucket HAVING sum(count) <> 0 ORDER BY bucket"
)
THERE = "SELECT floor(id / 4096.0)::integer, count(*) FROM execution GROUP BY 1 ORDER BY 1"


def keep(connection: psycopg.Connection, ids: Iterable[int]) -> None:
    """Insert executions of these ids in one statement."""
    connection.execute(INSERT.replace("$1", "%s").encode(), (list(ids),))


def delete(connection: psycopg.Connection, ids: Iterable[int]) -> None:
    """Delete executions of these ids in one statement."""
    connection.execute(DELETE.replace("$1", "%s").encode(), (list(ids),))


def counted(connection: psycopg.Connection) -> dict[int, int]:
    """How many executions each range has, as the counts say; it is so, too."""
    counts = dict(connection.execute(COUNTED.encode()).fetchall())
    assert counts == dict(connection.execute(THERE.encode()).fetchall())
    return counts
