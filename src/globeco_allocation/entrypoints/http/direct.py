"""Call route handlers directly.

Each of ours takes the request and returns a `Reply`. What Litestar does between routing and handler
(arguments from signatures, dependencies, hooks, caches) and after it (encoding, cookies) has nothing to do
here, and takes longer than most of the handlers do. Routing, errors and lifespan are Litestar's as ever.
"""

from typing import Any, cast

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from globeco_allocation.entrypoints.http.reply import Reply


class Direct:
    """A middleware that does the work of every route; what it stands before is passed by.

    Args:
        app: What would have done it.
    """

    def __init__(self, app: ASGIApp) -> None:
        del app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the handler that was routed to, and send its reply."""
        handler = cast("HTTPRouteHandler", scope["route_handler"])
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        reply: Reply = await handler.fn(request)
        await reply.send(send)
