"""The time of day."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time where the database's clock does not rule."""

    def now(self) -> datetime:
        """Return the present instant, aware and in UTC."""
        ...
