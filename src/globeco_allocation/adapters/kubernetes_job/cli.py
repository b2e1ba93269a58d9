"""The accounting CLI, run as a Kubernetes Job for each attempt."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from globeco_allocation.adapters import log_events
from globeco_allocation.adapters.bare_name import check_bare
from globeco_allocation.adapters.blocking import finish
from globeco_allocation.adapters.kubernetes_job.patience import Patience, Pauses
from globeco_allocation.adapters.kubernetes_job.seen_job import (
    NameTakenError,
    RefusedError,
    SeenJob,
    UnansweredError,
)
from globeco_allocation.adapters.kubernetes_job.template import (
    JobTemplate,
    belongs_to,
    is_later_attempt,
    may_touch_the_same,
)
from globeco_allocation.adapters.log_events import facts
from globeco_allocation.adapters.output_files.error_file import allow_long_fields, error_rows
from globeco_allocation.adapters.output_files.leftovers import Leftovers
from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow, RunOrder
from globeco_allocation.domain.errors import CliNotStartedError, RunNotFollowedError, StoreUnavailableError
from globeco_allocation.ports.accounting import RunPermit

if TYPE_CHECKING:
    from lightkube.config.kubeconfig import SingleConfig

    from globeco_allocation.adapters.kubernetes_job.api import JobsApi
    from globeco_allocation.adapters.kubernetes_job.following import Following

_NOT_INSTALLED = (
    "no Kubernetes Job can be started: lightkube is not installed; install globeco-allocation[kubernetes]"
)
_PAST_ITS_DEADLINE = "DeadlineExceeded"

_log = logging.getLogger(__name__)


class KubernetesJobCli:
    """The port `globeco_allocation.ports.accounting.AccountingCli` on Kubernetes Jobs.

    To be used as an async context manager. A Job has its order's name, so an attempt has one at most: who
    finds it, or is told that the name is taken, waits for it. Within the chart's permissions a run shows its
    Job and its error file alone, so an `AccountingRun` from here has no counts.

    Args:
        template: What all Jobs have in common.
        output_dir: Where the transaction files are: the directory that the template's claim is.
        namespace: Where the Jobs are.
        patience: How long what is waited for.
        config: Where the API is; unless given, the pod's service account or the file ``KUBECONFIG``.
    """

    def __init__(
        self,
        template: JobTemplate,
        output_dir: Path,
        *,
        namespace: str,
        patience: Patience | None = None,
        config: "SingleConfig | None" = None,
    ) -> None:
        allow_long_fields()
        self._template = template
        self._output_dir = output_dir.absolute()
        self._namespace = namespace
        self._patience = patience or Patience()
        self._config = config
        self._longest = template.timeout_seconds + template.grace_seconds + self._patience.margin
        # Between a look at the lanes and a start: others of this process wait; a lease keeps other ones away.
        self._starting = asyncio.Lock()
        self._opened = AsyncExitStack()
        self._api: JobsApi
        self._following: Following

    async def __aenter__(self) -> Self:
        """Load lightkube and read the configuration; the API is first asked by `check`.

        Raises:
            CliNotStartedError: that cannot be; the message says what to do.
        """
        try:
            from globeco_allocation.adapters.kubernetes_job import api, config, following  # noqa: PLC0415
        except ModuleNotFoundError as error:
            if error.name is not None and error.name.startswith("globeco_allocation"):
                raise
            raise CliNotStartedError(_NOT_INSTALLED) from error
        cluster = self._config or config.kube_config()
        opening = api.open_jobs_api(cluster, self._namespace, self._patience)
        self._api = await self._opened.enter_async_context(opening)
        self._following = following.Following(self._api, self._template, self._patience)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections; Jobs go on."""
        await self._opened.aclose()

    async def check(self) -> None:
        """Make sure that the API lets us list Jobs; see the port.

        Raises:
            CliNotStartedError: it refuses; the message says why.
            RunNotFollowedError: it does not answer now.
        """
        try:
            await self._api.reached()
        except RefusedError as error:
            raise CliNotStartedError(
                f"the Kubernetes API does not let this service list Jobs in the namespace {self._namespace}"
                f" ({error}): it needs to create, get, list and watch them"
            ) from error
        except UnansweredError as error:
            raise RunNotFollowedError(f"the Kubernetes API cannot be used now: {error}") from error

    async def run(self, order: RunOrder, permit: RunPermit) -> AccountingRun:
        """Find the order's Job, or create it, and wait for its end; see the port."""
        check_bare(order.file_name)
        found = await self._following.told(lambda: self._api.get(order.name))
        if order.uid and (found is None or found.uid != order.uid):
            await self._following.process_ended()
            return _run_of_deleted(order.name)
        job = await self._start(order, permit) if found is None else _own(found, order)
        if job.uid != order.uid:
            await self._identify(job, permit)
        ended = await self._following.to_its_end(job, self._longest)
        run = _run_of(ended, self._template.timeout_seconds)
        if run.completed:
            await finish(self._note_end, order)
        return run

    def error_rows(self, order: RunOrder) -> AsyncGenerator[ErrorRow]:
        """Read the ended run's error file; see the port."""
        check_bare(order.file_name)
        return error_rows(Leftovers(self._output_dir, order.file_name).errors)

    def _note_end(self, order: RunOrder) -> None:
        """Leave word in the output directory for a recovery, which may be without it; blocks."""
        with suppress(OSError):
            Leftovers(self._output_dir, order.file_name).mark_completed(order.attempt)

    async def _identify(self, job: SeenJob, permit: RunPermit) -> None:
        try:
            await permit.identified(job.uid)
        except StoreUnavailableError:  # it is found by its name, too
            _log.warning(log_events.RUN_NOT_NOTED, extra=facts(run=job.name))

    async def _start(self, order: RunOrder, permit: RunPermit) -> SeenJob:
        """Create the order's Job once no other one may touch the same portfolios."""
        end = asyncio.get_running_loop().time() + self._longest
        while True:
            await self._take_turn_to_start()
            try:
                earlier = await self._following.told(partial(self._api.ours, partial(_matters, order)))
                own = [job for job in earlier if job.name == order.name]
                if own:
                    return _own(own[0], order)
                if any(is_later_attempt(order, job.name) for job in earlier):
                    raise RunNotFollowedError(f"the run {order.name} is over: a later attempt was begun")
                if not earlier:
                    return await self._create(order, permit)
            finally:
                self._starting.release()
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                raise RunNotFollowedError(
                    f"the run was not started yet: the Job {earlier[0].name} still goes on"
                )
            _log.info(log_events.JOB_WAITS, extra=facts(run=order.name, before=earlier[0].name))
            await self._following.to_its_end(earlier[0], left)

    async def _take_turn_to_start(self) -> None:
        try:
            async with asyncio.timeout(self._patience.outage):
                await self._starting.acquire()
        except TimeoutError as error:
            raise RunNotFollowedError("the run was not started yet: another start takes too long") from error

    async def _create(self, order: RunOrder, permit: RunPermit) -> SeenJob:
        """Create the order's Job, and find it again when the answer is lost.

        Its name makes a repetition safe: the API takes one Job of it only. The permit comes first:
        without it what lies in the output directory may be a successor's.
        """
        pauses = Pauses(self._patience, self._patience.outage)
        await permit.begin()
        await finish(self._make_room, order)
        perhaps_created, at_least = False, 0.0
        while True:
            try:
                return await self._api.create(order, self._template)
            except NameTakenError as error:
                if found := await self._found_after_all(order):
                    return found
                # It may have been this very run; its process may still go on.
                await self._following.process_ended()
                raise RunNotFollowedError(
                    f"whose the Job {order.name} was cannot be told: it was deleted just now"
                ) from error
            except RefusedError as error:
                raise _refused(order, error, perhaps_created=perhaps_created) from error
            except UnansweredError as error:
                perhaps_created, at_least = perhaps_created or error.sent, error.retry_after
                _log.warning(log_events.JOB_NOT_ANSWERED, extra=facts(run=order.name, reason=str(error)))
                if error.sent and (found := await self._found_after_all(order)):
                    return found
            if not await pauses.pause(at_least):
                raise RunNotFollowedError(
                    f"the Kubernetes API does not tell now whether the Job {order.name} was created"
                )
            await permit.begin()

    async def _found_after_all(self, order: RunOrder) -> SeenJob | None:
        found = await self._following.told(lambda: self._api.get(order.name))
        return None if found is None else _own(found, order)

    def _make_room(self, order: RunOrder) -> None:
        """Make sure that the file is there, and put aside what an earlier attempt left; blocks.

        Raises:
            CliNotStartedError: that cannot be.
        """
        try:
            if not (self._output_dir / order.file_name).is_file():
                raise CliNotStartedError(f"the file {order.file_name} is gone: nothing was sent")
            Leftovers(self._output_dir, order.file_name).put_aside(order.attempt - 1)
        except OSError as error:
            raise CliNotStartedError(
                f"the accounting CLI was not started: the output directory cannot be used ({error.strerror})"
            ) from error


def _matters(order: RunOrder, job: SeenJob) -> bool:
    """Tell whether one of our Jobs is the order's own, follows it, or has to end before it."""
    if job.name == order.name or is_later_attempt(order, job.name):
        return True
    return not job.over and may_touch_the_same(order, job.labels)


def _own(job: SeenJob, order: RunOrder) -> SeenJob:
    """Return the Job that has the order's name.

    Raises:
        CliNotStartedError: it is somebody else's.
    """
    if not belongs_to(order, job.labels):
        raise CliNotStartedError(
            f"another's Job has the name {job.name}: nothing was sent; find out whose it is, and delete it"
        )
    return job


def _refused(
    order: RunOrder, error: RefusedError, *, perhaps_created: bool
) -> CliNotStartedError | RunNotFollowedError:
    if perhaps_created:
        return RunNotFollowedError(f"it is not known now whether the Job {order.name} was created ({error})")
    return CliNotStartedError(
        f"the Kubernetes API refused the Job of the accounting CLI ({error}): nothing was sent"
    )


def _run_of_deleted(name: str) -> AccountingRun:
    return AccountingRun(None, None, f"the Job {name} was deleted")


def _run_of(job: SeenJob, timeout_seconds: int) -> AccountingRun:
    """Tell what a Job that is over says of its run."""
    if job.end is None:
        return _run_of_deleted(job.name)
    if job.end.complete:
        return AccountingRun(0, None)
    if job.end.reason == _PAST_ITS_DEADLINE:
        words = f"the Job {job.name} was ended past its {timeout_seconds} s"
        if job.was_waiting and not job.was_ready:
            words += "; its pod never became ready: is the image, the claim or the service account missing?"
        return AccountingRun(None, None, words, timed_out=True)
    return AccountingRun(None, None, f"the Job {job.name} failed ({job.end.reason or 'no reason given'})")
