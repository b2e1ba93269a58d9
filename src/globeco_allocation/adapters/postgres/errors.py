"""Why the database cannot be used at all: for good, or for now."""

from globeco_allocation.adapters.postgres.address import DatabaseAddress
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
            return DatabaseRefusedError(
                f"{what} does not let role {address.user!r} in: check DB_USER and DB_PASSWORD, and the "
                "server's pg_hba.conf"
            )
        case "42501":
            return DatabaseRefusedError(f"{what}: role {address.user!r} has no right to connect")
        case _:
            return DatabaseUnreachableError(f"{what} cannot be reached")
