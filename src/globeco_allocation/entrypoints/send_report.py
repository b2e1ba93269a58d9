"""What a sender is told of a batch (design, "Send")."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum
from typing import Final

from globeco_allocation.domain.accounting_run import RunOrder
from globeco_allocation.domain.batch import Batch
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, DeliveryStop

NO_CLI: Final = "none"
"""The execution mode in which files are written and nothing is run on them."""

SUBPROCESS: Final = "subprocess"
"""The execution mode in which the accounting CLI is a process of this machine."""

KUBERNETES: Final = "kubernetes"
"""The execution mode in which the accounting CLI is a Kubernetes Job."""

EMPTY: Final = "empty"
"""The status of a batch that holds nothing."""

NOTHING_TO_SEND = "Nothing to send: no execution became ready since the last batch."

_NOT_ENDED = {
    DeliveryStatus.CLAIMED: "The batch is claimed and its files are being written.",
    DeliveryStatus.WRITTEN: "The file is written and waits for its accounting run; earlier batches go first.",
    DeliveryStatus.DELIVERING: "The accounting run is under way.",
}

_OUTDATED = "The database cannot be asked just now: it may be further than that."
_STOPPED = "All delivery is stopped until an operator decides (globeco-allocation batches resolve)"
_MOST_REASONS = 3

_FIRST_COUNTS = (
    DeliveryStatus.CLAIMED,
    DeliveryStatus.WRITTEN,
    DeliveryStatus.DELIVERING,
    DeliveryStatus.FAILED,
    DeliveryStatus.PARTIAL,
    DeliveryStatus.RESOLVED,
    DeliveryStatus.DELIVERED,
)


class SendStatus(StrEnum):
    """How a batch fares: the worst of its deliveries."""

    SUCCESS = "success"
    PARTIAL = "partial"
    PROCESSING = "processing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BatchState:
    """How far a batch is.

    Attributes:
        batch: The batch.
        deliveries: Its deliveries by ascending id.
        stop: Why nothing is delivered anywhere; None if something is.
        hindrance: Why this process writes and delivers nothing now; empty if it does.
        outdated: Whether it may be further by now, for the database could not be asked.
    """

    batch: Batch
    deliveries: Sequence[Delivery] = ()
    stop: DeliveryStop | None = None
    hindrance: str = ""
    outdated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SendReport:
    """What can be said of a send when its caller has waited long enough.

    Attributes:
        status: ``PROCESSING`` while it goes on, and where no CLI is set.
        message: For a person.
        batch_id: The claimed batch.
        processed_count: Executions in the batch's files.
        file_name: The first file's bare name; empty when there is none.
        execution_mode: How the accounting CLI is run, `NO_CLI` if it is not.
        job_name: Of the first file's last attempt, where the CLI is a Kubernetes Job.
        job_status: How that Job fares, as far as it was seen.
    """

    status: SendStatus
    message: str
    batch_id: int
    processed_count: int
    file_name: str
    execution_mode: str
    job_name: str = ""
    job_status: str = ""


def is_at_rest(state: BatchState, execution_mode: str) -> bool:
    """Tell whether waiting longer would show nothing new soon.

    Every file has an outcome, or its attempt has failed and the next one is due later, or it cannot be
    delivered for now.
    """
    if not state.deliveries:
        return state.batch.prepared
    return all(_rests(one, state, execution_mode) for one in state.deliveries)


def report_on(state: BatchState, execution_mode: str) -> SendReport:
    """Sum up how far a batch is."""
    deliveries = state.deliveries
    status = _status(state)
    message = _message(status, state, execution_mode)
    first = deliveries[0] if deliveries else None
    job = first if first is not None and execution_mode == KUBERNETES and first.attempts else None
    return SendReport(
        status=status,
        message=f"{message} {_OUTDATED}" if state.outdated else message,
        batch_id=state.batch.id,
        processed_count=sum(one.record_count for one in deliveries),
        file_name=first.file_name if first else "",
        execution_mode=execution_mode,
        job_name=_job_name(job) if job else "",
        job_status=_job_status(job) if job else "",
    )


def batch_status(batch: Batch, deliveries: Sequence[Delivery]) -> str:
    """Return how a batch is: as its least advanced file while one goes on, then as the worst of them.

    ``claimed`` before its files are planned, ``empty`` when it has none.
    """
    if not deliveries:
        return EMPTY if batch.prepared else DeliveryStatus.CLAIMED.value
    return min((one.status for one in deliveries), key=_FIRST_COUNTS.index).value


def has_failed(delivery: Delivery) -> bool:
    """Tell whether the last step of a delivery failed, be it tried again or not."""
    if delivery.status is DeliveryStatus.FAILED:
        return True
    if delivery.status is DeliveryStatus.CLAIMED:
        return bool(delivery.error)  # its file could not be written
    return waits_for_another_attempt(delivery)


def waits_for_another_attempt(delivery: Delivery) -> bool:
    """Tell whether an attempt has failed and the next one is due later."""
    return delivery.status is DeliveryStatus.DELIVERING and not delivery.under_way and not delivery.confirming


def _rests(delivery: Delivery, state: BatchState, execution_mode: str) -> bool:
    if delivery.status.ended or has_failed(delivery):
        return True
    if delivery.status is DeliveryStatus.CLAIMED:  # all files are written in one go
        return any(one.status is DeliveryStatus.CLAIMED and one.error for one in state.deliveries)
    waits = delivery.status is DeliveryStatus.WRITTEN
    return waits and (execution_mode == NO_CLI or state.stop is not None)


def _status(state: BatchState) -> SendStatus:
    deliveries = state.deliveries
    if any(has_failed(one) for one in deliveries):
        return SendStatus.FAILED
    if any(not one.status.ended for one in deliveries) or not (deliveries or state.batch.prepared):
        return SendStatus.PROCESSING
    if any(one.status is DeliveryStatus.PARTIAL for one in deliveries):
        return SendStatus.PARTIAL
    return SendStatus.SUCCESS


def _message(status: SendStatus, state: BatchState, execution_mode: str) -> str:
    deliveries = state.deliveries
    if not deliveries:
        return NOTHING_TO_SEND if state.batch.prepared else "The batch is claimed and waits for its turn."
    if status is SendStatus.SUCCESS:
        return _success(deliveries)
    if status is SendStatus.PROCESSING:
        return _processing(state, execution_mode)
    told = _reasons(deliveries)
    return f"{told}. {_what_follows(state)}" if status is SendStatus.FAILED else f"{told}."


def _reasons(deliveries: Sequence[Delivery]) -> str:
    """Tell what is wrong with a batch's deliveries: few words, however many there are."""
    reasons = list(dict.fromkeys(one.error for one in deliveries if one.error))
    told = "; ".join(reasons[:_MOST_REASONS]) or "Portfolio Accounting did not take every record"
    more = len(reasons) - _MOST_REASONS
    return told[:1].upper() + told[1:] + (f"; and {more} more, see the batch" if more > 0 else "")


def _success(deliveries: Sequence[Delivery]) -> str:
    if any(one.status is DeliveryStatus.RESOLVED for one in deliveries):
        return "Every record of the batch is booked or was settled by an operator."
    booked = sum(one.outcome.accepted_count for one in deliveries if one.outcome is not None)
    return f"Portfolio Accounting booked every record of the batch: {booked}."


def _processing(state: BatchState, execution_mode: str) -> str:
    delivery = next(one for one in state.deliveries if not one.status.ended)
    if delivery.status is DeliveryStatus.WRITTEN:
        if execution_mode == NO_CLI:
            return "The file is written and stays where it is: no accounting CLI is set (CLI_COMMAND)."
        if state.stop is not None:
            return f"The file is written. {_STOPPED}: {state.stop.reason}."
        if state.hindrance and not delivery.error:
            return f"The file is written. This replica delivers nothing for now: {state.hindrance}."
    if delivery.error:
        return f"{_NOT_ENDED[delivery.status]} It is held up for now: {delivery.error}."
    return _NOT_ENDED[delivery.status]


def _what_follows(state: BatchState) -> str:
    if state.stop is not None:
        return f"{_STOPPED}."
    waiting = [one for one in state.deliveries if has_failed(one) and not one.status.ended]
    if not waiting:
        return (
            "The service does not try it again by itself: send it again with "
            f"POST /api/v1/batches/{state.batch.id}/resend."
        )
    due = min((one.not_before for one in waiting if one.not_before is not None), default=None)
    if due is None:
        return "It is tried again in a moment."
    return f"It is tried again at {due.astimezone(UTC):%H:%M:%S} UTC."


def _job_name(delivery: Delivery) -> str:
    attempt = delivery.attempts
    return RunOrder(batch_id=delivery.batch_id, attempt=attempt, file_name=delivery.file_name).name


def _job_status(delivery: Delivery) -> str:
    if delivery.under_way:
        return "Running"
    if delivery.outcome is None:
        return ""
    return "Failed" if delivery.outcome.exit_code is None else "Complete"
