"""What a request asks for, and the forms of its answer."""

import json
import re
from typing import Any, NamedTuple, cast

from aiohttp import web
from tests.kubernetes.objects import Json
from tests.kubernetes.selectors import Selector, fields_selected, labels_selected
from tests.kubernetes.statuses import RefusedError, forbidden

_JOBS = re.compile(r"/apis/batch/v1/namespaces/(?P<namespace>[^/]+)/jobs(/(?P<name>[^/]+))?")
_ANY = re.compile(
    r"/(api|apis/(?P<group>[^/]+))/[^/]+/namespaces/(?P<namespace>[^/]+)/(?P<resource>[^/]+)(/.*)?"
)
_VERBS = {"POST": "create", "GET": "get", "DELETE": "delete", "PUT": "update", "PATCH": "patch"}


class Call(NamedTuple):
    """A request about Jobs, with its verb as RBAC names it; the namespace is empty for other things."""

    verb: str
    namespace: str
    name: str
    query: dict[str, str]
    body: Json | None

    def check_about_jobs(self, user: str, path: str) -> None:
        """Refuse what is about anything but Jobs: no caller of ours may touch it.

        Raises:
            RefusedError: 403.
        """
        if self.namespace:
            return
        match = _ANY.fullmatch(path)
        if match is None:
            words = f'forbidden: User "{user}" cannot {self.verb} path "{path}"'
            raise RefusedError(403, "Forbidden", words, details={})
        group = match["group"] or ""
        raise forbidden(user, self.verb, match["namespace"], resource=match["resource"], group=group)

    def selected(self) -> Selector:
        """The Jobs that a list or a watch is about.

        Raises:
            RefusedError: 400, a selector cannot be read.
        """
        by_label = labels_selected(self.query.get("labelSelector", ""))
        by_field = fields_selected(self.query.get("fieldSelector", ""))

        def chosen(job: Json) -> bool:
            metadata = job["metadata"]
            here = metadata["namespace"] == self.namespace and self.name in {"", metadata["name"]}
            return here and by_label(job) and by_field(job)

        return chosen


async def call_of(request: web.Request) -> Call:
    """Read a request."""
    query = dict(request.query)
    match = _JOBS.fullmatch(request.path)
    namespace, name = (match["namespace"], match["name"] or "") if match else ("", "")
    verb = _VERBS.get(request.method, request.method.lower())
    if verb == "get" and query.get("watch", "").lower() in {"true", "1"}:
        verb = "watch"
    elif not name and verb in {"get", "delete"}:
        verb = {"get": "list", "delete": "deletecollection"}[verb]
    return Call(verb, namespace, name, query, _object(await request.read()))


def answer(code: int, thing: Json, headers: dict[str, str] | None = None) -> web.Response:
    """An object or a Status."""
    # The real server names no charset, and callers tell a Status from other errors by this very header.
    both = {"Content-Type": "application/json"} | (headers or {})
    return web.Response(status=code, body=json.dumps(thing).encode(), headers=both)


def refusal(refused: RefusedError) -> web.Response:
    """A Status that says why not."""
    return answer(refused.code, refused.status, refused.headers)


def cut(request: web.Request) -> web.Response:
    """Cut the connection; what is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _object(body: bytes) -> Json | None:
    try:
        thing: Any = json.loads(body)
    except ValueError:
        return None
    return cast("Json", thing) if isinstance(thing, dict) else None
