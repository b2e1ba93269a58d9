"""HTTP on the wire: uvicorn's protocol, with our own words for what is no HTTP."""

import uuid
from http import HTTPStatus

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from globeco_allocation.adapters.system_clock import SystemClock
from globeco_allocation.entrypoints.http.answers import ErrorAnswer
from globeco_allocation.entrypoints.http.observability import CORRELATION_HEADER

_MALFORMED = "This is no HTTP request that can be understood."


class Protocol(HttpToolsProtocol):
    """Answers bytes that are no HTTP request in the one error shape (design, "Errors"); no app sees them."""

    def send_400_response(self, msg: str) -> None:
        """Answer 400 and hang up; uvicorn's own words are not for callers."""
        del msg
        answer = ErrorAnswer(_MALFORMED, HTTPStatus.BAD_REQUEST, SystemClock().now())
        body = msgspec.json.encode(answer)
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n"
            f"{CORRELATION_HEADER}: {uuid.uuid4().hex}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
