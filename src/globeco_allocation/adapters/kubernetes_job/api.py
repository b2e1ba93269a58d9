"""The few calls to the Kubernetes API that the runner needs, answered in its words.

The chart allows Jobs to be created, read, listed, watched and deleted; no pods and no logs.
"""

import asyncio
import math
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Protocol, TypeVar, cast

import httpx2
from lightkube import AsyncClient
from lightkube.config.client_adapter import verify_cluster
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ApiError, ConfigError, NotReadyError
from lightkube.core.generic_client import ListAsyncIterable
from lightkube.models.batch_v1 import JobStatus
from lightkube.resources.batch_v1 import Job

from globeco_allocation.adapters.kubernetes_job.patience import Patience
from globeco_allocation.adapters.kubernetes_job.refusals import Refusals
from globeco_allocation.adapters.kubernetes_job.seen_job import (
    JobEnd,
    NameTakenError,
    RefusedError,
    SeenJob,
    UnansweredError,
    VersionExpiredError,
)
from globeco_allocation.adapters.kubernetes_job.spec import job
from globeco_allocation.adapters.kubernetes_job.template import OURS, JobTemplate
from globeco_allocation.adapters.kubernetes_job.transport import Transport
from globeco_allocation.domain.accounting_run import RunOrder
from globeco_allocation.domain.errors import CliNotStartedError

T = TypeVar("T")

_AT_ONCE = 100
"""Jobs of a list that are held at once."""
_LONGEST_WORDS = 300
_WORD = re.compile(r"[A-Za-z]{1,40}")
_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_CONFLICT, _GONE, _NOT_FOUND, _TOO_MANY = 409, 410, 404, 429
_REFUSALS = frozenset({400, 401, 403, 404, 405, 406, 413, 415, 422})


class JobsApi:
    """Jobs of one namespace.

    Every call is made once and bounded, and may raise `UnansweredError` or `RefusedError`.
    """

    def __init__(self, client: "_JobsClient", patience: Patience) -> None:
        self._client = client
        self._patience = patience
        self._refusals = Refusals()

    async def get(self, name: str) -> SeenJob | None:
        """Return a Job, or None when the API says that there is none."""
        try:
            return await self._ask(lambda: self._read(name))
        except _NotFoundError:
            return None

    async def ours(self, keep: Callable[[SeenJob], bool]) -> list[SeenJob]:
        """Return those of our Jobs that are to be kept, whoever created them."""
        return await self._ask(lambda: self._listed(keep))

    async def reached(self) -> None:
        """Make sure that the API answers and lets us list Jobs."""
        await self._ask(lambda: self._version("none"))

    async def version(self, name: str) -> str:
        """Return a version from which a Job can be watched now."""
        return await self._ask(lambda: self._version(name))

    async def create(self, order: RunOrder, template: JobTemplate) -> SeenJob:
        """Create an order's Job.

        Raises:
            NameTakenError: there is a Job of that name.
        """
        try:
            return await self._ask(lambda: self._created(job(order, template)))
        except _NotFoundError as error:
            raise RefusedError("there is no such namespace") from error

    async def changes(self, name: str, version: str) -> AsyncGenerator[SeenJob]:
        """Yield a Job's states since *version* until the watch ends, which is an `UnansweredError`.

        The consumer bounds it, and closes it.

        Raises:
            VersionExpiredError: the version is too old.
        """
        watch = self._client.watch(
            Job,
            fields={"metadata.name": name},
            resource_version=version,
            server_timeout=math.ceil(self._patience.watch),
        )
        try:
            async with aclosing(watch):
                async for kind, changed in watch:
                    yield _seen(changed, gone=kind == "DELETED")
        except httpx2.HTTPStatusError as error:
            code = error.status.code if isinstance(error, ApiError) else error.response.status_code
            if code == _GONE:
                raise VersionExpiredError from error
            raise UnansweredError(f"a watch got {code}", sent=False) from error
        except (httpx2.HTTPError, ConfigError, OSError, ValueError) as error:
            raise UnansweredError(type(error).__name__, sent=False) from error

    async def _read(self, name: str) -> SeenJob:
        return _seen(await self._client.get(Job, name))

    async def _created(self, wanted: Job) -> SeenJob:
        return _seen(await self._client.create(wanted))

    async def _listed(self, keep: Callable[[SeenJob], bool]) -> list[SeenJob]:
        jobs = self._client.list(Job, labels=OURS, chunk_size=_AT_ONCE)
        return [seen async for one in jobs if keep(seen := _seen(one))]

    async def _version(self, name: str) -> str:
        jobs = self._client.list(Job, fields={"metadata.name": name})
        async for _ in jobs:
            pass
        return jobs.resourceVersion

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._patience.call):
                answer = await call()
        except ApiError as error:
            raise self._judged(error) from error
        except httpx2.HTTPStatusError as error:
            # No Status: some proxy's answer, or of an API that is only starting, whose 404 says nothing.
            code = error.response.status_code
            raise UnansweredError(f"an answer {code} that is not the API's", sent=True) from error
        except _UNSENT as error:
            raise UnansweredError("it cannot be reached", sent=False) from error
        except (httpx2.HTTPError, TimeoutError) as error:
            raise UnansweredError("it did not answer", sent=True) from error
        except (ConfigError, OSError) as error:
            raise UnansweredError("the service account's token cannot be read", sent=False) from error
        except (ValueError, NotReadyError) as error:
            raise UnansweredError("its answer cannot be read", sent=True) from error
        self._refusals.answered()
        return answer

    def _judged(self, error: ApiError) -> Exception:
        """Tell a refusal for sure from an answer that may be another one later."""
        status = error.status
        code = status.code or error.response.status_code
        reason = status.reason if status.reason and _WORD.fullmatch(status.reason) else "no reason given"
        if code == _NOT_FOUND and reason == "NotFound":
            self._refusals.answered()
            return _NotFoundError(reason)
        if code == _CONFLICT and reason == "AlreadyExists":
            self._refusals.answered()
            return NameTakenError(reason)
        self._refusals.refused(code, reason, (status.message or "")[:_LONGEST_WORDS])
        if code in _REFUSALS and code != _NOT_FOUND:
            return RefusedError(f"{reason}, {code}")
        sent = code not in {_CONFLICT, _GONE, _TOO_MANY}
        return UnansweredError(f"{reason}, {code}", sent=sent, retry_after=_retry_after(error.response))


class _JobsClient(Protocol):
    """What is used of lightkube's client, whose own types are looser."""

    async def get(self, res: type[Job], name: str) -> Job: ...

    async def create(self, obj: Job) -> Job: ...

    def list(
        self,
        res: type[Job],
        *,
        chunk_size: int | None = None,
        labels: dict[str, str] | None = None,
        fields: dict[str, str] | None = None,
    ) -> ListAsyncIterable[Job]: ...

    def watch(
        self, res: type[Job], *, fields: dict[str, str], server_timeout: int, resource_version: str
    ) -> AsyncGenerator[tuple[str, Job]]: ...

    async def aclose(self) -> None: ...


class _NotFoundError(RefusedError):
    """The API says that what was asked for is not there."""


@asynccontextmanager
async def open_jobs_api(config: SingleConfig, namespace: str, patience: Patience) -> AsyncGenerator[JobsApi]:
    """Connect to the API when it is first asked; close all connections at the end.

    Raises:
        CliNotStartedError: a certificate that the configuration names cannot be used.
    """
    try:
        user = config.user or User()  # nobody in particular
        tls = verify_cluster(config.cluster, user, config.abs_file, trust_env=False)
        transport = Transport(httpx2.AsyncHTTPTransport(verify=tls))
        timeout = httpx2.Timeout(patience.call)
        known = config._replace(user=user)
        client = AsyncClient(known, namespace, timeout=timeout, trust_env=False, transport=transport)
    except (ConfigError, OSError, ValueError) as error:
        raise CliNotStartedError(
            "no Kubernetes Job can be started: the certificates of the cluster's configuration cannot be used"
        ) from error
    async with aclosing(client):
        yield JobsApi(cast("_JobsClient", client), patience)


def _retry_after(response: httpx2.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def _seen(found: Job, *, gone: bool = False) -> SeenJob:
    """Put a Job into our words.

    Raises:
        ValueError: it has no identity, so it is none.
    """
    about, status = found.metadata, found.status or JobStatus()
    if about is None or not (about.name and about.uid and about.resourceVersion):
        raise ValueError("a Job without an identity")
    end = _end(status)
    ready = bool(status.ready)
    return SeenJob(
        name=about.name,
        uid=about.uid,
        version=about.resourceVersion,
        labels=about.labels or {},  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        end=end,
        was_ready=ready,
        was_waiting=end is None and not ready,
        orphaned=about.deletionTimestamp is not None and "orphan" in (about.finalizers or ()),
        gone=gone,
    )


def _end(status: JobStatus) -> JobEnd | None:
    # FailureTarget and SuccessCriteriaMet come before, while a process may still run.
    for condition in status.conditions or ():
        if condition.status == "True" and condition.type in {"Complete", "Failed"}:
            reason = condition.reason or ""
            return JobEnd(condition.type == "Complete", reason if _WORD.fullmatch(reason) else "")
    return None
