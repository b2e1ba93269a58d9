"""What came of each reported record: one receipt for each, in their order."""

from dataclasses import dataclass

STILL_OPEN = "execution is still open"
ALREADY_EXISTS = "execution already exists"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is no execution.

    Attributes:
        execution_service_id: As far as it could be read; else 0.
        message: What is wrong with it, naming the field.
    """

    execution_service_id: int
    message: str


@dataclass(frozen=True, slots=True)
class Created:
    """The execution is kept, under this id of ours."""

    execution_service_id: int
    execution_id: int


@dataclass(frozen=True, slots=True)
class Deferred:
    """The record is safe, and will be an execution once its portfolio is known (design, "Deferral").

    Attributes:
        execution_service_id: The record's.
        differing: The fields in which this report contradicts the one that waits; it is never overwritten.
    """

    execution_service_id: int
    differing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """The execution was not kept, and need not be.

    Attributes:
        execution_service_id: The record's.
        reason: `STILL_OPEN` or `ALREADY_EXISTS`.
        execution_id: Our id of the one that exists.
        differing: The fields in which this report contradicts the kept one; it is never overwritten.
    """

    execution_service_id: int
    reason: str
    execution_id: int | None = None
    differing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The execution was not kept; the message says why."""

    execution_service_id: int
    message: str


Receipt = Created | Deferred | Skipped | Failed
