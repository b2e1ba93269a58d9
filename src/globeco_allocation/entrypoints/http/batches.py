"""``/api/v1/batches``: list, show and send batches again."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from litestar import Request, get, post

from globeco_allocation.domain.batch import Batch
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, Reject
from globeco_allocation.domain.errors import DeliveryStepError
from globeco_allocation.domain.execution import LARGEST_ID
from globeco_allocation.entrypoints.http.answers import json_reply, pagination
from globeco_allocation.entrypoints.http.batch_answers import (
    BatchListAnswer,
    BatchSummaryAnswer,
    batch_answer,
    batch_summaries,
)
from globeco_allocation.entrypoints.http.body import read_body
from globeco_allocation.entrypoints.http.errors import RefusedRequestError, sentence
from globeco_allocation.entrypoints.http.exchange import current_exchange
from globeco_allocation.entrypoints.http.parameters import page_of, path_id
from globeco_allocation.entrypoints.http.reply import Reply
from globeco_allocation.entrypoints.http.send import preferred_wait, send_response
from globeco_allocation.entrypoints.http.state import app_state
from globeco_allocation.ports.deliveries import Deliveries

MOST_REJECTS: Final = 100
"""So many rejects of a delivery are shown; its counts tell whether there are more."""

MOST_REJECTS_IN_ALL: Final = 1000
"""So many rejects of a batch are shown, those of its first files."""

_BATCHES_AT_ONCE: Final = 50  # whose deliveries are held in memory, and there may be many of each


@get(include_in_schema=False)
async def list_batches(request: Request[Any, Any, Any]) -> Reply:
    """List batches, newest first."""
    limit, offset = page_of(request)
    services = app_state(request).services
    page = await services.batches.page(limit=limit, offset=min(offset, LARGEST_ID))
    summaries: list[BatchSummaryAnswer] = []
    for first in range(0, len(page.batches), _BATCHES_AT_ONCE):
        some = page.batches[first : first + _BATCHES_AT_ONCE]
        deliveries = await services.deliveries.of_batches([one.id for one in some])
        summaries += batch_summaries(some, deliveries)
    answer = BatchListAnswer(summaries, pagination(page.total, limit, offset))
    return json_reply(answer, HTTPStatus.OK)


@get(include_in_schema=False)
async def get_batch(request: Request[Any, Any, Any]) -> Reply:
    """Show a batch, its deliveries, and what was rejected of them."""
    services = app_state(request).services
    batch = await _asked_for(request)
    deliveries = await services.deliveries.of_batches((batch.id,))
    resolutions = await services.resolutions.of_deliveries([one.id for one in deliveries])
    rejects = await _rejects(services.deliveries, deliveries)
    stop = await services.deliveries.stop()
    return json_reply(batch_answer(batch, deliveries, rejects, resolutions, stop), HTTPStatus.OK)


@post(include_in_schema=False)
async def resend_batch(request: Request[Any, Any, Any]) -> Reply:
    """Have a batch's failed and partial files delivered again; what a body holds has no meaning."""
    await read_body(request)  # all the same, for its size is limited
    state, exchange = app_state(request), current_exchange()
    batch = await _asked_for(request)
    usual = state.options.send_wait_seconds
    wait, applied = preferred_wait(request.headers.getall("prefer", []), usual)
    try:
        report = await state.services.sends.resend(
            batch,
            exchange.correlation_id,
            wait - exchange.seconds,
            usual - exchange.seconds,
            state.draining,
        )
    except DeliveryStepError as error:
        raise RefusedRequestError(HTTPStatus.CONFLICT, sentence(str(error))) from error
    return send_response(request, report, {"Preference-Applied": applied} if applied else {})


async def _rejects(deliveries: Deliveries, of_batch: Sequence[Delivery]) -> dict[int, tuple[Reject, ...]]:
    """Return what was rejected of a batch's deliveries, by their ids."""
    rejects: dict[int, tuple[Reject, ...]] = {}
    left = MOST_REJECTS_IN_ALL
    for one in of_batch:
        if left and one.attempts and one.status is not DeliveryStatus.DELIVERED:
            rejects[one.id] = await deliveries.rejects(one.id, limit=min(MOST_REJECTS, left))
            left -= len(rejects[one.id])
    return rejects


async def _asked_for(request: Request[Any, Any, Any]) -> Batch:
    key = path_id(request)
    batch = None if key is None else await app_state(request).services.batches.get(key)
    if batch is None:
        raise RefusedRequestError(HTTPStatus.NOT_FOUND, "There is no batch of this id.")
    return batch
