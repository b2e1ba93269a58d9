"""Put the HTTP entrypoint together."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Router, route
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Middleware

from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.http.batches import get_batch, list_batches, resend_batch
from globeco_allocation.entrypoints.http.cors import Cors
from globeco_allocation.entrypoints.http.direct import Direct
from globeco_allocation.entrypoints.http.docs import docs_asset, docs_page, openapi_document
from globeco_allocation.entrypoints.http.errors import ErrorAnswers
from globeco_allocation.entrypoints.http.executions import (
    create_executions,
    get_execution,
    get_execution_delivery,
    list_executions,
)
from globeco_allocation.entrypoints.http.guard import guard
from globeco_allocation.entrypoints.http.observability import Observability
from globeco_allocation.entrypoints.http.options import HttpOptions
from globeco_allocation.entrypoints.http.overview import get_overview
from globeco_allocation.entrypoints.http.page import operators_page, page_asset
from globeco_allocation.entrypoints.http.probes import healthz, readyz, show_metrics
from globeco_allocation.entrypoints.http.reply import Reply
from globeco_allocation.entrypoints.http.send import send_executions
from globeco_allocation.entrypoints.http.state import AppState
from globeco_allocation.entrypoints.http.token_watch import TokenWatch
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.owned_tasks import OwnedTasks
from globeco_allocation.entrypoints.services import Services
from globeco_allocation.entrypoints.tracing.tracing import NO_TRACING, Tracing

API = "/api/"
"""What begins with this is the API: it is guarded. All else is open to everybody who reaches the port."""

OpenServices = Callable[[], AbstractAsyncContextManager[Services]]

_ADDRESSES: dict[str, list[HTTPRouteHandler]] = {
    "/api/v1/executions": [create_executions, list_executions],
    "/api/v1/executions/{id:str}": [get_execution],
    "/api/v1/executions/{id:str}/delivery": [get_execution_delivery],
    "/api/v1/executions/send": [send_executions],
    "/api/v1/batches": [list_batches],
    "/api/v1/batches/{id:str}": [get_batch],
    "/api/v1/batches/{id:str}/resend": [resend_batch],
    "/api/v1/overview": [get_overview],
    "/healthz": [healthz],
    "/readyz": [readyz],
    "/": [operators_page],
    "/static/{name:str}": [page_asset],
    "/docs": [docs_page],
    "/docs/openapi.json": [openapi_document],
    "/docs/static/{name:str}": [docs_asset],
}


def create_app(
    options: HttpOptions,
    open_services: OpenServices,
    metrics: Metrics,
    log_request: logs.LogRequest = logs.log_request,
    tracing: Tracing = NO_TRACING,
) -> Observability:
    """Make the ASGI app.

    Args:
        options: Limits and switches.
        open_services: Opens the working parts when the app starts, and closes them when it ends.
        metrics: Where the app counts; the same object that the working parts count with.
        log_request: Logs each request.
        tracing: Is told of each request.

    Returns:
        The app to be run by a server with its lifespan on. Call its `drain` when the process is told to end.
    """
    errors = ErrorAnswers()
    watch = TokenWatch(Path(options.api_tokens_file)) if options.api_tokens_file else None

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            if watch is not None:
                await stack.enter_async_context(watch.running())
            services = await stack.enter_async_context(open_services())
            work = await stack.enter_async_context(OwnedTasks(options.receive_grace_seconds))
            errors.clock = services.clock
            app.state.parts = AppState(services, errors, options, metrics, work, lambda: outer.draining)
            yield

    inner: ASGIApp = Litestar(
        route_handlers=_routers(options, guard(watch, options.cors_allowed_origins)),
        lifespan=[lifespan],
        exception_handlers={**errors.handlers},
        logging_config=None,
        openapi_config=None,
    )
    if options.cors_allowed_origins:
        inner = Cors(inner, options.cors_allowed_origins)
    outer = Observability(inner, metrics, errors.last_resort, log_request, tracing)
    return outer


def _routers(options: HttpOptions, before_the_api: Middleware) -> list[Router]:
    addresses = dict(_ADDRESSES)
    if options.metrics_enabled:
        addresses["/metrics"] = [show_metrics]
    return [
        Router(
            path,
            route_handlers=[_options_handler(handlers), *handlers],
            middleware=[before_the_api, Direct] if path.startswith(API) else [Direct],
        )
        for path, handlers in addresses.items()
    ]


def _options_handler(handlers: list[HTTPRouteHandler]) -> HTTPRouteHandler:
    """Make the answer to OPTIONS; Litestar's own knows only the first handler of an address."""
    methods: set[str] = {"OPTIONS"}
    for handler in handlers:
        methods |= {str(method) for method in handler.http_methods}
    if "GET" in methods:
        methods.add("HEAD")
    allow = {"Allow": ", ".join(sorted(methods))}

    @route(http_method="OPTIONS", include_in_schema=False)
    async def show_methods(request: Request[Any, Any, Any]) -> Reply:
        del request
        return Reply(b"", HTTPStatus.NO_CONTENT, headers=allow)

    return show_methods
