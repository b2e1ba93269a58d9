"""What a container engine tells of a run's container, asked through its command line (docker, podman)."""

import asyncio
import json
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any, BinaryIO, cast

from globeco_allocation.adapters.output_files.directory import FILE_MODE
from globeco_allocation.adapters.subprocess_cli.container import LABEL, ContainerWords
from globeco_allocation.domain.errors import RunNotFollowedError

ANSWER_SECONDS = 20.0
"""How long the engine has to answer a question."""

NAME_KEPT_SECONDS = 24 * 3600
"""How long an ended container keeps its name (design, "Lanes")."""

_LINES = 2000
_NEVER_STARTED = {"created", "configured", "initialized"}
_ENDED = {"exited", "stopped", "dead"}


@dataclass(frozen=True, slots=True)
class Container:
    """A container as its engine sees it.

    Attributes:
        started: Whether its program ever was.
        ended: Whether it is over with, or never began.
        exit_code: Of an ended one.
        begun: When it was started (the engine's clock, UTC).
    """

    started: bool
    ended: bool
    exit_code: int
    begun: datetime

    @property
    def age_seconds(self) -> float:
        """How long ago it was started."""
        return (datetime.now(UTC) - self.begun).total_seconds()


class Engine:
    """One container's engine.

    Args:
        words: How it is called, and the container's name.
        environment: What its commands inherit.
    """

    def __init__(self, words: ContainerWords, environment: Mapping[str, str]) -> None:
        self._words = words
        self._environment = environment

    async def find(self) -> Container | None:
        """Look for the container; None when there is none.

        Raises:
            RunNotFollowedError: the engine did not say.
        """
        # A list that is empty is an answer; of an inspection that fails nobody could tell why it did.
        pattern = self._words.name.replace(".", r"\.")
        ids = await self._answer(
            "ls", "--all", "--no-trunc", "--filter", f"name=^/?{pattern}$", "--format", "{{.ID}}"
        )
        if not ids:
            return None
        return _container(await self._answer("inspect", "--format", "{{json .State}}", ids.split()[0]))

    async def end(self, grace_seconds: float) -> None:
        """Ask the container to end, and end it by force after a grace; nothing is raised."""
        argv = self._argv("stop", "-t", str(max(round(grace_seconds), 1)), self._words.name)
        with suppress(OSError, TimeoutError):
            await self._call(argv, ANSWER_SECONDS + grace_seconds)

    async def kill(self) -> None:
        """End the container by force; nothing is raised."""
        with suppress(OSError, TimeoutError):
            await self._call(self._argv("kill", self._words.name))

    async def save_outputs(self, stdout: Path, stderr: Path) -> None:
        """Write the last lines of the container's outputs; without a log, both stay as they are."""
        parts = stdout.with_name(f".{stdout.name}.tmp"), stderr.with_name(f".{stderr.name}.tmp")
        with suppress(OSError, TimeoutError):
            with parts[0].open("wb") as out, parts[1].open("wb") as err:
                for file in (out, err):
                    os.fchmod(file.fileno(), FILE_MODE)
                argv = self._argv("logs", "--tail", str(_LINES), self._words.name)
                code, _ = await self._call(argv, stdout=out, stderr=err)
            if code == 0:
                parts[0].replace(stdout)
                parts[1].replace(stderr)
        for part in parts:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    async def remove_old(self, longest_run_seconds: float) -> None:
        """Remove our ended containers whose names nobody asks for any more; nothing is raised."""
        # "until" counts from a container's making, not from its end.
        age = f"until={round(NAME_KEPT_SECONDS + longest_run_seconds)}s"
        argv = self._argv("prune", "--force", "--filter", f"label={LABEL}", "--filter", age)
        with suppress(OSError, TimeoutError):
            await self._call(argv)

    def _argv(self, *command: str) -> list[str]:
        return [*self._words.engine, "container", *command]

    async def _answer(self, *command: str) -> str:
        try:
            code, text = await self._call(self._argv(*command))
        except (OSError, TimeoutError) as error:
            raise RunNotFollowedError("the container engine gave no answer") from error
        if code != 0:
            raise RunNotFollowedError(f"the container engine gave no answer (exit code {code})")
        return text.strip()

    async def _call(
        self,
        argv: Sequence[str],
        seconds: float = ANSWER_SECONDS,
        *,
        stdout: BinaryIO | int = PIPE,
        stderr: BinaryIO | int = DEVNULL,
    ) -> tuple[int, str]:
        """Call a command of the engine and wait for its end; it is killed past its time, or when cancelled.

        Raises:
            OSError: it cannot be started.
            TimeoutError: it took too long.
        """
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=dict(self._environment),
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(seconds):
                text, _ = await process.communicate()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return process.returncode or 0, (text or b"").decode(errors="replace")


def _container(answer: str) -> Container:
    """Read the state that an inspection gave.

    Raises:
        RunNotFollowedError: it is not of the shape that engines give.
    """
    try:
        state = cast("dict[str, Any]", json.loads(answer))
        status = str(state["Status"])
        begun = datetime.fromisoformat(str(state["StartedAt"]))
        return Container(
            started=status not in _NEVER_STARTED,
            ended=status in _ENDED | _NEVER_STARTED,
            exit_code=int(state["ExitCode"]),
            begun=begun if begun.utcoffset() is not None else begun.replace(tzinfo=UTC),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunNotFollowedError("the container engine gave an answer that cannot be read") from error
