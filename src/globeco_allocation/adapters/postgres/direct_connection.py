"""One psycopg connection, straight to the server: for what needs a session of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.tls import libpq_tls


def connect(
    address: DatabaseAddress, settings: Mapping[str, str], *, command: str = "migrate"
) -> psycopg.Connection:
    """Open a connection that commits each statement by itself and notices within half a minute a dead peer.

    Args:
        address: Where to.
        settings: Server settings of the session, such as ``statement_timeout``.
        command: Ours, by which PostgreSQL shows the session.

    Raises:
        psycopg.OperationalError: no connection could be made within 5 seconds per host address.
    """
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return psycopg.connect(
        host=address.host,
        port=address.port,
        dbname=address.name,
        user=address.user,
        password=address.password or None,
        **libpq_tls(address),
        autocommit=True,
        connect_timeout=5,
        application_name=f"globeco-allocation {command}",
        options=options,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=30_000,
    )


def execute(
    session: psycopg.Connection, statement: str, values: Sequence[object] | Mapping[str, object] | None = None
) -> psycopg.Cursor[tuple[Any, ...]]:
    """Run a statement that was put together of parts of ours; values of others come as *values*.

    Raises:
        psycopg.Error: the server's or the driver's.
    """
    return session.execute(statement.encode(), values)
