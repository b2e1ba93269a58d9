"""Spans of what is done for a batch, by any process and at any time: parts of its sender's trace."""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager

from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, Settlement
from globeco_allocation.entrypoints.tracing.parts import PREFIX
from globeco_allocation.entrypoints.tracing.tracing import Attributes, Span, Tracing
from globeco_allocation.ports.batches import LeasedBatch


class DeliveryStep:
    """An attempt to deliver a file that is told of."""

    def __init__(self, span: Span) -> None:
        self._span = span

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


def batch_step(tracing: Tracing, work: LeasedBatch) -> AbstractContextManager[Span]:
    """Tell of the writing of a batch's files."""
    batch = work.batch
    return tracing.span("write files", attributes={f"{PREFIX}batch_id": batch.id}, parent=batch.terms.trace)


@contextmanager
def delivery_step(tracing: Tracing, delivery: Delivery) -> Generator[DeliveryStep]:
    """Tell of an attempt to deliver a file, or of going on with one that another process began."""
    attributes: Attributes = {
        f"{PREFIX}batch_id": delivery.batch_id,
        f"{PREFIX}file_name": delivery.file_name,
        f"{PREFIX}lane": delivery.lane,
        f"{PREFIX}attempt": delivery.attempt,
        f"{PREFIX}taken_over": delivery.under_way,
    }
    with tracing.span("deliver file", attributes=attributes, parent=delivery.trace) as span:
        yield DeliveryStep(span)
