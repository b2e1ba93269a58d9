"""A delivery: one transaction file on its way to Portfolio Accounting, and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DeliveryStatus(StrEnum):
    """How far a delivery is (design, "Delivery").

    ``claimed -> written -> delivering -> delivered | partial | failed``
    """

    CLAIMED = "claimed"
    WRITTEN = "written"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    PARTIAL = "partial"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether the delivery has its outcome."""
        return self in {DeliveryStatus.DELIVERED, DeliveryStatus.PARTIAL, DeliveryStatus.FAILED}

    @property
    def follows(self) -> "frozenset[DeliveryStatus]":
        """The statuses from which a delivery may come to this one.

        >>> sorted(DeliveryStatus.DELIVERING.follows)
        [<DeliveryStatus.FAILED: 'failed'>, <DeliveryStatus.WRITTEN: 'written'>]
        """
        match self:
            case DeliveryStatus.CLAIMED:
                return frozenset()
            case DeliveryStatus.WRITTEN:
                return frozenset({DeliveryStatus.CLAIMED})
            case DeliveryStatus.DELIVERING:
                return frozenset({DeliveryStatus.WRITTEN, DeliveryStatus.FAILED})
            case DeliveryStatus.DELIVERED | DeliveryStatus.PARTIAL | DeliveryStatus.FAILED:
                return frozenset({DeliveryStatus.DELIVERING})


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A transaction file that stands whole under its name.

    Attributes:
        record_count: Executions in it, the header not counted.
        byte_count: Its size.
        checksum: SHA-256 of its bytes, in hex.
    """

    record_count: int
    byte_count: int
    checksum: str


class RecordVerdict(StrEnum):
    """What became of one record of a run."""

    ACCEPTED = "accepted"
    """Booked by this run."""
    REFUSED = "refused"
    """Refused for good and not stored: a data fault. Sending again is of no use."""
    NOT_BOOKED = "not_booked"
    """Stored without its balances: a person must look. Sending again is of no use."""
    DUPLICATE = "duplicate"
    """Portfolio Accounting has a row under this source id already."""
    NOT_SENT = "not_sent"
    """Not stored, for a passing reason: send again."""
    UNKNOWN = "unknown"
    """It may be booked or not: send again."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that was not accepted, with Portfolio Accounting's words.

    Attributes:
        source_id: ``AC`` and our id; empty where the CLI's error file does not name it.
        verdict: Never ``ACCEPTED``.
        reason: The words, shortened.
    """

    source_id: str
    verdict: RecordVerdict
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt to deliver a file ended.

    Attributes:
        status: ``DELIVERED``, ``PARTIAL`` or ``FAILED``.
        accepted_count: Records booked.
        rejected_count: Records refused for good, or stored without booking.
        unknown_count: Records of which neither is known; they make the delivery ``FAILED``.
        exit_code: The CLI's; None when it was killed by us or never started.
        error: Why it is not ``DELIVERED``, for a person; empty otherwise.
    """

    status: DeliveryStatus
    accepted_count: int
    rejected_count: int
    unknown_count: int
    exit_code: int | None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One transaction file of a batch.

    Attributes:
        id: Ours.
        batch_id: The batch it belongs to.
        file_name: Bare, unique for ever.
        status: How far it is.
        file: What was written, once it is.
        attempts: Runs of the CLI that were begun.
        outcome: What came of the last attempt, once it ended.
        error: Why it is no further, or not ``delivered``; empty when nothing is wrong.
        created: When it was recorded (UTC).
    """

    id: int
    batch_id: int
    file_name: str
    status: DeliveryStatus
    file: WrittenFile | None
    attempts: int
    outcome: Outcome | None
    error: str = ""
    created: datetime
