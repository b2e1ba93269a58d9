"""``/docs``: the OpenAPI document and a page that renders it, without a byte from elsewhere."""

import asyncio
from functools import cache
from http import HTTPStatus
from importlib import resources
from typing import Any, Final

import msgspec
from litestar import MediaType, Request, get

from globeco_allocation.entrypoints.http.errors import NOTHING_THERE, RefusedRequestError
from globeco_allocation.entrypoints.http.openapi import document
from globeco_allocation.entrypoints.http.options import HttpOptions
from globeco_allocation.entrypoints.http.reply import Reply
from globeco_allocation.entrypoints.http.security_headers import OWN_FILES_ONLY
from globeco_allocation.entrypoints.http.state import app_state

_FOLDER: Final = resources.files(__package__ or __name__) / "static"
_ASSETS: Final = {
    "docs.js": ("docs.js", "text/javascript"),
    "swagger-ui-bundle.js": ("swagger-ui/swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": ("swagger-ui/swagger-ui.css", "text/css"),
}
_PAGE_HEADERS: Final = {"Content-Security-Policy": OWN_FILES_ONLY, "Cache-Control": "no-cache"}
_ASSET_HEADERS: Final = {"Cache-Control": "public, max-age=3600"}


@get(include_in_schema=False)
async def docs_page(request: Request[Any, Any, Any]) -> Reply:
    """Show the page; its links are relative, for a gateway may have put a prefix before the path."""
    asked = request.scope["raw_path"]
    base = b"" if asked.endswith(b"/") else b"docs/"
    page = (await _read("docs.html")).replace(b"{base}", base)
    return Reply(page, media_type=MediaType.HTML, headers=_PAGE_HEADERS)


@get(include_in_schema=False)
async def openapi_document(request: Request[Any, Any, Any]) -> Reply:
    """Show the OpenAPI document."""
    return Reply(_document(app_state(request).options))


@get(include_in_schema=False)
async def docs_asset(request: Request[Any, Any, Any]) -> Reply:
    """Serve one of the page's own files."""
    if (found := _ASSETS.get(request.path_params["name"])) is None:
        raise RefusedRequestError(HTTPStatus.NOT_FOUND, NOTHING_THERE)
    name, media_type = found
    return Reply(await _read(name), media_type=media_type, headers=_ASSET_HEADERS)


async def _read(name: str) -> bytes:
    return await asyncio.to_thread((_FOLDER / name).read_bytes)


@cache
def _document(options: HttpOptions) -> bytes:
    return msgspec.json.encode(document(options))
