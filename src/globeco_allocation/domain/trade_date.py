"""The trade date: the calendar date in New York at which an execution was sent.

Source of the rule: specification, answer 8 (US Eastern Time Zone).
"""

from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo


@cache
def _new_york() -> ZoneInfo:
    """Load the zone on first use, not at import: it reads a file."""
    return ZoneInfo("America/New_York")


def trade_date(sent: datetime) -> date:
    """Return the date in New York at the aware instant *sent*.

    Raises:
        ValueError: *sent* has no UTC offset.

    >>> from datetime import datetime, UTC
    >>> trade_date(datetime(2025, 6, 3, 3, 59, 59, tzinfo=UTC))
    datetime.date(2025, 6, 2)
    >>> trade_date(datetime(2025, 6, 3, 4, 0, 0, tzinfo=UTC))
    datetime.date(2025, 6, 3)
    """
    if sent.utcoffset() is None:
        raise ValueError("a trade date needs an instant with a UTC offset")
    return sent.astimezone(_new_york()).date()
