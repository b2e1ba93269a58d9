"""What the service answers about batches, their deliveries, and the way of one execution."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from globeco_allocation.domain.batch import Batch
from globeco_allocation.domain.delivery import Delivery, DeliveryStop, Reject, Resolution
from globeco_allocation.domain.use_cases.find_delivery import Whereabouts
from globeco_allocation.entrypoints.http.answers import Answer, Pagination, pagination
from globeco_allocation.entrypoints.send_report import batch_status, waits_for_another_attempt
from globeco_allocation.ports.batches import BatchPage


class RejectAnswer(Answer, frozen=True):
    """A record that was not accepted, with Portfolio Accounting's words."""

    source_id: str
    verdict: str
    reason: str


class ResolutionAnswer(Answer, frozen=True):
    """What an operator settled by hand; without ``source_id`` it was the whole delivery."""

    source_id: str | None
    reason: str
    resolved_by: str
    resolved: datetime


class DeliveryAnswer(Answer, frozen=True):
    """One transaction file, and what came of its last attempt; what is not known yet is null."""

    file_name: str
    lane: int
    part: int
    status: str
    attempts: int
    next_attempt: datetime | None
    record_count: int
    byte_count: int | None
    checksum: str | None
    accepted_count: int | None
    rejected_count: int | None
    unknown_count: int | None
    exit_code: int | None
    error: str | None
    claimed: datetime
    written: datetime | None
    started: datetime | None
    ended: datetime | None
    rejects: list[RejectAnswer]
    resolutions: list[ResolutionAnswer]


class BatchAnswer(Answer, frozen=True):
    """A claimed window; without a delivery it was empty, or its files are not planned yet."""

    id: int
    previous_start_time: datetime
    start_time: datetime
    requested_by: str
    status: str
    record_count: int
    stopped: str | None
    deliveries: list[DeliveryAnswer]


class BatchSummaryAnswer(Answer, frozen=True):
    """A batch in a list."""

    id: int
    previous_start_time: datetime
    start_time: datetime
    requested_by: str
    status: str
    record_count: int
    delivery_count: int


class BatchListAnswer(Answer, frozen=True):
    """A page of batches."""

    batches: list[BatchSummaryAnswer]
    pagination: Pagination


class WhereaboutsAnswer(Answer, frozen=True):
    """How far one execution is on its way to Portfolio Accounting."""

    execution_id: int
    source_id: str
    status: str
    batch_id: int | None
    file_name: str | None
    lane: int | None
    part: int | None
    attempts: int | None
    reject: RejectAnswer | None
    resolution: ResolutionAnswer | None


def batch_answer(
    batch: Batch,
    deliveries: Sequence[Delivery],
    rejects: Mapping[int, Sequence[Reject]],
    resolutions: Sequence[Resolution],
    stop: DeliveryStop | None,
) -> BatchAnswer:
    """Show a batch, and each delivery with what was rejected and resolved of it (by the delivery's id)."""
    concerned = stop is not None and (
        stop.batch_id == batch.id or any(not one.status.ended for one in deliveries)
    )
    return BatchAnswer(
        id=batch.id,
        previous_start_time=batch.window.previous_start.astimezone(UTC),
        start_time=batch.start.astimezone(UTC),
        requested_by=batch.terms.requested_by,
        status=batch_status(batch, deliveries),
        record_count=sum(one.record_count for one in deliveries),
        stopped=stop.reason if stop is not None and concerned else None,
        deliveries=[
            _delivery(
                one, rejects.get(one.id, ()), [each for each in resolutions if each.delivery_id == one.id]
            )
            for one in deliveries
        ],
    )


def batch_summaries(batches: Sequence[Batch], deliveries: Sequence[Delivery]) -> list[BatchSummaryAnswer]:
    """Show batches of a list, with their deliveries summed up."""
    of_batch: dict[int, list[Delivery]] = {}
    for one in deliveries:
        of_batch.setdefault(one.batch_id, []).append(one)
    return [_summary(one, of_batch.get(one.id, [])) for one in batches]


def batch_list_answer(
    page: BatchPage, deliveries: Sequence[Delivery], limit: int, offset: int
) -> BatchListAnswer:
    """Show a page of batches that left out the first *offset*, with all their deliveries summed up."""
    summaries = batch_summaries(page.batches, deliveries)
    return BatchListAnswer(summaries, pagination(page.total, limit, offset))


def whereabouts_answer(found: Whereabouts) -> WhereaboutsAnswer:
    """Show how far an execution is."""
    delivery = found.delivery
    return WhereaboutsAnswer(
        execution_id=found.execution_id,
        source_id=found.source_id,
        status=str(found.status),
        batch_id=found.batch_id,
        file_name=delivery and delivery.file_name,
        lane=delivery and delivery.lane,
        part=delivery and delivery.part,
        attempts=delivery and delivery.attempts,
        reject=found.reject and _reject(found.reject),
        resolution=found.resolution and _resolution(found.resolution),
    )


def _summary(batch: Batch, deliveries: Sequence[Delivery]) -> BatchSummaryAnswer:
    return BatchSummaryAnswer(
        id=batch.id,
        previous_start_time=batch.window.previous_start.astimezone(UTC),
        start_time=batch.start.astimezone(UTC),
        requested_by=batch.terms.requested_by,
        status=batch_status(batch, deliveries),
        record_count=sum(one.record_count for one in deliveries),
        delivery_count=len(deliveries),
    )


def _delivery(
    delivery: Delivery, rejects: Sequence[Reject], resolutions: Sequence[Resolution]
) -> DeliveryAnswer:
    file, outcome = delivery.file, delivery.outcome
    return DeliveryAnswer(
        file_name=delivery.file_name,
        lane=delivery.lane,
        part=delivery.part,
        status=delivery.status.value,
        attempts=delivery.attempts,
        next_attempt=_utc(delivery.not_before) if waits_for_another_attempt(delivery) else None,
        record_count=delivery.record_count,
        byte_count=file and file.byte_count,
        checksum=file and file.checksum,
        accepted_count=outcome and outcome.accepted_count,
        rejected_count=outcome and outcome.rejected_count,
        unknown_count=outcome and outcome.unknown_count,
        exit_code=outcome and outcome.exit_code,
        error=delivery.error or None,
        claimed=delivery.created.astimezone(UTC),
        written=_utc(delivery.written),
        started=_utc(delivery.started),
        ended=_utc(delivery.ended),
        rejects=[_reject(one) for one in rejects],
        resolutions=[_resolution(one) for one in resolutions],
    )


def _reject(reject: Reject) -> RejectAnswer:
    return RejectAnswer(reject.source_id, reject.verdict.value, reject.reason)


def _resolution(one: Resolution) -> ResolutionAnswer:
    return ResolutionAnswer(one.source_id or None, one.reason, one.resolved_by, one.resolved.astimezone(UTC))


def _utc(instant: datetime | None) -> datetime | None:
    return instant and instant.astimezone(UTC)
