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
    """

    host: str
    port: int
    name: str
    user: str
    password: str = field(default="", repr=False)
    pooler: Pooler = Pooler.NONE
