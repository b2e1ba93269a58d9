"""HTTP on the wire: uvicorn's protocol, with a limit for heads, and our own words for what it refuses."""

import asyncio
from http import HTTPStatus
from typing import Any, Final, cast

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from globeco_allocation.adapters.system_clock import SystemClock
from globeco_allocation.entrypoints.http.answers import ErrorAnswer
from globeco_allocation.entrypoints.http.exchange import Exchange
from globeco_allocation.entrypoints.http.observability import (
    CORRELATION_HEADER,
    Observability,
    correlation_id_of,
)
from globeco_allocation.entrypoints.http.security_headers import FOR_DATA

MOST_HEAD_BYTES: Final = 64 * 1024
"""Of a request's address, headers and trailers together."""

MOST_HEADERS: Final = 200
"""With the trailers."""

LINGER_SECONDS: Final = 2.0
"""How long a refused caller may go on sending: hung up on at once, it would lose our answer unread."""

REQUEST_SECONDS = 30.0
"""How long a request may take to come in, from its first byte to its last, even if it never stops."""

SILENT_SECONDS = 75.0
"""How long a new connection may say nothing: as long as one that was used."""

_CLOSING: Final = b"".join(b"%s: %s\r\n" % one for one in FOR_DATA) + b"connection: close\r\n\r\n"
_SEPARATORS = len(": \r\n")
_TEXTS = {
    HTTPStatus.BAD_REQUEST: "This is no HTTP request that can be understood.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        f"The request's address and headers have more than {MOST_HEAD_BYTES} bytes, "
        f"or are more than {MOST_HEADERS} headers."
    ),
    HTTPStatus.REQUEST_TIMEOUT: f"The request was not complete within {REQUEST_SECONDS:.0f} seconds.",
}


class Protocol(HttpToolsProtocol):
    """Answers what is no request for the app in the one error shape (design, "Errors").

    Args:
        config: With an `Observability` for its app, which counts and logs these answers, too.
        server_state: The server's.
        app_state: The lifespan's.
        _loop: The running one by default.

    Raises:
        TypeError: the app is another.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        if not isinstance(config.app, Observability):
            raise TypeError("the protocol serves an Observability")
        self._watch = config.app
        self._in_head = False
        self._head_bytes = 0  # of the address, headers and trailers that the parser has handed on
        self._unread_bytes = 0  # that it has got since, at least; it holds back a header until its end
        self._too_large = False
        self._refused = False
        self._linger: asyncio.TimerHandle | None = None
        self._incomplete = False  # a request has begun to come in
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a caller, who has to begin."""
        super().connection_made(transport)
        self._patience = self.loop.call_later(SILENT_SECONDS, self._lose_patience)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the caller; those of a refused one are thrown away."""
        if self._refused:
            return
        self._unread_bytes += len(data)
        if not self._incomplete:
            self._end_patience()  # with its silence
        super().data_received(data)
        if self._refused:
            return
        if self._head_bytes + self._unread_bytes > MOST_HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._incomplete and self._patience is None:  # seldom: nearly all come in one piece
            self._patience = self.loop.call_later(REQUEST_SECONDS, self._lose_patience)

    def on_message_begin(self) -> None:
        """Begin to count."""
        super().on_message_begin()
        self._in_head = self._incomplete = True
        self._head_bytes = self._unread_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        self._count(len(name) + len(value) + _SEPARATORS, len(self.headers) + 1)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Pass the request on to the app."""
        super().on_headers_complete()
        self._in_head = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._unread_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of the request."""
        self._head_bytes = self._unread_bytes = 0
        self._incomplete = False
        self._end_patience()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the caller."""
        if self._linger is not None:
            self._linger.cancel()
        self._end_patience()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser, or one of the methods above, did not take."""
        del msg  # uvicorn's own words are not for callers
        too_large = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._refuse(too_large if self._too_large else HTTPStatus.BAD_REQUEST)

    def _end_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_patience(self) -> None:
        self._patience = None
        if self._refused:
            return
        if self._incomplete:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _count(self, size: int, headers: int = 0) -> None:
        self._head_bytes += size
        self._unread_bytes = 0
        self._too_large = self._head_bytes > MOST_HEAD_BYTES or headers > MOST_HEADERS
        if self._too_large:
            raise ValueError("too large a head")  # the parser stops, and our caller asks for the answer

    def _refuse(self, status: HTTPStatus) -> None:
        """Take no more from the caller, and answer if it is this request's turn."""
        self._refused = True
        cycle = cast("RequestResponseCycle | None", self.cycle)  # which there is not before the first request
        if cycle is None or (self._in_head and cycle.response_complete):
            self._answer(status)
        elif self._in_head:
            cycle.keep_alive = False  # earlier requests get their answers, and the last one hangs up
        elif cycle.response_started or self.pipeline:
            self.transport.close()
        else:  # the app waits for a body whose rest is no HTTP
            cycle.disconnected = True
            cycle.message_event.set()
            self._answer(status)

    def _answer(self, status: HTTPStatus) -> None:
        exchange = Exchange(correlation_id_of(self.headers or ()))
        body = msgspec.json.encode(ErrorAnswer(_TEXTS[status], status, SystemClock().now()))
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n"
            f"{CORRELATION_HEADER}: {exchange.correlation_id}\r\n"
        )
        self.transport.write(head.encode() + _CLOSING + body)
        self.transport.write_eof()
        self.flow.resume_reading()
        self._linger = self.loop.call_later(LINGER_SECONDS, self.transport.close)
        self._watch.refused(status, exchange)
