"""What the route handlers share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from litestar import Request

from globeco_allocation.entrypoints.http.errors import ErrorAnswers
from globeco_allocation.entrypoints.http.options import HttpOptions
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.owned_tasks import OwnedTasks
from globeco_allocation.entrypoints.services import Services


@dataclass(frozen=True, slots=True)
class AppState:
    """The app's parts, there for as long as its lifespan.

    Attributes:
        services: The service's working parts.
        errors: Answers for what goes wrong.
        options: Limits and switches.
        metrics: What is counted.
        work: Work that a caller who hangs up does not stop.
        draining: Tells whether the app is about to end.
    """

    services: Services
    errors: ErrorAnswers
    options: HttpOptions
    metrics: Metrics
    work: OwnedTasks
    draining: Callable[[], bool]


def app_state(request: Request[Any, Any, Any]) -> AppState:
    """Return the state of the app that handles *request*."""
    state: AppState = request.app.state.parts
    return state
