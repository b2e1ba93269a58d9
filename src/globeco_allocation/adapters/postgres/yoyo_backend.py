"""yoyo's way to the database. Imported where migrations are applied, and by nobody else."""

import logging
import os
import socket
import uuid
from datetime import UTC, datetime

import psycopg
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import Migration, default_migration_table

from globeco_allocation.adapters.postgres.address import DatabaseAddress, SslMode
from globeco_allocation.adapters.postgres.direct_connection import connect

_SETTINGS = {
    # A migration that waits for a table keeps everybody behind it waiting for that table too.
    "lock_timeout": "10s",
    # An index over some ten million rows is built in a minute or two.
    "statement_timeout": "15min",
}

logging.getLogger("yoyo").setLevel(
    logging.WARNING
)  # its steps are of no use to an operator: we report our own


class Backend(PostgresqlPsycopgBackend):
    """yoyo's backend for psycopg, with the address in pieces, every wait bounded, and no look-ups of names.

    An address in pieces needs no quoting, and takes names and directories that yoyo's URLs cannot hold.
    """

    def connect(self, dburi: DatabaseURI) -> psycopg.Connection:
        """Open a connection; yoyo begins and ends transactions by itself."""
        address = DatabaseAddress(
            host=dburi.hostname or "",
            port=dburi.port or 0,
            name=dburi.database or "",
            user=dburi.username or "",
            password=dburi.password or "",
            ssl_mode=SslMode(dburi.args["ssl_mode"]),
            ssl_root_cert=dburi.args["ssl_root_cert"],
        )
        return connect(address, _SETTINGS)

    def get_log_data(self, migration: Migration | None = None, operation: str = "apply") -> dict[str, object]:
        """Return a row for yoyo's log.

        yoyo's own asks for the user's name, which a container's user may not have, and for the host's full
        name, which waits for a name server.
        """
        return {
            "id": str(uuid.uuid1()),
            "migration_id": migration.id if migration else None,
            "migration_hash": migration.hash if migration else None,
            "username": f"uid {os.getuid()}",
            "hostname": socket.gethostname(),
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }


def open_backend(address: DatabaseAddress) -> Backend:
    """Connect to *address* and make yoyo's lock table there; close it by leaving its context."""
    uri = DatabaseURI(
        scheme="postgresql+psycopg",
        username=address.user,
        password=address.password,
        hostname=address.host,
        port=address.port,
        database=address.name,
        args={"ssl_mode": address.ssl_mode.value, "ssl_root_cert": address.ssl_root_cert},
    )
    backend = Backend(uri, default_migration_table)
    try:
        backend.init_database()
    except BaseException:
        backend.connection.close()
        raise
    return backend
