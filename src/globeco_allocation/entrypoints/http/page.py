"""``/``: the operator's page, which loads and calls nothing but this service."""

import asyncio
import hashlib
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib import resources
from typing import Any, Final

from litestar import MediaType, Request, get

from globeco_allocation import __version__
from globeco_allocation.entrypoints.http.conditional import if_changed
from globeco_allocation.entrypoints.http.errors import NOTHING_THERE, RefusedRequestError
from globeco_allocation.entrypoints.http.reply import Reply
from globeco_allocation.entrypoints.http.security_headers import OWN_FILES_ONLY

_FOLDER: Final = resources.files(__package__ or __name__) / "static" / "page"
_SCRIPT, _STYLE, _IMAGE = "text/javascript", "text/css", "image/svg+xml"
_PAGE: Final = "index.html"
ASSETS: Final = {
    "api.js": _SCRIPT,
    "app.js": _SCRIPT,
    "batches.js": _SCRIPT,
    "batch-detail.js": _SCRIPT,
    "chart.js": _SCRIPT,
    "dialogs.js": _SCRIPT,
    "dom.js": _SCRIPT,
    "format.js": _SCRIPT,
    "live.js": _SCRIPT,
    "waiting.js": _SCRIPT,
    "words.js": _SCRIPT,
    "chart.css": _STYLE,
    "page.css": _STYLE,
    "icon.svg": _IMAGE,
}
"""The page's own files and their types."""

_ASSET_HEADERS: Final = {"Cross-Origin-Resource-Policy": "same-origin"}
_PAGE_HEADERS: Final = {
    **_ASSET_HEADERS,
    # Nor does any text become markup.
    "Content-Security-Policy": f"{OWN_FILES_ONLY}; require-trusted-types-for 'script'; trusted-types 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_REVALIDATED: Final = "no-cache"  # replicas of two versions may answer in turn: each is asked for its own tag


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    tag: str


@get(include_in_schema=False)
async def operators_page(request: Request[Any, Any, Any]) -> Reply:
    """Show the page; its links are relative, for a gateway may have put a prefix before the path."""
    file = await asyncio.to_thread(_read, _PAGE)
    reply = Reply(file.body, media_type=MediaType.HTML, headers=_PAGE_HEADERS)
    return if_changed(request, reply, file.tag, _REVALIDATED)


@get(include_in_schema=False)
async def page_asset(request: Request[Any, Any, Any]) -> Reply:
    """Serve one of the page's own files."""
    name = request.path_params["name"]
    if (media_type := ASSETS.get(name)) is None:
        raise RefusedRequestError(HTTPStatus.NOT_FOUND, NOTHING_THERE)
    file = await asyncio.to_thread(_read, name)
    return if_changed(
        request, Reply(file.body, media_type=media_type, headers=_ASSET_HEADERS), file.tag, _REVALIDATED
    )


@cache
def _read(name: str) -> _File:
    """Read a file once: all of them are smaller than one answer of ours may be."""
    body = (_FOLDER / name).read_bytes()
    if name == _PAGE:
        body = body.replace(b"{version}", __version__.encode())
    return _File(body, hashlib.sha256(body).hexdigest()[:32])
