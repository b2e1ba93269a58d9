"""Instants: aware, in UTC, to the microsecond."""

import re
from datetime import UTC, datetime

# Hours and offsets are bounded here: fromisoformat takes +00:99 for +01:39, and from Python 3.14 on 24:00.
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)

# In these years some zone's calendar, or the database's, has no day for the instant.
FIRST_YEAR, LAST_YEAR = 2, 9998


def to_instant(moment: datetime) -> datetime:
    """Express an aware *moment* in UTC.

    Raises:
        ValueError: *moment* has no UTC offset, or lies in year 1 or 9999, which not every zone can express
            (design, "Trade date").
    """
    if moment.tzinfo is UTC and FIRST_YEAR <= moment.year <= LAST_YEAR:
        return moment
    if moment.utcoffset() is None:
        raise ValueError("must have a UTC offset")
    try:
        instant = moment.astimezone(UTC)
    except OverflowError:
        instant = None
    if instant is None or not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise ValueError(f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}")
    return instant


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 timestamp; digits past the microsecond are cut off, never rounded.

    Rounding would move ``23:59:59.9999999`` to the next day, and with it a trade date.

    Raises:
        ValueError: *text* is no RFC 3339 timestamp with an offset, or no zone can express it. The text is a
            reason to be read after a field's name.

    >>> parse_instant("2025-06-03T03:59:59.9999999Z").isoformat()
    '2025-06-03T03:59:59.999999+00:00'
    >>> parse_instant("2025-06-02T23:59:59-04:00").isoformat()
    '2025-06-03T03:59:59+00:00'
    """
    if _RFC_3339.fullmatch(text) is None:
        raise ValueError("must be an RFC 3339 timestamp such as 2025-06-02T14:00:01Z")
    try:
        moment = datetime.fromisoformat(text.upper())  # which cuts off what it cannot keep
    except ValueError:
        raise ValueError("must name a day and a time that exist") from None
    return to_instant(moment)
