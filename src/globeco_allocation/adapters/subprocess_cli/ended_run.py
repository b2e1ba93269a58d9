"""What an ended run has left, gathered into what the port tells of it."""

from collections.abc import Sequence
from pathlib import Path

from globeco_allocation.adapters.blocking import finish
from globeco_allocation.adapters.output_files.directory import reason
from globeco_allocation.adapters.output_files.leftovers import Leftovers
from globeco_allocation.adapters.subprocess_cli.engine import Engine
from globeco_allocation.adapters.subprocess_cli.kept_input import KeptInputs
from globeco_allocation.adapters.subprocess_cli.preparation import restore_input
from globeco_allocation.adapters.subprocess_cli.printed_counts import complaint, printed_counts, tail
from globeco_allocation.adapters.subprocess_cli.run_record import RunRecord, RunRecords
from globeco_allocation.domain.accounting_run import AccountingRun, RunOrder
from globeco_allocation.domain.errors import CliNotStartedError, RunNotFollowedError

_ENGINE_FAILED = 125
"""What ``docker run`` ends with when the engine, not the program inside, failed."""


class EndedRuns:
    """Gathers ended runs; for the holder of the order's lane.

    Args:
        directory: The output directory.
        known_directories: What the CLI may name its files by, for they are named bare.
    """

    def __init__(self, directory: Path, known_directories: Sequence[str]) -> None:
        self._directory = directory
        self._known_directories = known_directories
        self._records = RunRecords(directory)
        self._inputs = KeptInputs(directory)

    async def collect(self, order: RunOrder, exit_code: int | None, engine: Engine | None) -> AccountingRun:
        """Put the data file back and tell what is known of the run.

        Args:
            order: What was asked for.
            exit_code: The started command's own; None if it was ended by us, or not followed from its start.
            engine: Where the run is a container.

        Raises:
            CliNotStartedError: the engine refused the start, or the container never ran.
            RunNotFollowedError: the engine or the output directory does not say.
        """
        try:
            await finish(self._make_own, order)
            if engine is not None:
                exit_code = await self._exit_code_of(order, exit_code, engine)
            return await finish(self._gather, order, exit_code)
        except OSError as error:
            raise RunNotFollowedError(
                f"how the accounting CLI's run {order.name} ended cannot be told: {reason(error)}"
            ) from error

    def _make_own(self, order: RunOrder) -> None:
        """Make sure that the outputs are this run's: where its record is lost, that cannot be told."""
        record = self._records.read(order.file_name)
        if record is None or record.run != order.name:
            Leftovers(self._directory, order.file_name).put_outputs_aside(order.attempt)
            self._records.write(order.file_name, RunRecord.of(order).known_as(order.uid))

    async def _exit_code_of(self, order: RunOrder, exit_code: int | None, engine: Engine) -> int | None:
        container = await engine.find()
        never_began = exit_code == _ENGINE_FAILED if container is None else not container.started
        if never_began:
            said = await finish(self._engine_complaint, order)
            await finish(self._close, order)
            raise CliNotStartedError(
                "the accounting CLI was not started: the container engine refused"
                + (f" ({said})" if said else "")
            )
        if container is None:
            return exit_code
        if exit_code != container.exit_code:
            # What the command wrote ended with the command.
            leftovers = Leftovers(self._directory, order.file_name)
            await engine.save_outputs(leftovers.stdout, leftovers.stderr)
        return container.exit_code

    def _gather(self, order: RunOrder, exit_code: int | None) -> AccountingRun:
        timed_out = self._records.timed_out(order)
        self._close(order)
        counts = printed_counts(tail(Leftovers(self._directory, order.file_name).stdout))
        return AccountingRun(None if timed_out else exit_code, counts, self._complaint(order), timed_out)

    def _engine_complaint(self, order: RunOrder) -> str:
        # Behind its reason the engine's command tells how to get help.
        lines = tail(Leftovers(self._directory, order.file_name).stderr).splitlines()
        reasons = [line for line in lines if "rror" in line]
        return complaint(reasons[0] if reasons else "\n".join(lines), self._known_directories)

    def _complaint(self, order: RunOrder) -> str:
        stderr = tail(Leftovers(self._directory, order.file_name).stderr)
        return complaint(stderr, self._known_directories)

    def _close(self, order: RunOrder) -> None:
        restore_input(self._inputs, order.file_name)
        self._records.ended(order)
