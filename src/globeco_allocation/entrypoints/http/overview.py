"""``/api/v1/overview``: what waits, the last batches and the last day, for pages that ask again and again."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, get

from globeco_allocation import __version__
from globeco_allocation.domain.backlog import MOST_COUNTED, Waiting
from globeco_allocation.domain.batch import Batch
from globeco_allocation.domain.delivery import Delivery
from globeco_allocation.entrypoints.day_chart import Day
from globeco_allocation.entrypoints.http.answers import Answer
from globeco_allocation.entrypoints.http.conditional import if_changed
from globeco_allocation.entrypoints.http.reply import Reply
from globeco_allocation.entrypoints.http.state import app_state
from globeco_allocation.entrypoints.overviews import Overview
from globeco_allocation.entrypoints.send_report import batch_status, waits_for_another_attempt
from globeco_allocation.ports.activity import Delivered

_MOST_ERRORS = 3


class WaitingAnswer(Answer, frozen=True):
    """How much of one kind waits, and since when the first of it."""

    count: int
    oldest: datetime | None


class DeliveriesWaitingAnswer(Answer, frozen=True):
    """The same of deliveries, with the records in them."""

    count: int
    oldest: datetime | None
    record_count: int


class OutstandingAnswer(Answer, frozen=True):
    """What is not at its end."""

    executions: WaitingAnswer
    pending: WaitingAnswer
    in_error: WaitingAnswer
    batches: WaitingAnswer
    deliveries: DeliveriesWaitingAnswer
    unresolved: DeliveriesWaitingAnswer
    most_counted: int


class OverviewBatchAnswer(Answer, frozen=True):
    """A batch with its deliveries summed up; what is not known yet is null."""

    id: int
    start_time: datetime
    status: str
    record_count: int
    delivery_count: int
    accepted_count: int | None
    rejected_count: int | None
    unknown_count: int | None
    attempts: int
    next_attempt: datetime | None
    ended: datetime | None
    errors: list[str]


class HalfHourAnswer(Answer, frozen=True):
    """What happened in one half hour; ``ready_count`` is null while it is not counted yet."""

    start: datetime
    ready_count: int | None
    batch_count: int
    booked_count: int
    rejected_count: int
    unknown_count: int


class OverviewAnswer(Answer, frozen=True):
    """What an operator sees at a glance."""

    version: str
    execution_mode: str
    stopped: str | None
    waiting: OutstandingAnswer
    batches: list[OverviewBatchAnswer]
    batch_count: int
    half_hours: list[HalfHourAnswer]


@get(include_in_schema=False)
async def get_overview(request: Request[Any, Any, Any]) -> Reply:
    """Show it; 304 when it is what the caller has."""
    body, tag = _encoded(await app_state(request).services.overviews.now())
    return if_changed(request, Reply(body, HTTPStatus.OK), tag, "no-store")


@lru_cache(maxsize=1)
def _encoded(overview: Overview) -> tuple[bytes, str]:
    body = msgspec.json.encode(overview_answer(overview))
    return body, hashlib.sha256(body).hexdigest()[:32]


def overview_answer(overview: Overview) -> OverviewAnswer:
    """Show what an operator sees at a glance."""
    of_batch: dict[int, list[Delivery]] = {}
    for one in overview.deliveries:
        of_batch.setdefault(one.batch_id, []).append(one)
    outstanding = overview.outstanding
    return OverviewAnswer(
        version=__version__,
        execution_mode=overview.execution_mode,
        stopped=overview.stop and overview.stop.reason,
        waiting=OutstandingAnswer(
            executions=_waiting(outstanding.executions),
            pending=_waiting(outstanding.pending),
            in_error=_waiting(outstanding.in_error),
            batches=_waiting(outstanding.batches),
            deliveries=_deliveries(outstanding.open_deliveries),
            unresolved=_deliveries(outstanding.unresolved_deliveries),
            most_counted=MOST_COUNTED,
        ),
        batches=[_batch(one, of_batch.get(one.id, [])) for one in overview.batches],
        batch_count=overview.batch_count,
        half_hours=_half_hours(overview.day),
    )


def _waiting(waiting: Waiting) -> WaitingAnswer:
    return WaitingAnswer(waiting.count, _utc(waiting.oldest))


def _deliveries(waiting: Waiting) -> DeliveriesWaitingAnswer:
    return DeliveriesWaitingAnswer(waiting.count, _utc(waiting.oldest), waiting.records)


def _batch(batch: Batch, deliveries: Sequence[Delivery]) -> OverviewBatchAnswer:
    outcomes = [one.outcome for one in deliveries if one.outcome is not None]
    ended = [one.ended for one in deliveries if one.status.ended and one.ended is not None]
    due = [one.not_before for one in deliveries if waits_for_another_attempt(one) and one.not_before]
    return OverviewBatchAnswer(
        id=batch.id,
        start_time=batch.start.astimezone(UTC),
        status=batch_status(batch, deliveries),
        record_count=sum(one.record_count for one in deliveries),
        delivery_count=len(deliveries),
        accepted_count=sum(one.accepted_count for one in outcomes) if outcomes else None,
        rejected_count=sum(one.rejected_count for one in outcomes) if outcomes else None,
        unknown_count=sum(one.unknown_count for one in outcomes) if outcomes else None,
        attempts=max((one.attempts for one in deliveries), default=0),
        next_attempt=_utc(min(due, default=None)),
        ended=_utc(max(ended)) if ended and len(ended) == len(deliveries) else None,
        errors=list(dict.fromkeys(one.error for one in deliveries if one.error))[:_MOST_ERRORS],
    )


def _half_hours(day: Day) -> list[HalfHourAnswer]:
    answers: list[HalfHourAnswer] = []
    for start in day.stretches.starts():
        delivered = day.delivered.get(start, Delivered())
        answers.append(
            HalfHourAnswer(
                start=start,
                ready_count=day.ready.get(start),
                batch_count=delivered.batches,
                booked_count=delivered.booked,
                rejected_count=delivered.rejected,
                unknown_count=delivered.unknown,
            )
        )
    return answers


def _utc(instant: datetime | None) -> datetime | None:
    return instant and instant.astimezone(UTC)
