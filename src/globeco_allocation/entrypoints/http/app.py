"""Put the HTTP entrypoint together."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from litestar import Litestar, Router
from litestar.types import ControllerRouterHandler

from globeco_allocation.entrypoints.http.errors import ErrorAnswers
from globeco_allocation.entrypoints.http.executions import create_executions, get_execution, list_executions
from globeco_allocation.entrypoints.http.observability import Observability
from globeco_allocation.entrypoints.http.options import HttpOptions
from globeco_allocation.entrypoints.http.probes import healthz, readyz
from globeco_allocation.entrypoints.http.probes import metrics as show_metrics
from globeco_allocation.entrypoints.http.send import send_executions
from globeco_allocation.entrypoints.http.state import AppState
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.owned_tasks import OwnedTasks
from globeco_allocation.entrypoints.services import Services

OpenServices = Callable[[], AbstractAsyncContextManager[Services]]


def create_app(options: HttpOptions, open_services: OpenServices, metrics: Metrics) -> Observability:
    """Make the ASGI app.

    Args:
        options: Limits and switches.
        open_services: Opens the working parts when the app starts, and closes them when it ends.
        metrics: Where the app counts; the same object that the working parts count with.

    Returns:
        The app to be run by a server with its lifespan on. Call its `drain` when the process is told to end.
    """
    errors = ErrorAnswers(options.max_body_bytes)
    handlers: list[ControllerRouterHandler] = [
        # One router per address, so that its OPTIONS names every method.
        Router("/api/v1/executions", route_handlers=[create_executions, list_executions]),
        get_execution,
        send_executions,
        healthz,
        readyz,
    ]
    if options.metrics_enabled:
        handlers.append(show_metrics)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None]:
        async with open_services() as services, OwnedTasks(options.receive_grace_seconds) as work:
            errors.clock = services.clock
            app.state.parts = AppState(services, errors, options, metrics, work, lambda: outer.draining)
            yield

    inner = Litestar(
        route_handlers=handlers,
        lifespan=[lifespan],
        exception_handlers={**errors.handlers},
        request_max_body_size=options.max_body_bytes,
        logging_config=None,
        openapi_config=None,
    )
    outer = Observability(inner, metrics, errors.last_resort)
    return outer
