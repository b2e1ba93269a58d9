"""One Job's life in the cluster: the Job controller's and the kubelet's part in it."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.kubernetes.defaults import moment
from tests.kubernetes.objects import Json
from tests.kubernetes.pods import Pod
from tests.kubernetes.store import JobStore

_PARKED_STATUS: Json = {"terminating": 0, "uncountedTerminatedPods": {}}


class Place(Protocol):
    """What a Job's life needs of the cluster."""

    second: float
    start_delay: float
    retry_delay: float
    look_again: float

    def pod_for(self, job: Json) -> Pod:
        """A new pod."""
        ...

    def hindrance(self, job: Json) -> str:
        """Why the pod stays Pending ("pending") or is never made ("unmade"); empty when it can run."""
        ...

    async def work(self, pod: Pod, grace: float) -> int:
        """Let the pod's container run to its end."""
        ...


@dataclass
class JobLife:
    """A Job from its creation to the end of its last pod.

    Attributes:
        job: As it was created.
        pods: Every pod that was made for it.
        ended: Set when no pod of it runs or ever will.
    """

    job: Json
    store: JobStore
    place: Place
    pods: list[Pod] = field(default_factory=list[Pod])
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    deadline: asyncio.Event = field(default_factory=asyncio.Event)
    time_to_live: asyncio.Event = field(default_factory=asyncio.Event)
    _fate: str = ""

    async def run(self) -> None:
        """Make pods until one succeeds or too many failed, then say so in the Job's status."""
        self._note(startTime=moment(), active=1, ready=0, **_PARKED_STATUS)
        timer = asyncio.ensure_future(self._enforce_deadline())
        try:
            code = await self._tries()
        finally:
            timer.cancel()
            self.ended.set()
        if self._fate == "foreground":
            self._forget()
        elif not self._fate:
            await self._finish(failed=code != 0, reason="BackoffLimitExceeded")
        elif self._fate == "deadline":
            await self._finish(failed=True, reason="DeadlineExceeded")

    def delete(self, fate: str) -> None:
        """The Job is being deleted: `background` and `foreground` end its pod, `orphan` lets it run on."""
        self._fate = fate
        if fate != "orphan":
            self.shut_down()

    def shut_down(self) -> None:
        """End the pod in its grace period."""
        if self.pods:
            self.pods[-1].shut_down()

    async def _tries(self) -> int:
        failures, code = 0, 1
        while not self._fate:
            pod = self.place.pod_for(self.job)
            self.pods.append(pod)
            code = await self._one_try(pod)
            if code == 0:
                break
            failures += 1
            if failures > self.job["spec"]["backoffLimit"]:
                break
            if not self._fate:
                self._note(failed=failures, active=1, ready=0)
                await asyncio.sleep(self.place.retry_delay * self.place.second)
        return code

    async def _one_try(self, pod: Pod) -> int:
        while hindrance := self.place.hindrance(self.job):
            self._note(active=1 if hindrance == "pending" else 0, ready=0)
            if await self._until(pod.terminating, self.place.look_again / self.place.second):
                return 1
        pod.made = True
        await asyncio.sleep(self.place.start_delay * self.place.second)
        if pod.terminating.is_set():
            return 1
        self._note(active=1, ready=1)
        wanted: Json = self.job["spec"]["template"]["spec"]
        # The kubelet's own limit: it holds for a pod without its Job, too.
        limit = asyncio.ensure_future(self._end_in_time(pod, wanted.get("activeDeadlineSeconds")))
        try:
            return await self.place.work(pod, wanted["terminationGracePeriodSeconds"] * self.place.second)
        finally:
            limit.cancel()

    async def _end_in_time(self, pod: Pod, seconds: float | None) -> None:
        await self._until(pod.limit, seconds)
        pod.shut_down()

    async def _enforce_deadline(self) -> None:
        seconds = self.job["spec"].get("activeDeadlineSeconds")
        await self._until(self.deadline, seconds)
        if self._fate:
            return
        self._fate = "deadline"
        words = "Job was active longer than specified deadline"
        there = self.place.hindrance(self.job) != "unmade"
        self._note(_condition("FailureTarget", "DeadlineExceeded", words), terminating=int(there))
        self.shut_down()

    async def _finish(self, *, failed: bool, reason: str) -> None:
        # Two steps, as the real controller's: only the second one says that no pod runs any more.
        uid = self.pods[-1].uid
        if failed:
            words = {
                "BackoffLimitExceeded": "Job has reached the specified backoff limit",
                "DeadlineExceeded": "Job was active longer than specified deadline",
            }[reason]
            self._note(_condition("FailureTarget", reason, words), uncountedTerminatedPods={"failed": [uid]})
            await asyncio.sleep(0)
            lost = sum(pod.made for pod in self.pods)
            self._note(_condition("Failed", reason, words), failed=lost, ready=0, **_PARKED_STATUS)
        else:
            words, met = "Reached expected number of succeeded pods", "CompletionsReached"
            self._note(
                _condition("SuccessCriteriaMet", met, words), uncountedTerminatedPods={"succeeded": [uid]}
            )
            await asyncio.sleep(0)
            done = _condition("Complete", met, words)
            self._note(done, succeeded=1, ready=0, completionTime=moment(), **_PARKED_STATUS)
        await self._until(self.time_to_live, self.job["spec"].get("ttlSecondsAfterFinished"))
        self._forget()

    async def _until(self, event: asyncio.Event, seconds: float | None) -> bool:
        """Wait for an event, for a time of the cluster or without an end; whether it came."""
        bound = None if seconds is None else seconds * self.place.second
        with contextlib.suppress(TimeoutError):
            # Not `wait_for`: of Python 3.11, it loses a cancellation that comes together with the event.
            async with asyncio.timeout(bound):
                await event.wait()
        return event.is_set()

    def _forget(self) -> None:
        metadata = self.job["metadata"]
        if self.store.find(metadata["namespace"], metadata["name"], metadata["uid"]) is not None:
            self.store.remove(metadata["namespace"], metadata["name"], metadata["uid"])

    def _note(self, *conditions: Json, **counts: Any) -> None:  # noqa: ANN401 - fields of many types
        metadata = self.job["metadata"]

        def edit(job: Json) -> None:
            status: Json = job["status"]
            have = [condition["type"] for condition in status.get("conditions", [])]
            new = [condition for condition in conditions if condition["type"] not in have]
            if new:
                status["conditions"] = [*status.get("conditions", []), *new]
                # What is judged is no more active; a pod on its way out is counted as terminating.
                status["active"] = 0
            status.update(counts)
            for counter in ("active", "failed", "succeeded"):
                if status.get(counter) == 0:
                    del status[counter]

        self.store.change(metadata["namespace"], metadata["name"], metadata["uid"], edit)


def _condition(kind: str, reason: str, words: str) -> Json:
    now = moment()
    return {
        "type": kind,
        "status": "True",
        "lastProbeTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": words,
    }
