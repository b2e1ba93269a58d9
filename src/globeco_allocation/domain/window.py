"""Batch windows: which execution belongs to which batch.

An execution belongs to the batch whose window holds its ready stamp. Stamps and starts are given under one
lock, shared for creators and exclusive for senders, by the database's clock; the two functions here say how.
With them every kept execution is in exactly one window, whatever the interleaving and whatever the clock does
(design, "Windows").
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

TICK = timedelta(microseconds=1)
"""The smallest step that the database's timestamps can show."""

FIRST_START = datetime(1900, 1, 2, tzinfo=UTC)
"""Start time of the first ``batch_history`` row, which every database begins with."""

BEFORE_FIRST_START = datetime(1900, 1, 1, tzinfo=UTC)
"""Previous start time of that first row."""


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open span ``[previous_start, start)`` of one batch; windows that meet share no execution.

    Raises:
        ValueError: an end has no UTC offset, or the span is empty or backward.
    """

    previous_start: datetime
    start: datetime

    def __post_init__(self) -> None:
        if self.previous_start.utcoffset() is None or self.start.utcoffset() is None:
            raise ValueError(f"a window needs instants with a UTC offset: {self}")
        if not self.previous_start < self.start:
            raise ValueError(f"a window must end after it starts: {self}")

    def __contains__(self, ready: datetime) -> bool:
        """Tell whether an execution that became ready at *ready* belongs to this batch.

        >>> from datetime import timedelta
        >>> window = Window(BEFORE_FIRST_START, FIRST_START)
        >>> FIRST_START in window, BEFORE_FIRST_START in window
        (False, True)
        """
        return self.previous_start <= ready < self.start


def ready_stamp(clock: datetime, last_start: datetime) -> datetime:
    """Return the stamp of executions kept now; to be called with the shared lock held.

    A clock that stepped back must not put an execution into a window that was claimed already.
    """
    return max(clock, last_start)


def next_start(clock: datetime, last_start: datetime, newest_ready: datetime | None) -> datetime:
    """Return the start time of a batch claimed now; to be called with the exclusive lock held.

    It lies above the last start and above every stamp given so far: all of those are in this window or an
    earlier one, and every later stamp is at or above it.
    """
    least: Iterable[datetime] = (last_start,) if newest_ready is None else (last_start, newest_ready)
    return max(clock, max(least) + TICK)
