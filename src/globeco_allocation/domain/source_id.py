"""The id under which Portfolio Accounting knows an execution of ours."""

import re

from globeco_allocation.domain.execution import LARGEST_ID

_PREFIX = "AC"
_SOURCE_ID = re.compile(rf"{_PREFIX}([1-9][0-9]{{0,9}})")


def source_id(execution_id: int) -> str:
    """Return ``AC`` and the execution's id (specification, "Portfolio Accounting File Format").

    >>> source_id(4711)
    'AC4711'
    """
    return f"{_PREFIX}{execution_id}"


def execution_id_of(source: str) -> int | None:
    """Return the execution id that *source* was made of, or None when it is none of ours.

    >>> execution_id_of("AC4711"), execution_id_of("AC007"), execution_id_of("XY1")
    (4711, None, None)
    """
    match = _SOURCE_ID.fullmatch(source)
    execution_id = int(match[1]) if match else 0
    return execution_id if 1 <= execution_id <= LARGEST_ID else None
