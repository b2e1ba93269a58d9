"""The accounting CLI, started as a process of this machine."""

import asyncio
import errno
import logging
import os
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from globeco_allocation.adapters.bare_name import check_bare
from globeco_allocation.adapters.blocking import acquire, finish
from globeco_allocation.adapters.subprocess_cli.child import Child
from globeco_allocation.adapters.subprocess_cli.command import CommandTemplate
from globeco_allocation.adapters.subprocess_cli.environment import child_environment
from globeco_allocation.adapters.subprocess_cli.error_file import allow_long_fields, error_rows
from globeco_allocation.adapters.subprocess_cli.kept_input import KeptInputs
from globeco_allocation.adapters.subprocess_cli.lane_lock import LaneLock
from globeco_allocation.adapters.subprocess_cli.leftovers import Leftovers
from globeco_allocation.adapters.subprocess_cli.printed_counts import complaint, printed_counts, tail
from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow
from globeco_allocation.domain.errors import CliNotStartedError

LOCK_NAME = ".lane-0.lock"
GRACE_SECONDS = 10.0

_KILL_COMMAND_SECONDS = 30.0

_log = logging.getLogger(__name__)

_REASONS = {
    errno.ENOENT: "there is no such program",
    errno.EACCES: "it may not be run",
    errno.ENOEXEC: "it is not a program that this machine can run",
    errno.E2BIG: "its arguments and environment are too long",
    errno.EAGAIN: "no more processes may be started",
    errno.ENOMEM: "there is no memory left",
}


class SubprocessCli:
    """The port `globeco_allocation.ports.accounting.AccountingCli` on a command.

    Runs follow one another: in this process in the order in which they were asked for, across processes by a
    locked file in the output directory, which a run inherits. So one that outlives its parent still has its
    turn, and the next one waits for it.

    Args:
        template: The command.
        output_dir: Where the transaction files are; the CLI runs in it.
        timeout_seconds: How long a run may take before it is killed.
        grace_seconds: How long it then has to end by itself.
        turn_seconds: How long to wait for a run of another process; as long as it takes unless given.
        home: What ``{home}`` stands for; the user's home directory unless given.
        environment: What the CLI inherits, less our settings and secrets; ours unless given.
    """

    def __init__(
        self,
        template: CommandTemplate,
        output_dir: Path,
        timeout_seconds: float,
        *,
        grace_seconds: float = GRACE_SECONDS,
        turn_seconds: float | None = None,
        home: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        template.require_filename()
        allow_long_fields()
        self._template = template
        self._output_dir = output_dir.absolute()
        self._timeout_seconds = timeout_seconds
        self._grace_seconds = grace_seconds
        self._turn_seconds = turn_seconds
        self._home = os.path.expanduser("~") if home is None else home  # noqa: PTH111 - never raises
        self._environment = child_environment(os.environ if environment is None else environment)
        # What the CLI may name its files by; an answer names them bare.
        self._directories = (str(self._output_dir), os.path.realpath(self._output_dir), self._home)
        self._turn = asyncio.Lock()
        self._lane = LaneLock(self._output_dir / LOCK_NAME)
        self._inputs = KeptInputs(self._output_dir)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator["SubprocessTurn"]:
        """Wait for the turn and hold it; see the port."""
        async with self._turn, self._lane.held(self._turn_seconds) as lock:
            yield SubprocessTurn(partial(self._run, lock))

    def error_rows(self, file_name: str) -> AsyncGenerator[ErrorRow]:
        """Read the last run's error file; see the port."""
        check_bare(file_name)
        return error_rows(Leftovers(self._output_dir, file_name).errors)

    async def recover(self) -> None:
        """Give files their names back that a CLI deleted whose parent died; to be called at the start.

        Nothing happens while a run goes on: the next one does it.
        """
        with suppress(CliNotStartedError):
            async with self._turn, self._lane.held(0):
                await finish(self._restore_all)

    async def _run(self, lock: int, file_name: str, attempt: int) -> AccountingRun:
        check_bare(file_name)
        leftovers = Leftovers(self._output_dir, file_name)
        start = partial(self._start, leftovers, file_name, attempt, lock)
        child = await acquire(start, undo=Child.let_go)
        try:
            in_time = await child.ended(self._timeout_seconds)
            if not in_time:
                await self._kill(child, run_name(file_name, attempt))
        finally:
            exit_code = child.let_go()
        stdout, stderr = await finish(self._collect, leftovers, file_name)
        return AccountingRun(
            exit_code if in_time else None, printed_counts(stdout), complaint(stderr, self._directories)
        )

    def _start(self, leftovers: Leftovers, file_name: str, attempt: int, lock: int) -> Child:
        """Make everything ready and start; blocks.

        Raises:
            CliNotStartedError: nothing runs, and the transaction file has its name.
        """
        self._restore_all()
        try:
            self._inputs.keep(file_name)
        except FileNotFoundError as error:
            raise CliNotStartedError(f"the file {file_name} is gone: nothing was sent") from error
        except OSError as error:
            raise _not_ready(error) from error
        try:
            leftovers.put_aside(attempt - 1)
            outputs = leftovers.open_outputs()
        except OSError as error:
            self._restore_all()
            raise _not_ready(error) from error
        try:
            return self._start_process(file_name, attempt, outputs, lock)
        except OSError as error:
            leftovers.remove_outputs()
            self._restore_all()
            reason = _REASONS.get(error.errno or 0, error.strerror)
            raise CliNotStartedError(
                f"the accounting CLI ({self._template.program}) was not started: {reason}"
            ) from error
        finally:
            for descriptor in outputs:
                os.close(descriptor)

    def _start_process(self, file_name: str, attempt: int, outputs: tuple[int, int], lock: int) -> Child:
        argv = self._template.argv(
            filename=file_name,
            output_dir=str(self._output_dir),
            home=self._home,
            run=run_name(file_name, attempt),
        )
        return Child.start(
            argv,
            environment=self._environment,
            directory=self._output_dir,
            stdout=outputs[0],
            stderr=outputs[1],
            inherited=lock,
        )

    async def _kill(self, child: Child, run: str) -> None:
        _log.warning("the accounting CLI's run %s is killed past %g s", run, self._timeout_seconds)
        await child.kill(self._grace_seconds)
        command = self._template.kill_argv(run=run)
        if command is not None:
            await finish(self._call, command)

    def _call(self, command: list[str]) -> None:
        """Call a helper command and wait for it; what it says is of no interest."""
        try:
            subprocess.run(  # noqa: S603 - the operator's own program, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self._environment,
                timeout=_KILL_COMMAND_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            _log.warning("the container of a killed run could not be ended: %s", type(error).__name__)

    def _collect(self, leftovers: Leftovers, file_name: str) -> tuple[str, str]:
        """Put the transaction file back and read the ends of both outputs; blocks."""
        try:
            self._inputs.restore(file_name)
        except OSError as error:  # the next run tries again; this one's result stands
            _log.warning("the file %s could not be put back: %s", file_name, error.strerror)
        return tail(leftovers.stdout), tail(leftovers.stderr)

    def _restore_all(self) -> None:
        try:
            self._inputs.restore_all()
        except OSError as error:
            _log.warning("kept files could not be put back: %s", error.strerror)


class SubprocessTurn:
    """The turn of `SubprocessCli`, see `globeco_allocation.ports.accounting.AccountingTurn`."""

    def __init__(self, run: Callable[[str, int], Awaitable[AccountingRun]]) -> None:
        self._run = run

    async def run(self, file_name: str, attempt: int) -> AccountingRun:
        """Run the CLI on a written file and wait for its end; see the port.

        When cancelled, the run goes on by itself and keeps its turn: a killed CLI leaves a row unbooked.
        """
        return await self._run(file_name, attempt)


def _not_ready(error: OSError) -> CliNotStartedError:
    return CliNotStartedError(
        f"the accounting CLI was not started: the output directory cannot be used ({error.strerror})"
    )


def run_name(file_name: str, attempt: int) -> str:
    """Return the unique name of a run, which is also one for a container.

    >>> run_name("transactions_20260302_150000_7.csv", 2)
    'globeco-transactions_20260302_150000_7-2'
    """
    return f"globeco-{Path(file_name).stem}-{attempt}"
