"""A Job's pod: what runs in it, with the directories that stand for its claims."""

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.kubernetes.objects import Json, parts

TERMINATED, KILLED = 128 + signal.SIGTERM, 128 + signal.SIGKILL


@dataclass
class Pod:
    """One try of a Job's container.

    Attributes:
        job: The Job as it was when the pod was made.
        claims: The directory that stands for each claim.
        limit: Set when the pod's own `activeDeadlineSeconds` are over.
        terminating: Set when the pod is told to end (TERM); it is killed when its grace period is over.
        uid: The pod's own.
        made: Whether its container could be started.
    """

    job: Json
    claims: Mapping[str, Path]
    limit: asyncio.Event = field(default_factory=asyncio.Event)
    terminating: asyncio.Event = field(default_factory=asyncio.Event)
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    made: bool = False
    _killing: asyncio.Event = field(default_factory=asyncio.Event)
    _told: "asyncio.Future[int]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _processes: list[asyncio.subprocess.Process] = field(default_factory=list[asyncio.subprocess.Process])

    @property
    def name(self) -> str:
        """The Job's name."""
        return self.job["metadata"]["name"]

    @property
    def container(self) -> Json:
        """The first container, as the Job describes it."""
        return self.job["spec"]["template"]["spec"]["containers"][0]

    @property
    def arguments(self) -> list[str]:
        """What follows the program: the rest of `command`, and `args`."""
        return [*(self.container.get("command") or [])[1:], *(self.container.get("args") or [])]

    @property
    def env(self) -> dict[str, str]:
        """The variables that are given literally."""
        return {one["name"]: one.get("value", "") for one in parts(self.container, "env")}

    @property
    def mounts(self) -> dict[str, str]:
        """The claims, by the path at which each is mounted."""
        claimed = claims_of(self.job)
        return {
            mount["mountPath"]: claimed[mount["name"]]
            for mount in parts(self.container, "volumeMounts")
            if mount["name"] in claimed
        }

    def local(self, text: str) -> str:
        """*text*, a path in the container or an argument, with the directories that stand for the claims."""
        for mount in parts(self.container, "volumeMounts"):
            claim = claims_of(self.job).get(mount["name"], "")
            if claim in self.claims:
                text = text.replace(mount["mountPath"], str(self.claims[claim] / mount.get("subPath", "")))
        return text

    async def run(self, *argv: str, env: Mapping[str, str]) -> int:
        """Run a process in the pod, and wait for its end; it gets the pod's TERM and KILL with its group.

        Returns:
            Its exit code, 128 and more for a signal, as a container's.
        """
        if self.terminating.is_set():
            return TERMINATED
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._processes.append(process)
        if self.terminating.is_set():
            self._signal(signal.SIGTERM)
        try:
            code = await process.wait()
        finally:
            self._signal(signal.SIGKILL)
            await process.wait()
        return code if code >= 0 else 128 - code

    def end(self, code: int) -> None:
        """Let a pod without a handler of the test's own end with this exit code."""
        if not self._told.done():
            self._told.set_result(code)

    async def told(self) -> int:
        """Wait for `end`."""
        return await asyncio.shield(self._told)

    async def live(self, handler: "Handler", grace: float) -> int:
        """Run the handler until it ends, or is told to and killed when *grace* real seconds are over."""
        work = asyncio.ensure_future(handler(self))
        told = asyncio.ensure_future(self.terminating.wait())
        killed = asyncio.ensure_future(self._killing.wait())
        try:
            await asyncio.wait({work, told}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                self._signal(signal.SIGTERM)
                await asyncio.wait({work, killed}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else KILLED
        finally:
            # A handler that is cancelled here kills its processes on its way out.
            for task in (work, told, killed):
                task.cancel()
            await asyncio.wait({work, told, killed})

    def shut_down(self) -> None:
        """TERM now, KILL after the grace period."""
        self.terminating.set()

    def kill(self) -> None:
        """KILL now."""
        self.terminating.set()
        self._killing.set()

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            # Only while its leader is not reaped is the group's number surely still its own.
            if process.returncode is None:
                os.killpg(process.pid, number)


Handler = Callable[[Pod], Awaitable[int]]
"""What runs in a Job's pods; it returns the container's exit code."""


def claims_of(job: Json) -> dict[str, str]:
    """The claims a Job's pod wants, by the names of their volumes."""
    return {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in parts(job, "spec", "template", "spec", "volumes")
        if volume.get("persistentVolumeClaim")
    }


async def until_told(pod: Pod) -> int:
    """Run until the test ends the pod, or until TERM."""
    told, terminated = asyncio.ensure_future(pod.told()), asyncio.ensure_future(pod.terminating.wait())
    try:
        await asyncio.wait({told, terminated}, return_when=asyncio.FIRST_COMPLETED)
        return told.result() if told.done() else TERMINATED
    finally:
        told.cancel()
        terminated.cancel()


async def until_told_deaf(pod: Pod) -> int:
    """Run until the test ends the pod, or until KILL: TERM is not heeded."""
    return await pod.told()


def simulated_accounting(more: Mapping[str, str] | None = None) -> Handler:
    """The simulated accounting CLI as a real process, on the directories that stand for the claims.

    Args:
        more: Variables besides the Job's own: the ledger, a fault.
    """

    async def run(pod: Pod) -> int:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SIMULATED_")}
        return await pod.run(
            sys.executable,
            "-m",
            "globeco_allocation.entrypoints.simulated.accounting_cli",
            *(pod.local(argument) for argument in pod.arguments),
            env={**ours, **pod.env, **(more or {})},
        )

    return run
