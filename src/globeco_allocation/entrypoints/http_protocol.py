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
    PROBES,
    Observability,
    correlation_id_of,
)
from globeco_allocation.entrypoints.http.security_headers import FOR_DATA
from globeco_allocation.entrypoints.open_connections import OpenConnections

MOST_HEAD_BYTES: Final = 64 * 1024
"""Of a request's address, headers and trailers together."""

MOST_HEADERS: Final = 200
"""With the trailers."""

STALL_SECONDS = 30.0
"""How long a caller may take nothing of its answer, once so much is waiting that we write no more."""

UNSENT_BYTES: Final = 16 * 1024
"""Of an answer that its caller does not take: with more of them, we write no more."""

LINGER_SECONDS: Final = 2.0
"""How long a refused caller may go on sending: hung up on at once, it would lose our answer unread."""

REQUEST_SECONDS = 30.0
"""How long a request may take to come in, from its first byte to its last, even if it never stops."""

SILENT_SECONDS = 75.0
"""How long a new connection may say nothing: as long as one that was used."""

_CLOSING: Final = b"".join(b"%s: %s\r\n" % one for one in FOR_DATA) + b"connection: close\r\n\r\n"
_PROBES: Final = frozenset(path.encode() for path in PROBES)
_SEPARATORS = len(": \r\n")
_TEXTS = {
    HTTPStatus.BAD_REQUEST: "This is no HTTP request that can be understood.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        f"The request's address and headers have more than {MOST_HEAD_BYTES} bytes, "
        f"or are more than {MOST_HEADERS} headers."
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: "The service has no room for this now; try again later.",
    HTTPStatus.REQUEST_TIMEOUT: f"The request was not complete within {REQUEST_SECONDS:.0f} seconds.",
}


class _NoRoomError(Exception):
    """A request in the reserve that is no probe's."""


class Protocol(HttpToolsProtocol):
    """Answers what is no request for the app in the one error shape (design, "Errors").

    Args:
        config: With an `Observability` for its app, which counts and logs these answers, too.
        server_state: The server's.
        app_state: The lifespan's.
        connections: Those of this process.
        _loop: The running one by default.

    Raises:
        TypeError: the app is another.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        connections: OpenConnections,
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        if not isinstance(config.app, Observability):
            raise TypeError("the protocol serves an Observability")
        self._watch = config.app
        self._room = connections
        self._in_reserve = False
        self._held = 0  # bytes of requests that have not been answered
        self._stall: asyncio.TimerHandle | None = None
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
        transport.set_write_buffer_limits(UNSENT_BYTES)
        self._patience = self.loop.call_later(SILENT_SECONDS, self._lose_patience)
        self._in_reserve = not self._room.take(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the caller; those of a refused one are thrown away."""
        if self._refused:
            return
        size = len(data)
        self._unread_bytes += size
        self._held += size
        if not self._room.hold(size):
            self._room.turned_away("refused")
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
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
        """Take a header, or a trailer; white space around its value is none of it (RFC 9110, 5.5)."""
        self._count(len(name) + len(value) + _SEPARATORS, len(self.headers) + 1)
        super().on_header(name, value.strip(b" \t"))

    def on_headers_complete(self) -> None:
        """Pass the request on to the app."""
        if self._in_reserve:
            self._in_reserve = not self._room.has_room()
        if self._in_reserve and self.url.partition(b"?")[0] not in _PROBES:
            self._room.turned_away("refused")
            raise _NoRoomError  # the parser stops, and our caller asks for the answer
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

    def on_response_complete(self) -> None:
        """Forget the request: it is answered."""
        self._room.release(self._held)
        self._held = 0
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the caller."""
        if self._linger is not None:
            self._linger.cancel()
        self._end_patience()
        self._end_stall()
        self._room.leave(self)
        self._held = 0
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Write no more for now, to a caller who takes nothing."""
        super().pause_writing()
        self._room.stall(self)
        if self._stall is None:
            self._stall = self.loop.call_later(STALL_SECONDS, self.close_for_room)

    def resume_writing(self) -> None:
        """Go on: the caller has taken what there was."""
        self._end_stall()
        self._room.flow(self)
        super().resume_writing()

    def waits_since(self) -> float | None:
        """Tell since when the caller keeps us waiting; None while we work on its request."""
        if self._linger is not None:  # it was refused, and may read why
            return self._linger.when() - LINGER_SECONDS
        if self._stall is not None:
            return self._stall.when() - STALL_SECONDS
        if self.timeout_keep_alive_task is not None:
            return self.timeout_keep_alive_task.when() - self.timeout_keep_alive
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if self._patience is None or (
            cycle is not None and not cycle.response_complete and not cycle.more_body
        ):
            return None
        return self._patience.when() - (REQUEST_SECONDS if self._incomplete else SILENT_SECONDS)

    def held_bytes(self) -> int:
        """Tell how much of requests without an answer the caller has brought."""
        return self._held

    def unsent_bytes(self) -> int:
        """Tell how much of its answers the caller has not taken."""
        return self.transport.get_write_buffer_size()

    def close_for_room(self) -> None:
        """Hang up at once."""
        self._held = 0
        self._end_stall()
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser, or one of the methods above, did not take."""
        del msg  # uvicorn's own words are not for callers
        if self._in_reserve and not self._too_large:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        too_large = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._refuse(too_large if self._too_large else HTTPStatus.BAD_REQUEST)

    def _end_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

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
