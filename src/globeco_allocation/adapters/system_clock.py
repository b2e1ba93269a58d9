"""The machine's clock."""

from datetime import UTC, datetime


class SystemClock:
    """The port `globeco_allocation.ports.clock.Clock` on the machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        return datetime.now(UTC)
