"""The cluster behind the API: it runs the Jobs, and does to them what a test wants done."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.kubernetes.job_life import JobLife
from tests.kubernetes.objects import Json
from tests.kubernetes.pods import Handler, Pod, claims_of, until_told
from tests.kubernetes.record import Spans
from tests.kubernetes.store import JobStore
from tests.kubernetes.validation import restricted_violations

_PATIENCE = 10.0
_GLANCE = 0.005


class Cluster:
    """Runs each Job's pods, with a clock and with hindrances of the test's choice.

    Attributes:
        handler: What runs in the pods; by default they run until `succeed` or `fail`.
        second: A second of the cluster in real ones, for deadlines, grace periods and times to live.
        start_delay: Seconds of the cluster from a pod's making to its start.
        retry_delay: Seconds of the cluster before a Job with a `backoffLimit` tries again.
        look_again: Real seconds between two looks at whether a pending pod can start.
        claims: The directory that stands for each claim that exists; None: all exist, none has a directory.
        unpullable: Images that cannot be pulled: the pod stays Pending.
        service_accounts: Those that exist; None: all. Without its account a Job's pod is never made.
        restricted: Whether the namespace enforces the Pod Security Standard "restricted".
        spans: When each Job ran, or could have run.
    """

    def __init__(self, store: JobStore, handler: Handler = until_told) -> None:
        self.handler = handler
        self.second, self.start_delay, self.retry_delay, self.look_again = 1.0, 0.0, 10.0, 0.02
        self.claims: dict[str, Path] | None = None
        self.unpullable: set[str] = set()
        self.service_accounts: set[str] | None = None
        self.restricted = False
        self.spans = Spans()
        self._store = store
        self._lives: dict[str, JobLife] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    # What the API server tells.

    def created(self, job: Json) -> None:
        """A Job was stored: it is run from now on."""
        life = JobLife(job, self._store, self)
        self._lives[job["metadata"]["uid"]] = life
        self.spans.begin(job)
        self._own(life.run())
        self._own(self._note_end(life))

    def delete(self, namespace: str, name: str, policy: str | None, uid: str | None = None) -> Json:
        """Delete a Job; without a policy its pod is orphaned, and runs on without it.

        Returns:
            The Job, as it was last or as it is while its deletion goes on.

        Raises:
            RefusedError: there is none, or it has another uid than the wanted one.
        """
        job = self._store.get(namespace, name)
        life = self._lives[job["metadata"]["uid"]]
        if policy == "Background":
            gone = self._store.remove(namespace, name, uid)
            life.delete("background")
            return gone
        foreground = policy == "Foreground"
        finalizer = "foregroundDeletion" if foreground else "orphan"
        marked = self._store.mark_deleted(namespace, name, finalizer=finalizer, uid=uid)
        if foreground and not life.ended.is_set():
            life.delete("foreground")
        else:
            life.delete("orphan" if not foreground else "background")
            self._own(self._collect(namespace, name, job["metadata"]["uid"]))
        return marked

    # What a test does.

    def life(self, name: str) -> JobLife:
        """The newest Job of this name, also when it is deleted."""
        return [life for life in self._lives.values() if life.job["metadata"]["name"] == name][-1]

    def pod(self, name: str) -> Pod:
        """The newest pod of the newest Job of this name."""
        return self.life(name).pods[-1]

    def succeed(self, name: str) -> None:
        """Let the Job's process exit with 0."""
        self.pod(name).end(0)

    def fail(self, name: str, code: int = 1) -> None:
        """Let the Job's process exit with another code."""
        self.pod(name).end(code)

    def evict(self, name: str) -> None:
        """Delete the Job's pod, as a drained node does: TERM, and KILL after its grace period."""
        self.life(name).shut_down()

    def lose_node(self, name: str) -> None:
        """Kill the Job's process at once."""
        self.pod(name).kill()

    def pass_deadline(self, name: str) -> None:
        """Have the Job's `activeDeadlineSeconds` be over now."""
        self.life(name).deadline.set()

    def pass_pod_limit(self, name: str) -> None:
        """Have the pod's own `activeDeadlineSeconds` be over now: its Job fails as if the process had."""
        self.pod(name).limit.set()

    def pass_time_to_live(self, name: str) -> None:
        """Have the finished Job's `ttlSecondsAfterFinished` be over now."""
        self.life(name).time_to_live.set()

    async def until_created(self, name: str) -> None:
        """Wait until a Job of this name was made."""
        await self.until(lambda: any(life.job["metadata"]["name"] == name for life in self._lives.values()))

    async def until_ready(self, name: str) -> None:
        """Wait until the Job's process runs."""
        await self.until_created(name)
        await self.until(lambda: self._status(name).get("ready") == 1)

    async def until_finished(self, name: str) -> None:
        """Wait until the Job is Complete or Failed."""
        await self.until(
            lambda: any(
                one["type"] in {"Complete", "Failed"} for one in self._status(name).get("conditions", [])
            )
        )

    async def until_ended(self, name: str) -> None:
        """Wait until no process of the Job runs, whether or not the Job is still there."""
        await self.until(self.life(name).ended.is_set)

    async def until(self, condition: Callable[[], bool], within: float = _PATIENCE) -> None:
        """Wait until something holds, for a bounded time.

        Raises:
            TimeoutError: it does not.
        """
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110 - a condition of any kind has no event
                await asyncio.sleep(_GLANCE)

    async def aclose(self) -> None:
        """Kill what runs.

        Raises:
            AssertionError: a handler of the test failed, or a part of the cluster.
        """
        for life in self._lives.values():
            for pod in life.pods:
                pod.kill()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._failures:
            raise AssertionError("a part of the cluster failed") from self._failures[0]

    # What a Job's life needs (Place).

    def pod_for(self, job: Json) -> Pod:
        """A new pod."""
        return Pod(job, self.claims or {})

    def hindrance(self, job: Json) -> str:
        """Why the pod stays Pending ("pending") or is never made ("unmade"); empty when it can run."""
        pod: Json = job["spec"]["template"]["spec"]
        account = pod.get("serviceAccountName", "default")
        if self.service_accounts is not None and account not in self.service_accounts:
            return "unmade"
        if self.restricted and restricted_violations(job):
            return "unmade"
        if self.claims is not None and not set(claims_of(job).values()) <= self.claims.keys():
            return "pending"
        if any(container["image"] in self.unpullable for container in pod["containers"]):
            return "pending"
        return ""

    async def work(self, pod: Pod, grace: float) -> int:
        """Let the pod's container run to its end."""
        return await pod.live(self.handler, grace)

    def _status(self, name: str) -> Json:
        metadata = self.life(name).job["metadata"]
        job = self._store.find(metadata["namespace"], name, metadata["uid"])
        return {} if job is None else job["status"]

    async def _note_end(self, life: JobLife) -> None:
        await life.ended.wait()
        self.spans.end(life.job)

    async def _collect(self, namespace: str, name: str, uid: str) -> None:
        """The garbage collector's part: take the finalizer off, and the Job with it."""
        await asyncio.sleep(0)
        if self._store.find(namespace, name, uid) is not None:
            self._store.remove(namespace, name, uid)

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)
