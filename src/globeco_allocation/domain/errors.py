"""What can go wrong, in the words of the domain.

Every message says what happened, to what, and what to do; none holds text of a driver, a path or a query, so
that it may be shown to a caller.
"""

from dataclasses import dataclass


class AllocationError(Exception):
    """The root of every error that this package raises on purpose."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with one field of a record.

    Attributes:
        field: The field's name in snake case, such as ``average_price``.
        reason: What is wrong, to be read after the name: ``must be greater than 0``.
    """

    field: str
    reason: str


class InvalidExecutionError(AllocationError):
    """A reported execution breaks a rule; nothing of it was kept.

    Attributes:
        faults: Every fault found, in the order of the fields; never empty.
    """

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(f"{fault.field} {fault.reason}" for fault in faults))
        self.faults = faults


class LookupFailedError(AllocationError):
    """The Trade Service named no portfolio for an execution.

    Attributes:
        passing: True when asking again later may help (no connection, no answer in time, a fault or overload
            over there, an execution not known yet, an open circuit breaker); False when the answer itself
            cannot be used.
    """

    def __init__(self, message: str, *, passing: bool) -> None:
        super().__init__(message)
        self.passing = passing


class StoreUnavailableError(AllocationError):
    """The database did not answer in time, or not at all.

    What was asked for may have happened all the same: ask again. Keeping an execution twice changes nothing.
    """


class WindowTakenError(AllocationError):
    """Another sender claimed the window that starts at the same last start time."""


class DeliveryStepError(AllocationError):
    """A delivery was asked to take a step that its status does not allow; it stays as it is."""


class LeaseLostError(AllocationError):
    """The lease under which something was to be written has passed to another holder; nothing was written."""


class FileNotWrittenError(AllocationError):
    """A transaction file could not be written whole; no part of it stands under its name."""


class CliNotStartedError(AllocationError):
    """The accounting CLI could not be started: nothing was sent to Portfolio Accounting."""


class RunNotFollowedError(AllocationError):
    """A run of the accounting CLI cannot be followed for now: it may or may not have been started.

    To be asked for again with the same order.
    """
