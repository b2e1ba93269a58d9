"""Read a request's body, within its limit."""

from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request

from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.http.errors import NOT_UNDERSTOOD, RefusedRequestError
from globeco_allocation.entrypoints.http.state import app_state

_log: Any = structlog.get_logger()


async def read_body(request: Request[Any, Any, Any]) -> bytes:
    """Return the whole body.

    Raises:
        RefusedRequestError: it is larger than allowed (413), also when it only says so; or the caller hung up
            before its end.
    """
    most = app_state(request).options.max_body_bytes
    if _announced(request) > most:
        raise _too_large(most)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            _log.info(logs.CALLER_HUNG_UP)
            raise RefusedRequestError(HTTPStatus.BAD_REQUEST, NOT_UNDERSTOOD)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks) if len(chunks) > 1 else chunk


def _announced(request: Request[Any, Any, Any]) -> int:
    for name, value in request.scope["headers"]:
        if name == b"content-length":
            return int(value)  # the parser has made sure that it is a number
    return 0


def _too_large(most: int) -> RefusedRequestError:
    return RefusedRequestError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The request body has more than {most} bytes."
    )
