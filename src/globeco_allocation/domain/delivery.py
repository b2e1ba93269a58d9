"""A delivery: one transaction file on its way to Portfolio Accounting, and what came of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from globeco_allocation.domain.trace_context import NO_TRACE, TraceContext


class DeliveryStatus(StrEnum):
    """How far a delivery is (design, "Delivery").

    ``claimed -> written -> delivering -> delivered | partial | failed``; an operator makes one ``resolved``.
    One that waits for another attempt is ``delivering``: it holds its lane.
    """

    CLAIMED = "claimed"
    WRITTEN = "written"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    PARTIAL = "partial"
    FAILED = "failed"
    RESOLVED = "resolved"

    @property
    def ended(self) -> bool:
        """Whether the delivery has its outcome, and its lane is free for the next one."""
        return self not in {DeliveryStatus.CLAIMED, DeliveryStatus.WRITTEN, DeliveryStatus.DELIVERING}

    @property
    def follows(self) -> "frozenset[DeliveryStatus]":
        """The statuses from which a delivery may come to this one.

        >>> sorted(status.value for status in DeliveryStatus.WRITTEN.follows)
        ['claimed', 'failed', 'partial']
        """
        match self:
            case DeliveryStatus.CLAIMED:
                return frozenset()
            case DeliveryStatus.WRITTEN:  # failed, partial: a resend
                return frozenset({DeliveryStatus.CLAIMED, DeliveryStatus.FAILED, DeliveryStatus.PARTIAL})
            case DeliveryStatus.DELIVERING:
                return frozenset({DeliveryStatus.WRITTEN, DeliveryStatus.DELIVERING})
            case DeliveryStatus.DELIVERED | DeliveryStatus.PARTIAL:
                return frozenset({DeliveryStatus.DELIVERING})
            case DeliveryStatus.FAILED:
                return frozenset({DeliveryStatus.DELIVERING})
            case DeliveryStatus.RESOLVED:
                return frozenset(DeliveryStatus) - {DeliveryStatus.DELIVERED, DeliveryStatus.RESOLVED}


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file that a batch will have.

    Attributes:
        lane: From 0.
        part: Its place among the lane's files, from 0.
        file_name: Bare, unique for ever.
        record_count: Executions that will be in it.
    """

    lane: int
    part: int
    file_name: str
    record_count: int


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A transaction file that stands whole under its name.

    Attributes:
        record_count: Executions in it, the header not counted.
        byte_count: Its size.
        checksum: SHA-256 of its bytes, in hex.
        first_id: The smallest id of an execution in it.
        last_id: The largest.
    """

    record_count: int
    byte_count: int
    checksum: str
    first_id: int
    last_id: int


class RecordVerdict(StrEnum):
    """What is known of one record after an attempt, and all attempts before it."""

    ACCEPTED = "accepted"
    """Booked, by this attempt or an earlier one."""
    REFUSED = "refused"
    """Refused for good and not stored: a data fault. Sending again is of no use."""
    NOT_BOOKED = "not_booked"
    """Stored without its balances: a person must look. Sending again is of no use."""
    UNCONFIRMED = "unconfirmed"
    """Stored, but perhaps not booked: it was in flight when a run was cut off. A person must look."""
    DUPLICATE = "duplicate"
    """Refused as known, though we never had it stored: a foreign row stands under our source id."""
    NOT_SENT = "not_sent"
    """Not stored by any attempt, unless by one that was cut off, for a passing reason: send again."""
    UNKNOWN = "unknown"
    """It may be stored or not: send again."""

    @property
    def for_good(self) -> bool:
        """Whether sending again can change nothing."""
        return self not in {RecordVerdict.NOT_SENT, RecordVerdict.UNKNOWN}


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
        rejected_count: Records that a person must look at: refused for good, stored without being booked,
            unconfirmed, or foreign under our source id.
        unknown_count: Records of which neither is known; they make the attempt ``FAILED``.
        exit_code: The CLI's; None where it was not had.
        error: Why it is not ``DELIVERED``, for a person; empty otherwise.
    """

    status: DeliveryStatus
    accepted_count: int
    rejected_count: int
    unknown_count: int
    exit_code: int | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the attempts so far tell about the file's records, besides the rejects that were recorded.

    Attributes:
        attempt: The newest attempt whose rejects tell: a record among them as ``REFUSED``, ``NOT_SENT`` or
            ``DUPLICATE`` was never stored by us, unless by a run that was cut off; every other one may have
            been. 0: none was ever stored.
        cut_offs: Runs that were cut off and are not cleared up yet: each may have stored the file's first
            records up to one that nobody knows, which this attempt did not find booked.
    """

    attempt: int = 0
    cut_offs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What is recorded when an attempt has ended.

    Attributes:
        outcome: How it ended.
        knowledge: What is known of the records from now on.
        retry_in: When the next attempt is due, from now; None when there is none: the outcome is the
            delivery's.
        tries: Attempts that count against the limit, this one included if it does.
        confirming: Whether the next attempt is only to confirm that all was booked.
        collision: Foreign rows stand under our source ids: all delivery stops until an operator decides.
    """

    outcome: Outcome
    knowledge: Knowledge
    retry_in: timedelta | None = None
    tries: int
    confirming: bool = False
    collision: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One transaction file of a batch.

    Attributes:
        id: Ours.
        batch_id: The batch it belongs to.
        lane: Its lane.
        lane_count: How many lanes its batch has.
        part: Its place among the files of its batch and lane.
        file_name: Bare, unique for ever.
        status: How far it is.
        record_count: Executions in its file, written or planned.
        file: What was written, once it is.
        attempts: Attempts that were begun.
        under_way: Whether the last of them has no outcome yet: its run is to be found or started.
        tries: Attempts since the last resend that count against the limit.
        confirming: Whether the next attempt is only to confirm that all was booked.
        not_before: When it may be worked on again; None: now.
        run_uid: What the runner noted of the attempt under way; empty if it did not.
        outcome: What came of the last attempt, once it ended.
        knowledge: What the attempts so far tell about the records.
        error: Why it is no further, or not ``delivered``; empty when nothing is wrong.
        requested_by: Who asked for the batch or the resend, such as a correlation id.
        trace: The place in a trace from which they did.
        created: When it was recorded (UTC).
        written: When its file was; None before that.
        started: When the last attempt was begun.
        ended: When the last attempt ended.
    """

    id: int
    batch_id: int
    lane: int = 0
    lane_count: int = 1
    part: int = 0
    file_name: str
    status: DeliveryStatus
    record_count: int
    file: WrittenFile | None = None
    attempts: int = 0
    under_way: bool = False
    tries: int = 0
    confirming: bool = False
    not_before: datetime | None = None
    run_uid: str = ""
    outcome: Outcome | None = None
    knowledge: Knowledge = Knowledge()
    error: str = ""
    requested_by: str = ""
    trace: TraceContext = NO_TRACE
    created: datetime
    written: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def attempt(self) -> int:
        """The number of the attempt under way, or else of the next one."""
        return self.attempts if self.under_way else self.attempts + 1


@dataclass(frozen=True, slots=True)
class DeliveryStop:
    """Why nothing is delivered anywhere until an operator decides (design, "Verdicts").

    Attributes:
        delivery_id: In which foreign rows were found.
        batch_id: Its batch.
        reason: For a person.
        since: From when on (UTC).
    """

    delivery_id: int
    batch_id: int
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Resolution:
    """What an operator settled by hand.

    Attributes:
        delivery_id: The delivery, or the one of the record.
        source_id: The record; empty for the whole delivery.
        reason: The operator's words.
        resolved_by: Who did it.
        resolved: When (UTC).
    """

    delivery_id: int
    source_id: str
    reason: str
    resolved_by: str
    resolved: datetime
