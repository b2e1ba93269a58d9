"""All that has to stand before a run may start, and how it is taken back."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from globeco_allocation.adapters import log_events
from globeco_allocation.adapters.log_events import facts
from globeco_allocation.adapters.output_files.directory import reason
from globeco_allocation.adapters.output_files.leftovers import Leftovers
from globeco_allocation.adapters.subprocess_cli.child import Child
from globeco_allocation.adapters.subprocess_cli.kept_input import KeptInputs
from globeco_allocation.adapters.subprocess_cli.lane_lock import HeldLane
from globeco_allocation.adapters.subprocess_cli.living_process import ProcessMark
from globeco_allocation.adapters.subprocess_cli.run_record import RunRecord, RunRecords
from globeco_allocation.domain.accounting_run import RunOrder
from globeco_allocation.domain.errors import CliNotStartedError

_log = logging.getLogger(__name__)


class Preparation:
    """A run that can be started at once; its record says already that it was.

    Every method blocks, and is for the holder of the order's lane.
    """

    def __init__(self, directory: Path, order: RunOrder) -> None:
        self._directory = directory
        self._order = order
        self._record = RunRecord.of(order)
        self._records = RunRecords(directory)
        self._leftovers = Leftovers(directory, order.file_name)
        self._inputs = KeptInputs(directory)
        self._outputs: tuple[int, ...] = ()

    @classmethod
    def make(cls, directory: Path, order: RunOrder, earlier: RunRecord | None) -> "Preparation":
        """Put aside what an earlier attempt left, and make everything ready.

        Raises:
            CliNotStartedError: it cannot be; everything is as if nothing had been tried.
        """
        made = cls(directory, order)
        try:
            made._inputs.restore(order.file_name)
            made._inputs.keep(order.file_name)
        except FileNotFoundError as error:
            raise CliNotStartedError(f"the file {order.file_name} is gone: nothing was sent") from error
        except OSError as error:
            raise _not_ready(error) from error
        try:
            made._leftovers.put_aside(earlier.attempt if earlier else order.attempt - 1)
        except OSError as error:  # what is there is the earlier attempt's still
            restore_input(made._inputs, order.file_name)
            raise _not_ready(error) from error
        try:
            made._outputs = made._leftovers.open_outputs()
            made._records.begin(order, made._record)
        except OSError as error:
            made.undo()
            raise _not_ready(error) from error
        return made

    def undo(self) -> None:
        """Take everything back: nothing was started."""
        self._close()
        self._leftovers.remove_outputs()
        self._records.undo(self._order)
        restore_input(self._inputs, self._order.file_name)

    def start(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        lane: HeldLane,
        explain: Callable[[OSError], str],
    ) -> Child:
        """Start the run, which from then on is the only one to hold the lane.

        Raises:
            CliNotStartedError: nothing runs, and everything was taken back.
        """
        try:
            child = Child.start(
                argv,
                environment=environment,
                directory=self._directory,
                stdout=self._outputs[0],
                stderr=self._outputs[1],
                inherited=lane.descriptors,
            )
        except OSError as error:
            self.undo()
            raise CliNotStartedError(explain(error)) from error
        try:
            self._records.write(self._order.file_name, self._record.known_as(ProcessMark.of(child.pid).uid))
        except OSError as error:  # it is found by its outputs then, or by what the permit keeps
            _log.warning(
                log_events.PROCESS_NOT_NOTED, extra=facts(run=self._order.name, reason=error.strerror)
            )
        finally:
            self._close()
            lane.close()
        return child

    def _close(self) -> None:
        outputs, self._outputs = self._outputs, ()
        for descriptor in outputs:
            with suppress(OSError):
                os.close(descriptor)


def restore_input(inputs: KeptInputs, file_name: str) -> None:
    """Give the data file its name back if a run has deleted it; blocks, and raises nothing."""
    try:
        inputs.restore(file_name)
    except OSError as error:  # the next attempt tries again, and its file is made anew
        _log.warning(log_events.FILE_NOT_PUT_BACK, extra=facts(file_name=file_name, reason=error.strerror))


def _not_ready(error: OSError) -> CliNotStartedError:
    return CliNotStartedError(f"the accounting CLI was not started: {reason(error)}")
