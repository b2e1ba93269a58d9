"""Why the database cannot be used at all: for good, or for now."""

from globeco_allocation.adapters.postgres.address import DatabaseAddress, SslMode
from globeco_allocation.domain.errors import AllocationError


class DatabaseRefusedError(AllocationError):
    """The database will not have us as we are set up; asking again is of no use.

    Its name, the role, the password or the role's rights are wrong, or its tables are not what they must be.
    The message is for the operator: stop, and show it.
    """


class DatabaseUnreachableError(AllocationError):
    """The database does not answer, or not yet, or is busy with another migration: ask again later."""


def connection_failure(sqlstate: str | None, address: DatabaseAddress) -> AllocationError:
    """Say what it means that no connection to *address* could be made.

    Args:
        sqlstate: What the server answered; None when it did not answer.
        address: Where we knocked.

    Returns:
        A `DatabaseRefusedError` when the server will never let us in as we are set up (SQLSTATE 3D000, 28P01,
        28000, 42501); a `DatabaseUnreachableError` for all else: no such host, nobody listening, no answer in
        time, starting up, too many connections.
    """
    what = f"database {address.name!r} on {address.host}:{address.port}"
    match sqlstate:
        case "3D000":
            return DatabaseRefusedError(
                f"{what} does not exist. If the former service was set to this name with an empty "
                "DATABASE_PASSWORD, its data is in database 'postgres': the empty password made it overlook "
                "the name. Set DB_NAME=postgres to go on with that data, or create the database to begin anew"
            )
        case "28P01" | "28000":
            tls = ", which may ask for TLS (DB_SSL_MODE)" if address.ssl_mode is SslMode.DISABLE else ""
            return DatabaseRefusedError(
                f"{what} does not let role {address.user!r} in: check DB_USER and DB_PASSWORD, and the "
                f"server's pg_hba.conf{tls}"
            )
        case "42501":
            return DatabaseRefusedError(f"{what}: role {address.user!r} has no right to connect")
        case _ if _insists_on_tls(address):
            return DatabaseUnreachableError(
                f"{what} cannot be reached over TLS: it is away, has TLS switched off, or is not to be had "
                f"with DB_SSL_MODE={address.ssl_mode} and DB_SSL_ROOT_CERT_FILE as they are"
            )
        case _:
            return DatabaseUnreachableError(f"{what} cannot be reached")


def certificate_refused(reason: str, address: DatabaseAddress) -> DatabaseRefusedError:
    """Say that the server at *address* is not taken for the one that we want.

    Args:
        reason: What OpenSSL has against its certificate.
        address: Where we knocked.
    """
    return DatabaseRefusedError(
        f"database {address.name!r} on {address.host}:{address.port} is not trusted, for its certificate "
        f"does not hold ({reason}): check that DB_HOST is a name in the certificate, and that "
        "DB_SSL_ROOT_CERT_FILE holds the authority that issued it"
    )


def _insists_on_tls(address: DatabaseAddress) -> bool:
    return address.ssl_mode not in {SslMode.DISABLE, SslMode.PREFER} and not address.host.startswith("/")
