"""Integers of callers and of columns."""

from globeco_allocation.domain.execution import LARGEST_ID


def int4(number: int) -> int:
    """Return an id or an attempt's number as its column can hold it.

    Returns:
        For one that no row can have: 0, which none has.
    """
    return number if 1 <= number <= LARGEST_ID else 0
