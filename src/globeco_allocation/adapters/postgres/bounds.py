"""How long anything may wait for the database, and how the server is told."""

from dataclasses import dataclass

from globeco_allocation.adapters.postgres.address import Pooler


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long anything may wait for the database, in seconds.

    Attributes:
        acquire: For a connection: a free one, or a new one.
        statement: For one statement's answer.
        lock: For another transaction's lock (design, "Windows").
        idle: Within a transaction, for us: a paused process stalls nobody for longer (design, "Windows").
        stream_statement: For one portion of a stream or a copy; the first one may read the whole window.
        stream_idle: Between two portions of a stream, while they are written to disk. It holds no lock.
        close: For connections in use, when the pool is closed; then they are cut off.
    """

    acquire: float = 3
    statement: float = 5
    lock: float = 2
    idle: float = 5
    stream_statement: float = 60
    stream_idle: float = 300
    close: float = 5


def session_settings(
    bounds: Bounds, application_name: str = "globeco-allocation", pooler: Pooler = Pooler.NONE
) -> dict[str, str]:
    """Return the server's settings for a session that keeps to *bounds*, in UTC and READ COMMITTED.

    Behind a pooler they are those that it hands on; the others come with each transaction.
    """
    settings = {"application_name": application_name, "timezone": "UTC"}
    if pooler == Pooler.NONE:
        settings |= {"default_transaction_isolation": "read committed", **limits_of(bounds)}
    return settings


def limits_of(bounds: Bounds, *, statement: float | None = None, idle: float | None = None) -> dict[str, str]:
    """Return the server's settings for *bounds*, with another *statement* or *idle* where one is given."""
    return {
        "lock_timeout": _ms(bounds.lock),
        "statement_timeout": _ms(bounds.statement if statement is None else statement),
        "idle_in_transaction_session_timeout": _ms(bounds.idle if idle is None else idle),
    }


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def client_bound(seconds: float) -> float:
    """Return how long we wait for what the server bounds by *seconds*, in seconds."""
    return seconds + 1  # the server's own comes first: it ends the statement and keeps the connection
