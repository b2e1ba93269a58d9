"""The accounting CLI, started as a process of this machine, or found again."""

import asyncio
import errno
import logging
import os
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from pathlib import Path

from globeco_allocation.adapters import log_events
from globeco_allocation.adapters.bare_name import check_bare
from globeco_allocation.adapters.blocking import acquire, finish
from globeco_allocation.adapters.log_events import facts
from globeco_allocation.adapters.output_files.directory import reason
from globeco_allocation.adapters.output_files.error_file import allow_long_fields, error_rows
from globeco_allocation.adapters.output_files.leftovers import Leftovers
from globeco_allocation.adapters.subprocess_cli.child import Child
from globeco_allocation.adapters.subprocess_cli.command import CommandTemplate, Values
from globeco_allocation.adapters.subprocess_cli.ended_run import EndedRuns
from globeco_allocation.adapters.subprocess_cli.engine import Engine
from globeco_allocation.adapters.subprocess_cli.environment import child_environment
from globeco_allocation.adapters.subprocess_cli.lane_lock import HeldLane, locks_work
from globeco_allocation.adapters.subprocess_cli.lane_turns import LaneTurns
from globeco_allocation.adapters.subprocess_cli.living_process import ProcessMark
from globeco_allocation.adapters.subprocess_cli.preparation import Preparation
from globeco_allocation.adapters.subprocess_cli.run_record import RunRecord, RunRecords
from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow, RunOrder
from globeco_allocation.domain.errors import CliNotStartedError, RunNotFollowedError, StoreUnavailableError
from globeco_allocation.ports.accounting import RunPermit

GRACE_SECONDS = 10.0

_TIDY_SECONDS = 3600.0
"""How often ended containers are looked through."""

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

    A run inherits the locks of its lane in the output directory, and what is written down beside the data
    file before its start tells that it was begun. So one that outlives its parent is found again by whoever
    asks for it, and keeps all others waiting that must not go on beside it.

    Args:
        template: The command.
        output_dir: Where the transaction files are; the CLI runs in it.
        timeout_seconds: How long a run may take before it is ended.
        grace_seconds: How long it then has to end by itself.
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
        home: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        allow_long_fields()
        self._template = template
        self._directory = output_dir.absolute()
        self._timeout_seconds = timeout_seconds
        self._grace_seconds = grace_seconds
        self._home = os.path.expanduser("~") if home is None else home  # noqa: PTH111 - never raises
        self._environment = child_environment(os.environ if environment is None else environment)
        self._records = RunRecords(self._directory)
        self._turns = LaneTurns(self._directory, timeout_seconds, grace_seconds, self._engine)
        # What the CLI may name its files by; an answer names them bare.
        known = (str(self._directory), os.path.realpath(self._directory), self._home)
        self._ended = EndedRuns(self._directory, known)
        self._tidied: float | None = None

    async def check(self) -> None:
        """Make sure that runs can be started, found and kept apart from here; see the port."""
        self._require_filename()
        try:
            work = await finish(locks_work, self._directory)
        except OSError as error:
            raise CliNotStartedError(f"the accounting CLI cannot be started: {reason(error)}") from error
        if not work:
            raise CliNotStartedError(
                "the accounting CLI cannot be started: file locks do not work in OUTPUT_DIR, so runs could"
                " not be kept apart, and this replica delivers nothing; use a file system with locks"
            )

    async def run(self, order: RunOrder, permit: RunPermit) -> AccountingRun:
        """Find the order's run, or start it, and wait for its end; see the port.

        When cancelled, a run that was started goes on by itself: a killed CLI leaves a row unbooked.
        """
        check_bare(order.file_name)
        engine = self._engine(order.name, order.file_name)
        async with self._turns.turn(order) as lane:
            record = await self._record(order)
            if await self._is_begun(order, record, engine):
                return await self._ended.collect(order, None, engine)
            child = await self._start(order, record, permit, lane)
        exit_code = await self._follow(child, order, permit, engine)
        # Again in its turn: what was paused meanwhile must not touch what belongs to a later attempt.
        async with self._turns.turn(order):
            await self._record(order)
            return await self._ended.collect(order, exit_code, engine)

    def error_rows(self, order: RunOrder) -> AsyncGenerator[ErrorRow]:
        """Read the ended run's error file; see the port."""
        check_bare(order.file_name)
        return error_rows(Leftovers(self._directory, order.file_name).errors)

    async def _record(self, order: RunOrder) -> RunRecord | None:
        """Read what is written down of the file's last run.

        Raises:
            RunNotFollowedError: it cannot be known, or a later attempt than this one was begun.
        """
        try:
            record = await finish(self._records.read, order.file_name)
        except OSError as error:
            raise RunNotFollowedError(
                f"whether the accounting CLI's run {order.name} was started cannot be told: {reason(error)}"
            ) from error
        if record is not None and record.attempt > order.attempt:
            raise RunNotFollowedError(
                f"the accounting CLI's run {order.name} is over: attempt {record.attempt} was begun"
            )
        return record

    async def _is_begun(self, order: RunOrder, record: RunRecord | None, engine: Engine | None) -> bool:
        """Tell whether the order's run was begun; with its lane held, it has ended then."""
        # A record that cannot be read may be this run's: nothing is started that may have been.
        if order.uid or (record is not None and record.run in {order.name, ""}):
            return True
        return engine is not None and await engine.find() is not None

    async def _start(
        self, order: RunOrder, earlier: RunRecord | None, permit: RunPermit, lane: HeldLane
    ) -> Child:
        self._require_filename()
        prepare = partial(Preparation.make, self._directory, order, earlier)
        ready = await acquire(prepare, undo=Preparation.undo)
        try:
            await permit.begin()
        except BaseException:
            await finish(ready.undo)
            raise
        argv = self._template.argv(self._values(order.name, order.file_name))
        environment = self._environment | order.trace.variables()
        start = partial(ready.start, argv, environment, lane, self._explain)
        return await acquire(start, undo=Child.let_go)

    async def _follow(
        self, child: Child, order: RunOrder, permit: RunPermit, engine: Engine | None
    ) -> int | None:
        """Wait for the end of a started run; gives its exit code, None if it was ended past its limit."""
        loop = asyncio.get_running_loop()
        limit = loop.time() + self._timeout_seconds
        try:
            try:
                await permit.identified(ProcessMark.of(child.pid).uid)
            except StoreUnavailableError:
                _log.warning(log_events.RUN_NOT_NOTED, extra=facts(run=order.name))
            if engine is not None:
                await self._tidy(engine)
            in_time = await child.ended(max(limit - loop.time(), 0))
            if not in_time:
                await self._end(child, order, engine)
        finally:
            exit_code = child.let_go()
        return exit_code if in_time else None

    async def _end(self, child: Child, order: RunOrder, engine: Engine | None) -> None:
        _log.warning(log_events.RUN_OVERDUE, extra=facts(run=order.name, seconds=self._timeout_seconds))
        try:
            await finish(self._records.mark_timed_out, order.file_name, order.attempt)
        except OSError as error:
            _log.warning(log_events.RUN_END_NOT_NOTED, extra=facts(run=order.name, reason=error.strerror))
        await child.kill(self._grace_seconds)
        if engine is not None:
            await engine.kill()

    async def _tidy(self, engine: Engine) -> None:
        now = asyncio.get_running_loop().time()
        if self._tidied is None or now - self._tidied > _TIDY_SECONDS:
            self._tidied = now
            await engine.remove_old(self._timeout_seconds)

    def _engine(self, run: str, file_name: str) -> Engine | None:
        words = self._template.container(self._values(run, file_name))
        return Engine(words, self._environment) if words else None

    def _values(self, run: str, file_name: str) -> Values:
        return Values(filename=file_name, output_dir=str(self._directory), home=self._home, run=run)

    def _require_filename(self) -> None:
        try:
            self._template.require_filename()
        except ValueError as error:
            raise CliNotStartedError(
                f"the accounting CLI was not started: its command (CLI_COMMAND) {error}"
            ) from error

    def _explain(self, error: OSError) -> str:
        why = _REASONS.get(error.errno or 0, error.strerror)
        return f"the accounting CLI ({self._template.program}) was not started: {why}"
