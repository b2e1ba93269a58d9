"""What route handlers return: bytes and what the caller is told of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from litestar import MediaType, Response
from litestar.types import Send

_JSON_TYPE: Final = (b"content-type", b"application/json")
_WITHOUT_BODY: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


@dataclass(slots=True)
class Reply:
    """An HTTP answer; Litestar's own class does the same, and much that nobody here asks for.

    Attributes:
        body: Left out with a 204 or 304.
        status: Such as 200.
        media_type: A text is said to be in UTF-8.
        headers: Others than those that follow from the body.
    """

    body: bytes
    status: int = HTTPStatus.OK
    media_type: str = MediaType.JSON
    headers: Mapping[str, str] | None = None

    async def send(self, send: Send) -> None:
        """Send it to the caller."""
        status = int(self.status)
        await send({"type": "http.response.start", "status": status, "headers": self._all_headers()})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})

    def for_litestar(self) -> Response[bytes]:
        """Return it as what Litestar's exception handlers must return."""
        return Response(
            self.body, status_code=self.status, media_type=self.media_type, headers=dict(self.headers or {})
        )

    def _all_headers(self) -> list[tuple[bytes, bytes]]:
        named = self.headers.items() if self.headers else ()
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in named]
        if self.status not in _WITHOUT_BODY:
            headers.append(self._content_type())
            headers.append((b"content-length", b"%d" % len(self.body)))
        return headers

    def _content_type(self) -> tuple[bytes, bytes]:
        if self.media_type is MediaType.JSON:
            return _JSON_TYPE
        text = self.media_type.startswith("text/") and "charset" not in self.media_type
        return b"content-type", (self.media_type + ("; charset=utf-8" if text else "")).encode("latin-1")
