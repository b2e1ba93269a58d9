"""Where the database is, and who we are there."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """How to reach the database.

    Attributes:
        host: A name, an address, or the absolute path of a directory with a unix socket.
        port: TCP port, or the number in the socket's name.
        name: The database.
        user: The role.
        password: Empty for none; never shown.
    """

    host: str
    port: int
    name: str
    user: str
    password: str = field(default="", repr=False)
