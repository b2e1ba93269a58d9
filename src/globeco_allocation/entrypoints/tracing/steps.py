"""Spans of what is done for a batch, by any process and at any time: parts of its sender's trace."""

from collections.abc import Generator
from contextlib import contextmanager

from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, Settlement
from globeco_allocation.entrypoints.tracing.parts import PREFIX
from globeco_allocation.entrypoints.tracing.tracing import Attributes, Span, Tracing
from globeco_allocation.ports.batches import LeasedBatch


class Step:
    """A step, such as an attempt to deliver a file, that is told of."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def ended(self, result: str, *, well: bool) -> None:
        """Note that the step is over, and how."""
        if not well:
            self._span.failed(result)

    def settled(self, settlement: Settlement) -> None:
        """Note how the attempt ended; what is refused for good is no failure of ours."""
        outcome = settlement.outcome
        self._span.note(
            {
                f"{PREFIX}status": outcome.status.value,
                f"{PREFIX}accepted": outcome.accepted_count,
                f"{PREFIX}rejected": outcome.rejected_count,
                f"{PREFIX}unknown": outcome.unknown_count,
                f"{PREFIX}another_attempt": settlement.retry_in is not None,
            }
        )
        if settlement.collision:
            self._span.failed("collision")
        elif outcome.status is DeliveryStatus.FAILED and not settlement.confirming:
            self._span.failed("attempt failed")


@contextmanager
def batch_step(tracing: Tracing, work: LeasedBatch) -> Generator[Step]:
    """Tell of the writing of a batch's files."""
    batch = work.batch
    attributes = {f"{PREFIX}batch_id": batch.id}
    with tracing.span("write files", attributes=attributes, parent=batch.terms.trace) as span:
        yield Step(span)


@contextmanager
def delivery_step(tracing: Tracing, delivery: Delivery) -> Generator[Step]:
    """Tell of an attempt to deliver a file, or of going on with one that another process began."""
    attributes: Attributes = {
        f"{PREFIX}batch_id": delivery.batch_id,
        f"{PREFIX}file_name": delivery.file_name,
        f"{PREFIX}lane": delivery.lane,
        f"{PREFIX}attempt": delivery.attempt,
        f"{PREFIX}taken_over": delivery.under_way,
    }
    with tracing.span("deliver file", attributes=attributes, parent=delivery.trace) as span:
        yield Step(span)
