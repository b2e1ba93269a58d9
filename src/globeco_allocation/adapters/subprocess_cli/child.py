"""A started run: a process with a group of its own that may outlive us."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Thread

_AFTER_KILL_SECONDS = 5.0


class Child:
    """A process that is waited for, ended past its time, or left running.

    asyncio's own subprocesses will not do: from Python 3.12 on, closing the event loop kills them, and a CLI
    killed in the middle of a row leaves that row unbooked for ever (contract: accounting CLI, "Sending
    again").

    The process stays a zombie until it is reaped here, so that neither its id nor its group's can come to
    mean another one while they are used.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._ended: Future[None] = Future()
        self._ended.set_running_or_notify_cancel()  # so that no waiter can cancel it
        self._let_go = False
        # A daemon: it must not keep the service alive for as long as the run goes on.
        Thread(target=self._watch, name=f"accounting-cli-{process.pid}", daemon=True).start()

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        stdout: int,
        stderr: int,
        inherited: Sequence[int],
    ) -> "Child":
        """Start a program without a shell; blocks until it runs.

        Raises:
            OSError: it cannot be started.
        """
        process = subprocess.Popen(  # noqa: S603 - the operator's own command, no shell
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=directory,
            env=environment,
            pass_fds=tuple(inherited),
            start_new_session=True,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        """Its id, and its group's, until it is let go."""
        return self._process.pid

    async def ended(self, timeout_seconds: float) -> bool:
        """Wait for the end for so long; tells whether it came."""
        waiting = asyncio.wrap_future(self._ended)
        try:
            done, _ = await asyncio.wait({waiting}, timeout=timeout_seconds)
        finally:
            waiting.cancel()
        return bool(done)

    async def kill(self, grace_seconds: float) -> None:
        """Ask the whole group to end, and end it by force after a grace; also when cancelled meanwhile."""
        try:
            self._signal(signal.SIGTERM)
            await self.ended(grace_seconds)
        finally:
            # Also when the leader is gone: children of it may not be.
            self._signal(signal.SIGKILL)
        await self.ended(_AFTER_KILL_SECONDS)

    def let_go(self) -> int | None:
        """Be done with it.

        Returns:
            The exit code of an ended run, negative for a signal's number. None when it goes on: it is left
            alone, and reaped at its end should this process live to see it.
        """
        self._let_go = True
        return self._process.wait() if self._ended.done() else None

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _watch(self) -> None:
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self._ended.set_result(None)
        if self._let_go:
            self._process.wait()
