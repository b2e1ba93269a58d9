"""What may watch the statements that go to the database, such as a tracer."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class WatchedStatement(Protocol):
    """A statement that is being watched."""

    def sent(self, callers: int) -> None:
        """Take note that it goes to the database now, together with those of other callers.

        Args:
            callers: How many share the round trip.
        """
        ...


Watch = Callable[[str], AbstractContextManager[WatchedStatement | None]]
"""Watches what is done with a statement, given as SQL without its arguments, within its context."""

_NOTHING = nullcontext()


def watched(watch: Watch | None, sql: str) -> AbstractContextManager[object]:
    """Return the context for a use of *sql*."""
    return _NOTHING if watch is None else watch(sql)
