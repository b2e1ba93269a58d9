"""``/api/v1/batches/{id}``: what became of a batch."""

from http import HTTPStatus
from typing import Any, Final

from litestar import Request, Response, get

from globeco_allocation.entrypoints.http.answers import batch_answer, json_response
from globeco_allocation.entrypoints.http.errors import RefusedRequestError
from globeco_allocation.entrypoints.http.parameters import path_id
from globeco_allocation.entrypoints.http.state import app_state

MOST_REJECTS: Final = 100
"""So many rejects of a delivery are shown; its counts tell whether there are more."""


@get(include_in_schema=False)
async def get_batch(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show a batch and its deliveries."""
    key = path_id(request)
    services = app_state(request).services
    batch = None if key is None else await services.batches.get(key)
    if batch is None:
        raise RefusedRequestError(HTTPStatus.NOT_FOUND, "There is no batch of this id.")
    deliveries = await services.deliveries.of_batch(batch.id)
    rejects = [await services.deliveries.rejects(one.id, limit=MOST_REJECTS) for one in deliveries]
    return json_response(batch_answer(batch, list(zip(deliveries, rejects, strict=True))), HTTPStatus.OK)
