"""``/healthz``, ``/readyz`` and ``/metrics``: for the cluster and for Prometheus."""

import asyncio
from http import HTTPStatus
from typing import Any

from litestar import Request, get

from globeco_allocation import __version__
from globeco_allocation.entrypoints.http.answers import HealthAnswer, ReadinessAnswer, json_reply
from globeco_allocation.entrypoints.http.reply import Reply
from globeco_allocation.entrypoints.http.state import AppState, app_state
from globeco_allocation.entrypoints.metrics import CONTENT_TYPE
from globeco_allocation.entrypoints.services import READY


@get(include_in_schema=False)
async def healthz(request: Request[Any, Any, Any]) -> Reply:
    """Tell that the process is alive, whatever it is missing."""
    del request
    return json_reply(HealthAnswer("ok", __version__), HTTPStatus.OK)


@get(include_in_schema=False)
async def readyz(request: Request[Any, Any, Any]) -> Reply:
    """Tell whether requests can be served now; asked anew each time, so that it recovers by itself."""
    checks = await _checks(app_state(request))
    if all(found == READY for found in checks.values()):
        return json_reply(ReadinessAnswer("ready", checks), HTTPStatus.OK)
    return json_reply(ReadinessAnswer("not ready", checks), HTTPStatus.SERVICE_UNAVAILABLE)


@get(include_in_schema=False)
async def show_metrics(request: Request[Any, Any, Any]) -> Reply:
    """Show every metric in Prometheus' text format."""
    return Reply(app_state(request).metrics.render(), media_type=CONTENT_TYPE)


async def _checks(state: AppState) -> dict[str, str]:
    if state.draining():
        return {"service": "ending"}
    try:
        async with asyncio.timeout(state.options.readiness_seconds):
            return await state.services.readiness.checks()
    except TimeoutError:
        return {"service": "no answer in time"}
