"""Around the whole app: correlation id, access log, metrics, and what the app itself does not answer.

Litestar's middlewares do not run for unknown routes and wrong methods, so this is one plain ASGI class.
"""

import asyncio
import random
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.http.exchange import Exchange, begin_exchange
from globeco_allocation.entrypoints.http.security_headers import add_security_headers
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.tracing.requests import traced_request
from globeco_allocation.entrypoints.tracing.tracing import NO_TRACING, Tracing

CORRELATION_HEADER: Final = "X-Correlation-ID"
UNMATCHED: Final = "unmatched"
PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_QUIET: Final = PROBES | {"/", "/static/{name:str}", "/api/v1/overview"}  # asked again and again, for nothing

_HEADER = CORRELATION_HEADER.lower().encode()
_SANE = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_UNREAD = ""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})

LastResort = Callable[[HTTPStatus], bytes]

_log: Any = structlog.get_logger()


class Observability:
    """The ASGI app that the server runs: the inner app, watched.

    Args:
        inner: The Litestar app.
        metrics: Where requests are counted.
        last_resort: The body, by status, for what the inner app's handlers could not answer.
        log_request: Logs each request.
        tracing: Is told of each request that is no probe.
    """

    def __init__(
        self,
        inner: ASGIApp,
        metrics: Metrics,
        last_resort: LastResort,
        log_request: logs.LogRequest,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._inner = inner
        self._metrics = metrics
        self._log_request = log_request
        self._tracing = tracing if tracing.is_on else None
        self.last_resort = last_resort
        self.draining = False

    def drain(self) -> None:
        """Get ready to end: not ready from now on, and every answer closes its connection."""
        self.draining = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI scope."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        watch = _Watch(self, scope, receive, send)
        if self._tracing is None or scope["path"] in PROBES:
            await watch.run(self._inner)
        else:
            await watch.run_traced(self._inner, self._tracing)

    def refused(self, status: HTTPStatus, exchange: Exchange) -> None:
        """Count and log what the server answered by itself, for it was no request to pass on."""
        self.report(_UNREAD, UNMATCHED, status, exchange)

    def report(self, method: str, route: str, status: int, exchange: Exchange) -> None:
        """Count, time and log one request; whatever the caller wrote stays out of it."""
        method = known_method(method)
        seconds = exchange.seconds
        trace_id, span_id = logs.trace_ids() or (msgspec.UNSET, msgspec.UNSET)
        self._metrics.request_answered(method, route, status, seconds)
        self._log_request(
            logs.RequestLine(
                method=method,
                route=route,
                status=int(status),
                ms=round(seconds * 1000, 2),
                correlation_id=exchange.correlation_id,
                level="debug" if route in _QUIET else "info",
                timestamp=datetime.now(UTC),
                trace_id=trace_id,
                span_id=span_id,
                token=exchange.token_name or msgspec.UNSET,
            )
        )


class _Watch:
    """One request, from its arrival to its answer's end."""

    def __init__(self, app: Observability, scope: HTTPScope, receive: Receive, send: Send) -> None:
        self._app = app
        self._method = scope["method"]
        # A copy: the server goes by its own, in which HEAD must stay HEAD. Litestar has no HEAD of its own;
        # the body is left out below.
        self._scope: Any = {"state": {}, **scope, "method": "GET" if self._method == "HEAD" else self._method}
        self._receive = receive
        self._outer_send = send
        self._status = 0
        headers = scope["headers"]
        self._exchange = Exchange(correlation_id_of(headers), headers)

    async def run_traced(self, inner: ASGIApp, tracing: Tracing) -> None:
        method = known_method(self._method)
        with traced_request(tracing, method, self._exchange) as span:
            try:
                await self.run(inner)
            finally:
                template = self._scope.get("path_template")
                span.answered(method, template, self._scope["path"], self._status)

    async def run(self, inner: ASGIApp) -> None:
        begin_exchange(self._exchange)
        begun = logs.begin_request(self._exchange.correlation_id)
        try:
            await inner(self._scope, self._receive, self._send)
        except asyncio.CancelledError:  # the server's patience with requests under way is at its end
            if not self._status:
                await self._answer(HTTPStatus.SERVICE_UNAVAILABLE)
            raise
        except Exception as error:
            _log.error(logs.REQUEST_FAILED, exc_info=error)
            if self._status:
                raise  # half an answer is out: the server must break the connection
            await self._answer(HTTPStatus.INTERNAL_SERVER_ERROR)
        finally:
            route = self._scope.get("path_template") or UNMATCHED
            self._app.report(self._method, route, self._status, self._exchange)
            logs.end_request(begun)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = int(message["status"])
            headers = list(message.get("headers", ()))
            add_security_headers(headers)
            headers.append((_HEADER, self._exchange.correlation_id.encode()))
            if self._app.draining:
                headers.append((b"connection", b"close"))
            message["headers"] = headers
        elif message["type"] == "http.response.body" and self._method == "HEAD":
            message["body"] = b""
        await self._outer_send(message)

    async def _answer(self, status: HTTPStatus) -> None:
        body = self._app.last_resort(status)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def known_method(method: str) -> str:
    """Return a request's method if it is one of HTTP's, else ``other``."""
    return method if method in _METHODS else "other"


def correlation_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the caller's correlation id if it is sane, else a new one; *headers* have lower-case names."""
    for name, value in headers:
        if name == _HEADER:
            return value.decode() if _SANE.fullmatch(value) else _new_id()
    return _new_id()


def _new_id() -> str:
    return f"{random.getrandbits(128):032x}"
