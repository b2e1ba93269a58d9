"""Asking the API until it tells, and waiting for a Job's end, whatever connections do meanwhile."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TypeVar

from globeco_allocation.adapters import log_events
from globeco_allocation.adapters.kubernetes_job.api import JobsApi
from globeco_allocation.adapters.kubernetes_job.patience import Patience, Pauses
from globeco_allocation.adapters.kubernetes_job.seen_job import (
    RefusedError,
    SeenJob,
    UnansweredError,
    VersionExpiredError,
)
from globeco_allocation.adapters.kubernetes_job.template import JobTemplate
from globeco_allocation.adapters.log_events import facts
from globeco_allocation.domain.errors import RunNotFollowedError

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Following:
    """Reads and watches Jobs; every wait of it has a bound."""

    def __init__(self, api: JobsApi, template: JobTemplate, patience: Patience) -> None:
        self._api = api
        self._template = template
        self._patience = patience

    async def told(self, call: Callable[[], Awaitable[T]]) -> T:
        """Ask until the API answers.

        Not even a refusal to tell is final here: an API that is only starting knows no roles yet.

        Raises:
            RunNotFollowedError: it does not for too long.
        """
        pauses = Pauses(self._patience, self._patience.outage)
        while True:
            try:
                return await call()
            except (UnansweredError, RefusedError) as error:
                at_least = error.retry_after if isinstance(error, UnansweredError) else 0.0
                if not await pauses.pause(at_least):
                    raise RunNotFollowedError(
                        f"the Kubernetes API does not tell now what became of the Jobs ({error})"
                    ) from error

    async def to_its_end(self, job: SeenJob, within: float) -> SeenJob:
        """Wait until no process of a Job can run any more.

        Args:
            job: As it was read.
            within: Seconds.

        Returns:
            The finished Job, or the deleted one once its process had the time to end.

        Raises:
            RunNotFollowedError: it takes longer, or the API does not tell for too long.
        """
        end = asyncio.get_running_loop().time() + within
        pauses = Pauses(self._patience, within)
        since = job.version
        while not job.over:
            began = asyncio.get_running_loop().time()
            try:
                job, since = await self._watched(job, since, end - began)
            except VersionExpiredError:
                # The version of a Job that seldom changes grows too old; that of a list of Jobs is new.
                since = await self.told(partial(self._api.version, job.name))
            if job.over:
                break
            job, since = await self._read_again(job, since)
            if asyncio.get_running_loop().time() - began >= self._patience.longest_pause:
                pauses.restart()
            if not job.over and not await pauses.pause():
                raise RunNotFollowedError(
                    f"the Job {job.name} did not end in time, nor did Kubernetes end it"
                )
        if job.gone and job.end is None:
            await self.process_ended(orphaned=job.orphaned)
        return job

    async def process_ended(self, *, orphaned: bool = False) -> None:
        """Wait for as long as the process of a deleted Job may still run.

        Its name is free, and nothing tells about its pod: that has its grace period, or, when the Job was
        deleted without it, all of its time.
        """
        seconds = self._template.pod_seconds if orphaned else 0
        await asyncio.sleep(seconds + self._template.grace_seconds + self._patience.margin)

    async def _watched(self, job: SeenJob, since: str, within: float) -> tuple[SeenJob, str]:
        """Watch until the Job is over or the watch is; return what was seen last, and where to go on."""
        try:
            async with (
                asyncio.timeout(min(within, self._patience.watch)),
                aclosing(self._api.changes(job.name, since)) as changes,
            ):
                async for change in changes:
                    job, since = change.after(job), change.version
                    if job.over:
                        break
        except (UnansweredError, TimeoutError) as error:
            _log.debug(log_events.JOB_WATCH_ENDED, extra=facts(run=job.name, reason=str(error)))
        return job, since

    async def _read_again(self, job: SeenJob, since: str) -> tuple[SeenJob, str]:
        """Read a Job after a watch: a deletion in between shows in no event."""
        found = await self.told(partial(self._api.get, job.name))
        if found is None or found.uid != job.uid:
            return replace(job, gone=True), since
        return found.after(job), since if found.version == job.version else found.version
