"""What is not at its end yet: what waits to be sent, what is on its way, and what a person must settle."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from globeco_allocation.domain.delivery import DeliveryStatus

MOST_COUNTED = 100_000
"""Of one kind no more are counted: from there on the exact number matters less than the time it takes."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much of one kind waits.

    Attributes:
        count: How many; `MOST_COUNTED` means that many or more.
        oldest: Since when the first of them waits (UTC); None: nothing does.
        records: Of deliveries: the executions in those that are open; in those that ended, the records that a
            person must look at. Otherwise 0.
    """

    count: int = 0
    oldest: datetime | None = None
    records: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """What is not at its end, at one moment; executions that are pending are not among `executions`.

    Attributes:
        seen: That moment, by the database's clock (UTC).
        executions: Ready to be sent and in no batch's window yet, since they became ready.
        pending: Waiting for their portfolio, since they were deferred.
        in_error: Pending ones that the service gave up, since they were deferred: a person must look.
        batches: Claimed, their files not all written, since the claim.
        deliveries: By status. ``claimed``, ``written`` and ``delivering`` are open, since their batch's files
            were planned (sent again or not). ``failed`` and ``partial``, since their last attempt ended, are
            those that nobody resolved or sent again: a person must look.
        stopped: Since when all delivery is stopped (UTC); None: it is not.
    """

    seen: datetime
    executions: Waiting
    pending: Waiting
    in_error: Waiting
    batches: Waiting
    deliveries: Mapping[DeliveryStatus, Waiting]
    stopped: datetime | None

    @property
    def open_deliveries(self) -> Waiting:
        """The deliveries that are on their way, of whatever status."""
        return _together(one for status, one in self.deliveries.items() if not status.ended)

    @property
    def unresolved_deliveries(self) -> Waiting:
        """The deliveries that a person must resolve or send again."""
        return _together(one for status, one in self.deliveries.items() if status.ended)


def _together(those: Iterable[Waiting]) -> Waiting:
    waiting = tuple(those)
    return Waiting(
        sum(one.count for one in waiting),
        min((one.oldest for one in waiting if one.oldest is not None), default=None),
        sum(one.records for one in waiting),
    )
