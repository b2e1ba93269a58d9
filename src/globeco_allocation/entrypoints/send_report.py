"""What a sender is told of a batch (design, "Send")."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from globeco_allocation.domain.delivery import Delivery, DeliveryStatus

NO_CLI: Final = "none"
"""The execution mode in which files are written and nothing is run on them."""

NOTHING_TO_SEND = "Nothing to send: no execution became ready since the last batch."
NOT_TRIED_AGAIN = "The service does not try it again by itself."

_NOT_ENDED = {
    DeliveryStatus.CLAIMED: "The batch is claimed and its file is being written.",
    DeliveryStatus.WRITTEN: "The file is written and waits for its accounting run.",
    DeliveryStatus.DELIVERING: "The accounting run is under way.",
}


class SendStatus(StrEnum):
    """How a batch fares: the worst of its deliveries."""

    SUCCESS = "success"
    PARTIAL = "partial"
    PROCESSING = "processing"
    FAILED = "failed"


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
    """

    status: SendStatus
    message: str
    batch_id: int
    processed_count: int
    file_name: str
    execution_mode: str


def report_on(
    batch_id: int, deliveries: Sequence[Delivery], execution_mode: str, *, over: bool, fault: str = ""
) -> SendReport:
    """Sum up how far a batch is.

    Args:
        batch_id: The batch.
        deliveries: Its deliveries by ascending id.
        execution_mode: How the accounting CLI is run.
        over: Whether nobody works on it any more.
        fault: Why it could not be carried out; makes it ``FAILED``.
    """
    status = SendStatus.FAILED if fault else _status(deliveries, over=over)
    return SendReport(
        status=status,
        message=f"{fault} {NOT_TRIED_AGAIN}" if fault else _message(status, deliveries, execution_mode, over),
        batch_id=batch_id,
        processed_count=sum(one.file.record_count for one in deliveries if one.file is not None),
        file_name=deliveries[0].file_name if deliveries else "",
        execution_mode=execution_mode,
    )


def _status(deliveries: Sequence[Delivery], *, over: bool) -> SendStatus:
    statuses = {one.status for one in deliveries}
    if DeliveryStatus.FAILED in statuses:
        return SendStatus.FAILED
    if not (statuses or over) or any(not status.ended for status in statuses):
        return SendStatus.PROCESSING
    return SendStatus.PARTIAL if DeliveryStatus.PARTIAL in statuses else SendStatus.SUCCESS


def _message(status: SendStatus, deliveries: Sequence[Delivery], execution_mode: str, over: bool) -> str:
    if not deliveries:
        return NOTHING_TO_SEND if over else "The batch is claimed and waits for its turn."
    if status is SendStatus.SUCCESS:
        booked = sum(one.outcome.accepted_count for one in deliveries if one.outcome is not None)
        return f"Portfolio Accounting booked every record of the batch: {booked}."
    if status is SendStatus.PROCESSING:
        status_now = next(one.status for one in deliveries if not one.status.ended)
        if execution_mode == NO_CLI and status_now is DeliveryStatus.WRITTEN:
            return "The file is written and stays where it is: no accounting CLI is set (CLI_COMMAND)."
        return _NOT_ENDED[status_now]
    errors = [one.outcome.error for one in deliveries if one.outcome is not None and one.outcome.error]
    told = "; ".join(errors) or "Portfolio Accounting did not take every record"
    return f"{told}. {NOT_TRIED_AGAIN}" if status is SendStatus.FAILED else f"{told}."
