"""How many connections are open, and which of them has to go when there is no room.

Whoever holds connections without using them must not keep others out. So there is always room for one more,
as long as we wait for the caller of one: for a request, for the rest of one, or until it takes its answer.
The one that has kept us waiting for the longest is closed. Only where we are at work for every single one,
new callers are turned away; then probes alone still get through, in a reserve.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import structlog

from globeco_allocation.entrypoints import logs

RESERVE: Final = 16
"""Connections beyond the limit, in which it is seen whether a probe comes."""

MOST_UNSENT_BYTES: Final = 8 * 1024 * 1024
"""Of answers that their callers do not take: so many are kept in memory, over all connections."""

MOST_HELD_BYTES: Final = 8 * 1024 * 1024
"""Of requests that have not been answered: so many at least are kept in memory, over all connections."""

_WARN_SECONDS = 10.0

_log: Any = structlog.get_logger("globeco_allocation.connections")


class Connection(Protocol):
    """One connection, as far as it matters here."""

    def waits_since(self) -> float | None:
        """Tell since when the service waits for the caller; None while it works on a request."""
        ...

    def held_bytes(self) -> int:
        """Tell how much of requests without an answer it has brought."""
        ...

    def unsent_bytes(self) -> int:
        """Tell how much of the answer the caller has not taken."""
        ...

    def close_for_room(self) -> None:
        """Hang up at once, whatever has not been sent."""
        ...


class OpenConnections:
    """The connections of one process.

    Args:
        most: How many may be open; `RESERVE` more are let in for probes.
        count: Told ``waiting``, ``refused`` or ``unsent`` for each connection that had to go.
        largest_request: In bytes; two of these find room at any time.
    """

    def __init__(self, most: int, count: Callable[[str], None], largest_request: int = 0) -> None:
        self._most = most
        self._most_held = max(MOST_HELD_BYTES, 2 * largest_request)
        self._held = 0
        self._count = count
        self._open: set[Connection] = set()
        self._stalled: dict[Connection, None] = {}  # the longest one first
        self._gone = 0
        self._warned = -_WARN_SECONDS

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def take(self, connection: Connection) -> bool:
        """Take a new connection; tell whether it is within the limit, and not in the reserve.

        Where even the reserve is used up, the connection is closed.
        """
        if (
            len(self._open) >= self._most
            and not self._make_room()
            and len(self._open) >= self._most + RESERVE
        ):
            self.turned_away("refused")
            connection.close_for_room()
            return True
        self._open.add(connection)
        return self.has_room()

    def has_room(self) -> bool:
        """Tell whether no more are open than may be."""
        return len(self._open) <= self._most

    def leave(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        if connection in self._open:
            self._open.discard(connection)
            self._held -= connection.held_bytes()
        self._stalled.pop(connection, None)

    def hold(self, size: int) -> bool:
        """Note that a connection has brought so many bytes, as it says itself; tell whether there is room.

        Beyond the bound for all, those go that keep us waiting for the rest of a request.
        """
        self._held += size
        return self._held <= self._most_held or self._relieve()

    def release(self, size: int) -> None:
        """Note that the requests of so many bytes are answered."""
        self._held -= size

    def stall(self, connection: Connection) -> None:
        """Note that the caller takes its answer slowly; beyond a bound for all, the slowest are cut off."""
        self._stalled[connection] = None
        unsent = sum(one.unsent_bytes() for one in self._stalled)
        while unsent > MOST_UNSENT_BYTES and len(self._stalled) > 1:
            slowest = next(iter(self._stalled))
            unsent -= slowest.unsent_bytes()
            self._drop(slowest, "unsent")

    def flow(self, connection: Connection) -> None:
        """Note that the caller has taken its answer."""
        self._stalled.pop(connection, None)

    def turned_away(self, why: str) -> None:
        """Count a connection that had to go, and say so now and then."""
        self._count(why)
        self._gone += 1
        now = time.monotonic()
        if now - self._warned >= _WARN_SECONDS:
            _log.warning(logs.CONNECTIONS_FULL, most=self._most, closed=self._gone)
            self._warned, self._gone = now, 0

    def _make_room(self) -> bool:
        return self._drop_longest(self._open)

    def _relieve(self) -> bool:
        while self._held > self._most_held:
            if not self._drop_longest([one for one in self._open if one.held_bytes()]):
                return False
        return True

    def _drop_longest(self, some: Iterable[Connection]) -> bool:
        """Close the one of *some* that has kept us waiting for the longest, if any has."""
        waiting = [(since, id(one), one) for one in some if (since := one.waits_since()) is not None]
        if waiting:
            self._drop(min(waiting)[2], "waiting")
        return bool(waiting)

    def _drop(self, connection: Connection, why: str) -> None:
        self.leave(connection)
        self.turned_away(why)
        connection.close_for_room()
