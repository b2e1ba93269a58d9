"""Spans of the requests that come in, by OpenTelemetry's conventions for HTTP."""

from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from globeco_allocation.entrypoints.http.exchange import Exchange
from globeco_allocation.entrypoints.tracing.tracing import Kind, Span, Tracing, callers_trace

_UNKNOWN_METHODS: Final = {"other": ("HTTP", "_OTHER")}
"""By our word for them: how a span is named, and what its attribute holds."""


class SeenRequest:
    """A request that is told of."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def answered(self, method: str, template: str | None, path: str, status: int) -> None:
        """Note what it was, and how it was answered.

        Args:
            method: See `traced_request`.
            template: Of its path, which names the span; None where no route has it.
            path: What the caller wrote: told only where a route has it, for else it may be anything.
            status: The answer's; 0 where there was none.
        """
        if template is not None:
            name, _ = _UNKNOWN_METHODS.get(method, (method, method))
            self._span.rename(f"{name} {template}")
            self._span.note({"http.route": template, "url.path": path})
        if status:
            self._span.note({"http.response.status_code": status})
        if not status or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._span.failed(str(status) if status else "no answer")


@contextmanager
def traced_request(tracing: Tracing, method: str, exchange: Exchange) -> Generator[SeenRequest]:
    """Tell of a request, as a part of its caller's trace if that names a sane one.

    Args:
        tracing: Is told.
        method: Of HTTP's, or ``other``.
        exchange: The request.
    """
    name, known = _UNKNOWN_METHODS.get(method, (method, method))
    attributes = {
        "http.request.method": known,
        "globeco_allocation.correlation_id": exchange.correlation_id,
    }
    with tracing.span(name, Kind.SERVER, attributes, parent=callers_trace(exchange.headers)) as span:
        yield SeenRequest(span)
