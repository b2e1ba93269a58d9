"""Answers that are not sent again to a caller who has them (RFC 9110, section 13)."""

from http import HTTPStatus
from typing import Any

from litestar import Request

from globeco_allocation.entrypoints.http.reply import Reply


def if_changed(request: Request[Any, Any, Any], reply: Reply, tag: str, cache_control: str) -> Reply:
    """Return the reply under its entity tag; 304 without a body when the caller names this tag.

    Args:
        request: What the caller asked.
        reply: The whole answer.
        tag: Another one for each other body; without quotes.
        cache_control: Who may keep it, and whether it must be asked for again.
    """
    kept = {"ETag": f'"{tag}"', "Cache-Control": cache_control}
    headers = {**(reply.headers or {}), **kept}
    if _names(request.headers.getall("if-none-match", []), tag):
        return Reply(b"", HTTPStatus.NOT_MODIFIED, headers=headers)
    return Reply(reply.body, reply.status, reply.media_type, headers)


def _names(lines: list[str], tag: str) -> bool:
    tags = [one.strip().removeprefix("W/") for line in lines for one in line.split(",")]
    return "*" in tags or f'"{tag}"' in tags
