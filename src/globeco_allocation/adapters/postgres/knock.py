"""Seeing whether the database lets us in, before anything is built on it."""

import ssl

import asyncpg

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.errors import certificate_refused, connection_failure
from globeco_allocation.adapters.postgres.tls import asyncpg_tls

_SECONDS = 5.0


async def knock(address: DatabaseAddress) -> None:
    """Connect once, and hang up.

    Raises:
        DatabaseRefusedError: it will never let us in as we are set up.
        DatabaseUnreachableError: it does not answer in time, or not yet.
    """
    try:
        connection = await asyncpg.connect(
            host=address.host,
            port=address.port,
            database=address.name,
            user=address.user,
            password=address.password,
            timeout=_SECONDS,
            **asyncpg_tls(address),
        )
        await connection.close(timeout=_SECONDS)
    except asyncpg.PostgresError as error:
        raise connection_failure(error.sqlstate, address) from error
    except ssl.SSLCertVerificationError as error:
        raise certificate_refused(error.verify_message, address) from error
    except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
        raise connection_failure(None, address) from error
