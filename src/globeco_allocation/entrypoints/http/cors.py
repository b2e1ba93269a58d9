"""Cross-origin answers, for configured origins only.

Litestar's own middleware answers a refused preflight in a shape of its own and takes patterns for origins;
this one takes exact origins, and leaves it to the browser to refuse.
"""

from collections.abc import Collection
from typing import Final

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from globeco_allocation.entrypoints.http.observability import CORRELATION_HEADER

ANY_ORIGIN: Final = "*"

_METHODS = b"GET, HEAD, POST, OPTIONS"
_REQUEST_HEADERS = f"Authorization, Content-Type, Prefer, {CORRELATION_HEADER}".encode()
_EXPOSED_HEADERS = f"{CORRELATION_HEADER}, Location, Preference-Applied".encode()
_PREFLIGHT_SECONDS = b"600"


class Cors:
    """The inner app, with the headers that let pages of other origins read its answers.

    Args:
        inner: The app.
        origins: Such as ``https://portal.example``; `ANY_ORIGIN` for all.
    """

    def __init__(self, inner: ASGIApp, origins: Collection[str]) -> None:
        self._inner = inner
        self._any = ANY_ORIGIN in origins
        self._origins = frozenset(origin.rstrip("/").encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI scope."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        allowed = origin is not None and (self._any or origin in self._origins)
        shown = self._headers(origin) if allowed and origin is not None else []
        if not self._any:
            shown = [*shown, (b"vary", b"Origin")]  # a cache must not show one origin's answer to another
        if _is_preflight(scope, headers):
            await _answer_preflight(send, shown, allowed=allowed)
            return

        async def send_shown(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *shown]
            await send(message)

        await self._inner(scope, receive, send_shown)

    def _headers(self, origin: bytes) -> list[tuple[bytes, bytes]]:
        return [
            (b"access-control-allow-origin", ANY_ORIGIN.encode() if self._any else origin),
            (b"access-control-expose-headers", _EXPOSED_HEADERS),
        ]


def _is_preflight(scope: HTTPScope, headers: dict[bytes, bytes]) -> bool:
    return (
        scope["method"] == "OPTIONS" and b"origin" in headers and b"access-control-request-method" in headers
    )


async def _answer_preflight(send: Send, shown: list[tuple[bytes, bytes]], *, allowed: bool) -> None:
    """Answer 204; without the headers that allow it, the browser does not send the request."""
    headers = list(shown)
    if allowed:
        headers += [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _REQUEST_HEADERS),
            (b"access-control-max-age", _PREFLIGHT_SECONDS),
        ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
