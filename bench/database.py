"""The database that is measured: the embedded server, on this machine's disk, with its own settings."""

import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
from psycopg import sql

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.entrypoints.embedded_database import embedded_database

_PORTFOLIOS = 500

# Rows as the service keeps them. The ids are those of the sequence, from 1 on.
_FILL = """
INSERT INTO execution (
    execution_service_id, is_open, execution_status, trade_type, destination, trade_date, security_id, ticker,
    portfolio_id, quantity, limit_price, received_timestamp, sent_timestamp, last_fill_timestamp,
    quantity_filled, total_amount, average_price, ready_to_send_timestamp, version
)
SELECT 1000000000 + n, false, 'FULL', CASE WHEN n %% 3 = 0 THEN 'SELL' ELSE 'BUY' END, 'ML',
       DATE '2026-03-02', '68336002fe95851f0a2ae' || lpad(to_hex(n %% 997), 3, '0'), 'IBM',
       '683b6b9620f302c879a5f' || lpad(to_hex(n %% %(portfolios)s), 3, '0'),
       (1 + n %% 1000)::numeric, NULL, TIMESTAMPTZ '2026-03-02 15:00:00+00',
       TIMESTAMPTZ '2026-03-02 15:00:01+00', TIMESTAMPTZ '2026-03-02 15:00:02+00', (1 + n %% 1000)::numeric,
       ((1 + n %% 1000) * 33.33333333)::numeric(18, 8), 33.33333333,
       TIMESTAMPTZ '2026-03-02 15:00:02+00' + n * INTERVAL '1 microsecond', 1
  FROM generate_series(1, %(rows)s) AS n
"""


@contextmanager
def opened_server(directory: Path) -> Generator[DatabaseAddress]:
    """Run the embedded server on a directory of its own."""
    with embedded_database(directory) as address:
        yield address


def create(server: DatabaseAddress, name: str, rows: int = 0) -> DatabaseAddress:
    """Create a database with the service's tables and so many executions, as settled as a day later."""
    with connect(server, {}) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    address = replace(server, name=name)
    command = (sys.executable, "-m", "globeco_allocation", "migrate")
    subprocess.run(command, env=as_environment(address), check=True, stdout=subprocess.DEVNULL)
    with connected(address) as database:
        if rows:
            database.execute(_FILL, {"rows": rows, "portfolios": _PORTFOLIOS})
        database.execute("VACUUM ANALYZE")
    return address


@contextmanager
def connected(address: DatabaseAddress) -> Generator[psycopg.Connection]:
    """Connect; each statement is a transaction of its own."""
    with connect(address, {}) as connection:
        yield connection


def number(address: DatabaseAddress, query: str) -> float:
    """Return the one number that a query finds."""
    with connected(address) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None  # noqa: S101 (an aggregate has a row)
    return float(row[0])


def address_from(environ: Mapping[str, str]) -> DatabaseAddress:
    """Read where the database is from the service's own variables."""
    return DatabaseAddress(
        environ["DB_HOST"],
        int(environ["DB_PORT"]),
        environ["DB_NAME"],
        environ["DB_USER"],
        environ["DB_PASSWORD"],
    )


def as_environment(address: DatabaseAddress) -> dict[str, str]:
    """Write it into the service's own variables."""
    return {
        "DB_HOST": address.host,
        "DB_PORT": str(address.port),
        "DB_NAME": address.name,
        "DB_USER": address.user,
        "DB_PASSWORD": address.password,
    }
