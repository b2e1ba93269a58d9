"""``/api/v1/batches``: list, show and send batches again."""

from http import HTTPStatus
from typing import Any, Final

from litestar import Request, Response, get, post

from globeco_allocation.domain.batch import Batch
from globeco_allocation.domain.errors import DeliveryStepError
from globeco_allocation.domain.execution import LARGEST_ID
from globeco_allocation.entrypoints.http.answers import json_response
from globeco_allocation.entrypoints.http.batch_answers import batch_answer, batch_list_answer
from globeco_allocation.entrypoints.http.errors import RefusedRequestError
from globeco_allocation.entrypoints.http.exchange import current_exchange
from globeco_allocation.entrypoints.http.parameters import page_of, path_id
from globeco_allocation.entrypoints.http.send import preferred_wait, send_response
from globeco_allocation.entrypoints.http.state import app_state

MOST_REJECTS: Final = 100
"""So many rejects of a delivery are shown; its counts tell whether there are more."""


@get(include_in_schema=False)
async def list_batches(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List batches, newest first."""
    limit, offset = page_of(request)
    services = app_state(request).services
    page = await services.batches.page(limit=limit, offset=min(offset, LARGEST_ID))
    deliveries = await services.deliveries.of_batches([one.id for one in page.batches])
    return json_response(batch_list_answer(page, deliveries, limit, offset), HTTPStatus.OK)


@get(include_in_schema=False)
async def get_batch(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show a batch, its deliveries, and what was rejected of them."""
    services = app_state(request).services
    batch = await _asked_for(request)
    deliveries = await services.deliveries.of_batches((batch.id,))
    resolutions = await services.resolutions.of_deliveries([one.id for one in deliveries])
    rejects = {one.id: await services.deliveries.rejects(one.id, limit=MOST_REJECTS) for one in deliveries}
    stop = await services.deliveries.stop()
    return json_response(batch_answer(batch, deliveries, rejects, resolutions, stop), HTTPStatus.OK)


@post(include_in_schema=False)
async def resend_batch(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Have a batch's failed and partial files delivered again; what a body holds has no meaning."""
    await request.body()  # read all the same, for its size is limited
    state, exchange = app_state(request), current_exchange()
    batch = await _asked_for(request)
    wait, applied = preferred_wait(request.headers.getall("prefer", []), state.options.send_wait_seconds)
    try:
        report = await state.services.sends.resend(
            batch, exchange.correlation_id, wait - exchange.seconds, state.draining
        )
    except DeliveryStepError as error:
        raise RefusedRequestError(HTTPStatus.CONFLICT, f"{error}.") from error
    return send_response(request, report, {"Preference-Applied": applied} if applied else {})


async def _asked_for(request: Request[Any, Any, Any]) -> Batch:
    key = path_id(request)
    batch = None if key is None else await app_state(request).services.batches.get(key)
    if batch is None:
        raise RefusedRequestError(HTTPStatus.NOT_FOUND, "There is no batch of this id.")
    return batch
