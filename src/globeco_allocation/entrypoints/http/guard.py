"""Who may call the API: bearers of tokens where there are any, and no page of a stranger's in any case."""

from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Any, Final, cast

from litestar.types import ASGIApp, Receive, Scope, Send

from globeco_allocation.entrypoints.api_tokens import Right, digest
from globeco_allocation.entrypoints.http.cors import ANY_ORIGIN
from globeco_allocation.entrypoints.http.errors import RefusedRequestError
from globeco_allocation.entrypoints.http.exchange import current_exchange
from globeco_allocation.entrypoints.http.token_watch import TokenWatch

NO_TOKEN: Final = "This needs a token: send it as Authorization: Bearer <token>."  # noqa: S105
UNKNOWN_TOKEN: Final = "This token is not known here."  # noqa: S105
NO_RIGHT: Final = "This token is good for reading only; this needs one with the right to send."
STRANGE_PAGE: Final = (
    "A page of another origin has asked for this, as a browser lets any page do. CORS_ALLOWED_ORIGINS names "
    "the origins whose pages may; else send Content-Type: application/json."
)

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="globeco-allocation"'}
_REFUSED_TOKEN = {"WWW-Authenticate": 'Bearer realm="globeco-allocation", error="invalid_token"'}
_WEAK_TOKEN = {"WWW-Authenticate": 'Bearer realm="globeco-allocation", error="insufficient_scope"'}
_SCHEME = b"bearer "

Middleware = Callable[[ASGIApp], ASGIApp]


def guard(watch: TokenWatch | None, origins: Collection[str]) -> Middleware:
    """Make the middleware that stands before the API's handlers.

    Args:
        watch: Knows the tokens; None lets everybody in.
        origins: Those whose pages may call us.
    """
    allowed = frozenset(origin.rstrip("/").encode() for origin in origins)
    any_origin = ANY_ORIGIN in origins

    def before(app: ASGIApp) -> ASGIApp:
        async def check(scope: Scope, receive: Receive, send: Send) -> None:
            method: str = cast("Any", scope)["method"]
            if method == "POST":
                if not any_origin:
                    _refuse_strange_pages(scope, allowed)
                if watch is not None:
                    _admit(scope, watch, Right.SEND)
            elif watch is not None and method != "OPTIONS":  # which a browser asks without its page's headers
                _admit(scope, watch, Right.READ)
            await app(scope, receive, send)

        return check

    return before


def _admit(scope: Scope, watch: TokenWatch, needed: Right) -> None:
    """Let the bearer of a token pass.

    The table is asked for the token's digest. How long that takes tells of the digest at most, from which no
    token can be found; so there is nothing to compare in constant time.

    Raises:
        RefusedRequestError: there is no token, more than one, an unknown one, or one without the right.
    """
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) != 1 or given[0][: len(_SCHEME)].lower() != _SCHEME:
        raise RefusedRequestError(HTTPStatus.UNAUTHORIZED, NO_TOKEN, headers=_CHALLENGE)
    token = watch.tokens.get(digest(given[0][len(_SCHEME) :].strip()))
    if token is None:
        raise RefusedRequestError(HTTPStatus.UNAUTHORIZED, UNKNOWN_TOKEN, headers=_REFUSED_TOKEN)
    current_exchange().token_name = token.name
    if needed is Right.SEND and token.right is not Right.SEND:
        raise RefusedRequestError(HTTPStatus.FORBIDDEN, NO_RIGHT, headers=_WEAK_TOKEN)


def _refuse_strange_pages(scope: Scope, allowed: Collection[bytes]) -> None:
    """Refuse what a browser sends for any page, without asking us first.

    Whoever works in the cluster's network may look at a stranger's page, and that could have batches sent. A
    body that is said to be JSON is none of these requests: for that the browser asks first.

    Raises:
        RefusedRequestError: it is one of them.
    """
    origin = host = content_type = b""
    for name, value in scope["headers"]:
        if name == b"origin":
            origin = value
        elif name == b"host":
            host = value
        elif name == b"content-type":
            content_type = value
    if not origin or origin in allowed or origin.partition(b"://")[2] == host:
        return
    if content_type.partition(b";")[0].strip().lower() != b"application/json":
        raise RefusedRequestError(HTTPStatus.FORBIDDEN, STRANGE_PAGE)
