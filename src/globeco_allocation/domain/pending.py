"""Pending executions: received, and waiting for their portfolio (design, "Deferral")."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from globeco_allocation.domain.execution import NewExecution

FIRST_PAUSE = timedelta(seconds=1)
"""After the first failed lookup in the background; it doubles with each further one."""

LONGEST_PAUSE = timedelta(seconds=5)
"""However many lookups failed: what waits is looked up soon after an outage."""


class PendingStatus(StrEnum):
    """Whether the service still looks for the portfolio, or a person must."""

    PENDING = "pending"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class PendingExecution:
    """An execution that was received, and is none yet for want of its portfolio.

    Attributes:
        execution: As it was reported first; a later report of the same id never replaces it.
        deferred: Since when it waits (UTC). It counts anew when an execution in error is tried again.
        attempts: How many lookups in the background have failed since then.
        next_attempt: Not before this instant is it looked up again (UTC).
        status: ``error`` is final until somebody asks again.
        reason: Why the last lookup failed, for a person.
    """

    execution: NewExecution
    deferred: datetime
    attempts: int
    next_attempt: datetime
    status: PendingStatus
    reason: str


@dataclass(frozen=True, slots=True)
class PendingCounts:
    """How many pending executions there are, by status."""

    pending: int
    error: int


def pause_after(failed_attempts: int) -> timedelta:
    """Return how long to wait after so many failed lookups in a row.

    >>> [pause_after(number).total_seconds() for number in (1, 2, 3, 4, 1_000_000)]
    [1.0, 2.0, 4.0, 5.0, 5.0]
    """
    doublings = min(failed_attempts - 1, 8)  # far beyond the longest pause, and no huge number
    return min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)
