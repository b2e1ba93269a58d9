"""The batch/v1 Jobs of a Kubernetes API on a real socket, with a cluster behind it that runs them."""

import asyncio
import json
import ssl
from collections.abc import Coroutine, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from tests.kubernetes.answers import delete_options, deletion_status, job_list, manager_of
from tests.kubernetes.calls import Call, answer, call_of, cut, refusal
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.faults import (
    CutBefore,
    Delay,
    Fault,
    Faults,
    Hang,
    HangAfter,
    Late,
    LoseAnswer,
    PlainNotFound,
    ServerFailed,
    TooManyRequests,
)
from tests.kubernetes.objects import Json
from tests.kubernetes.pods import Handler, until_told
from tests.kubernetes.record import Request, assert_lanes_kept, assert_one_job_a_name
from tests.kubernetes.statuses import (
    RefusedError,
    bad_request,
    forbidden,
    not_found,
    too_many_requests,
    unauthorized,
)
from tests.kubernetes.store import JobStore
from tests.kubernetes.watching import Watches, watch_wanted

NAMESPACE = "globeco"
LANE, LANES = "globeco-allocation/lane", "globeco-allocation/lanes"
_HTML = "<html><body><h1>{} Service Unavailable</h1></body></html>"


class KubernetesDouble:
    """An API server on 127.0.0.1, on the same port each time it is started.

    Attributes:
        store: The Jobs, as the server keeps them; it outlives `stop`.
        cluster: Runs them.
        faults: What goes wrong next.
        watches: The open watches.
        requests: Every request that came.
        permitted: What the caller's role allows it to do with Jobs; 403 for all else.
        namespaces: Where that role holds.
        token: The only one that is accepted; another one gets 401.
        latency: Seconds that every answer takes.
    """

    def __init__(
        self,
        *,
        handler: Handler = until_told,
        namespaces: Iterable[str] = (NAMESPACE,),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.store = JobStore(set(namespaces))
        self.cluster = Cluster(self.store, handler)
        self.faults = Faults()
        self.watches = Watches(self.store)
        self.requests: list[Request] = []
        self.permitted = {"create", "get", "list", "watch", "delete"}
        self.namespaces = set(namespaces)
        self.token = "first-token"
        self.latency = 0.0
        self.port = 0
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self._connections: set[asyncio.BaseTransport] = set()
        self._late: set[asyncio.Task[web.StreamResponse]] = set()
        self._crashes: list[Exception] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        await self.cluster.aclose()
        if self._crashes:
            raise AssertionError("the double itself failed on a request") from self._crashes[0]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, on the port of the last time if there was one."""
        app = web.Application(client_max_size=3 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Refuse connections and cut those that are open; the Jobs stay, and run on."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        for site in list(runner.sites):
            await site.stop()
        for connection in self._connections:
            if isinstance(connection, asyncio.WriteTransport):
                connection.abort()
        self._connections.clear()
        for task in self._late:
            task.cancel()
        await runner.cleanup()

    def expire(self) -> int:
        """Forget all history: open watches get an ERROR event 410, new ones at an old version too.

        Returns:
            How many watches were open.
        """
        self.store.compact()
        return self.watches.tell("expire")

    def rotate_token(self, token: str, file: Path | None = None) -> None:
        """Accept this token only, and put it where the caller reads its own, if that is named."""
        self.token = token
        if file is not None:
            file.write_text(token)

    def write_kubeconfig(self, path: Path, token_file: Path, authority: Path | None = None) -> Path:
        """Write a kubeconfig for a caller that reads its token from a file, and write that file."""
        token_file.write_text(self.token)
        cluster = {"server": self.url, **({"certificate-authority": str(authority)} if authority else {})}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "double",
            "clusters": [{"name": "double", "cluster": cluster}],
            "users": [{"name": "caller", "user": {"tokenFile": str(token_file)}}],
            "contexts": [
                {
                    "name": "double",
                    "context": {"cluster": "double", "user": "caller", "namespace": NAMESPACE},
                }
            ],
        }
        path.write_text(json.dumps(config))
        return path

    def requests_to(self, verb: str) -> list[Request]:
        """The requests of one verb, oldest first."""
        return [request for request in self.requests if request.verb == verb]

    def assert_one_job_an_attempt(self) -> None:
        """No name was used for two Jobs, and none was run twice.

        Raises:
            AssertionError: with the names.
        """
        assert_one_job_a_name(self.store.created)
        tries = {job["metadata"]["name"]: job["spec"]["backoffLimit"] for job in self.store.created}
        assert not any(tries.values()), f"the cluster itself may run them again (backoffLimit): {tries}"

    def assert_lanes_kept(self, lane_label: str = LANE, lanes_label: str = LANES) -> None:
        """At no moment could two Jobs of one lane run, nor two of different lane counts.

        Raises:
            AssertionError: with the two Jobs, or one that lacks a label.
        """
        assert_lanes_kept(self.cluster.spans.all, lane_label, lanes_label)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            self._connections.add(request.transport)
        call = await call_of(request)
        record = Request(
            call.verb,
            request.method,
            request.path,
            call.query,
            request.headers.get("User-Agent", ""),
            call.body,
        )
        self.requests.append(record)
        await asyncio.sleep(self.latency)
        try:
            response = await self._with_fault(request, call, self.faults.take(call.verb))
        except ConnectionError:
            # The caller left in the middle of its watch.
            raise
        except Exception as error:
            self._crashes.append(error)
            raise
        record.status = response.status if request.transport and not request.transport.is_closing() else 0
        return response

    async def _with_fault(self, request: web.Request, call: Call, fault: Fault | None) -> web.StreamResponse:
        match fault:
            case Hang():
                await asyncio.Event().wait()
            case Delay(seconds):
                await asyncio.sleep(seconds)
            case Late(seconds):
                return await self._unasked(self._later(request, call, seconds))
            case None | LoseAnswer() | HangAfter():
                pass
            case _:
                return _undone(request, fault)
        response = await self._carried_out(request, call)
        if isinstance(fault, HangAfter):
            await asyncio.Event().wait()
        return cut(request) if isinstance(fault, LoseAnswer) else response

    async def _later(self, request: web.Request, call: Call, seconds: float) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await self._carried_out(request, call)

    async def _unasked(self, work: Coroutine[Any, Any, web.StreamResponse]) -> web.StreamResponse:
        """Carry out what nobody may be waiting for any more."""
        task = asyncio.ensure_future(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        return await asyncio.shield(task)

    async def _carried_out(self, request: web.Request, call: Call) -> web.StreamResponse:
        try:
            self._admit(request, call)
            if call.verb == "watch":
                watch = watch_wanted(call.query, call.selected())
                return await self.watches.serve(request, watch)
            code, thing = self._done(call, request.headers.get("User-Agent", ""))
        except RefusedError as refused:
            return refusal(refused)
        return answer(code, thing)

    def _admit(self, request: web.Request, call: Call) -> None:
        said = request.headers.get("Authorization", "")
        if said and said != f"Bearer {self.token}":
            raise unauthorized()
        user = f"system:serviceaccount:{NAMESPACE}:allocation" if said else "system:anonymous"
        call.check_about_jobs(user, request.path)
        if not said or call.verb not in self.permitted or call.namespace not in self.namespaces:
            raise forbidden(user, call.verb, call.namespace, name=call.name)

    def _done(self, call: Call, user_agent: str) -> tuple[int, Json]:
        match call.verb:
            case "create":
                if call.body is None:
                    raise bad_request("the body of the request is no JSON object")
                manager = manager_of(call.query, user_agent)
                dry_run = "dryRun" in call.query
                job = self.store.create(call.namespace, call.body, manager=manager, dry_run=dry_run)
                if not dry_run:
                    self.cluster.created(job)
                return 201, job
            case "get":
                return 200, self.store.get(call.namespace, call.name)
            case "list":
                return 200, job_list(self.store, call.query, call.selected())
            case "delete":
                policy, uid = delete_options(call.query, call.body)
                job = self.cluster.delete(call.namespace, call.name, policy, uid)
                return 200, deletion_status(job) if policy == "Background" else job
            case _:
                raise not_found(call.name)


def _undone(
    request: web.Request, fault: PlainNotFound | TooManyRequests | ServerFailed | CutBefore
) -> web.Response:
    match fault:
        case PlainNotFound():
            return web.Response(status=404, text="404 page not found\n")
        case TooManyRequests(retry_after):
            return refusal(too_many_requests(retry_after))
        case ServerFailed(code, html=True):
            return web.Response(status=code, text=_HTML.format(code), content_type="text/html")
        case ServerFailed(code):
            words = "the server is currently unable to handle the request"
            return refusal(RefusedError(code, "ServiceUnavailable", words))
        case CutBefore():
            return cut(request)
