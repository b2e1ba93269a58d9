"""Where the database is, and who we are there."""

from dataclasses import dataclass, field
from enum import StrEnum


class Pooler(StrEnum):
    """What stands at the address, before the server.

    Attributes:
        NONE: Nothing that matters: a connection is a session of ours.
        TRANSACTION: Something that lends a session for one transaction, as PgBouncer does in that mode.
    """

    NONE = "none"
    TRANSACTION = "transaction"


class SslMode(StrEnum):
    """How a connection over TCP is protected; the words and what they mean are libpq's.

    A unix socket never has TLS, whatever is asked for.

    Attributes:
        DISABLE: Never by TLS.
        PREFER: By TLS where the server has it, whoever the server is; it protects from no attacker.
        REQUIRE: By TLS, whoever the server is; where a root certificate is named, as `VERIFY_CA`.
        VERIFY_CA: And the server's certificate comes from that root.
        VERIFY_FULL: And it is for the host that we asked for.
    """

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"

    @property
    def verifies(self) -> bool:
        """Whether it takes a root certificate to be judged by."""
        return self in {SslMode.VERIFY_CA, SslMode.VERIFY_FULL}


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """How to reach the database.

    Attributes:
        host: A name, an address, or the absolute path of a directory with a unix socket.
        port: TCP port, or the number in the socket's name.
        name: The database.
        user: The role.
        password: Empty for none; never shown.
        pooler: What stands there before the server.
        ssl_mode: How the connection is protected.
        ssl_root_cert: The path of a PEM file with the authorities that the server's certificate may come
            from; empty for none. It is read anew for each connection.
    """

    host: str
    port: int
    name: str
    user: str
    password: str = field(default="", repr=False)
    pooler: Pooler = Pooler.NONE
    ssl_mode: SslMode = SslMode.PREFER
    ssl_root_cert: str = ""
