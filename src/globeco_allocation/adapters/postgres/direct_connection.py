"""One psycopg connection, straight to the server: for migrations, which need a session of their own."""

from collections.abc import Mapping

import psycopg

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.tls import libpq_tls


def connect(address: DatabaseAddress, settings: Mapping[str, str]) -> psycopg.Connection:
    """Open a connection that commits each statement by itself and notices within half a minute a dead peer.

    Args:
        address: Where to.
        settings: Server settings of the session, such as ``statement_timeout``.

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
        application_name="globeco-allocation migrate",
        options=options,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=30_000,
    )
