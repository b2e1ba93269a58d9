"""What came in and what went out lately, in stretches of time: for people who look at a chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Delivered:
    """What happened to files in one stretch of time.

    Attributes:
        batches: Batches whose files were planned in it.
        booked: Records booked by then, of the files whose newest attempt ended in it.
        rejected: Records of these files that a person must look at.
        unknown: Records of these files of which neither is known.
    """

    batches: int = 0
    booked: int = 0
    rejected: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Stretches:
    """Equal stretches of time, from a beginning up to an end.

    Attributes:
        since: The first one's beginning: a whole number of widths after 1970 began in UTC.
        until: Where the last one ends, not in it.
        width: How long each is.
    """

    since: datetime
    until: datetime
    width: timedelta

    def start_of(self, instant: datetime) -> datetime:
        """Return when the stretch began that holds an instant.

        >>> quarter = timedelta(minutes=15)
        >>> day = Stretches(datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC), quarter)
        >>> day.start_of(datetime(2026, 3, 2, 14, 44, 59, tzinfo=UTC)).isoformat()
        '2026-03-02T14:30:00+00:00'
        """
        return instant.astimezone(UTC) - (instant - datetime.fromtimestamp(0, UTC)) % self.width

    def starts(self) -> list[datetime]:
        """Return when each began, oldest first."""
        count = -((self.since - self.until) // self.width)
        return [self.since + number * self.width for number in range(count)]


class Activity(Protocol):
    """Counts by stretch of time; every method may raise `StoreUnavailableError`.

    Its work is bounded by what is said to be counted at *most*, however much there is.
    """

    async def became_ready(self, stretches: Stretches, *, most: int) -> Mapping[datetime, int]:
        """Count the executions whose ready stamps lie in the stretches, by a stretch's beginning.

        Those with the newest stamps are counted, up to *most*: where that many were, the oldest stretch among
        the answers may hold more, and those before it were not looked at. One without any is left out.
        """
        ...

    async def delivered(self, stretches: Stretches, *, most: int) -> Mapping[datetime, Delivered]:
        """Sum up the newest files, up to *most* of them, by a stretch's beginning; see `became_ready`.

        A file counts as the last attempt on it ended; one that was sent again has moved there.
        """
        ...

    async def troubled(self, *, batches: int, most: int) -> Sequence[int]:
        """Return the newest *batches* of those with a file that has failed or is partial, newest first.

        Up to *most* such files are looked at: those whose last attempts ended last.
        """
        ...
