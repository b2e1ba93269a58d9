"""A clock that stands still until it is set."""

from datetime import UTC, datetime, timedelta

from globeco_allocation.domain.instant import to_instant

_FIRST_READING = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


class MemoryClock:
    """A settable clock; it may step backwards, as clocks do.

    Args:
        reading: What it shows first, aware.
    """

    def __init__(self, reading: datetime = _FIRST_READING) -> None:
        self._reading = to_instant(reading)

    def now(self) -> datetime:
        """Return what the clock shows (UTC)."""
        return self._reading

    def step(self, by: timedelta) -> None:
        """Move the clock forward, or backward by a negative step."""
        self._reading = to_instant(self._reading + by)
