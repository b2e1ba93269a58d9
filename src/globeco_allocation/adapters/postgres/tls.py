"""TLS to the server: one meaning for both drivers."""

from typing import Any
from urllib.parse import urlencode

from globeco_allocation.adapters.postgres.address import DatabaseAddress


def asyncpg_tls(address: DatabaseAddress) -> dict[str, Any]:
    """Return what asyncpg's ``connect`` and ``create_pool`` are told of TLS."""
    if address.host.startswith("/"):
        return {"ssl": False}  # as libpq has it; the driver would make a context in vain for each connection
    # The file has no argument of its own. Everything else in an address is given beside this one.
    return {"dsn": f"postgresql:///?{urlencode(libpq_tls(address))}"}


def libpq_tls(address: DatabaseAddress) -> dict[str, Any]:
    """Return what libpq, and so psycopg's ``connect``, is told of TLS."""
    said = {"sslmode": address.ssl_mode.value}
    if address.ssl_root_cert:
        said["sslrootcert"] = address.ssl_root_cert
    return said
