"""The simulated Portfolio Accounting of one stage: its faults, its books, its processes."""

import os
import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import psutil
from tests.process.service_process import wait_until
from tests.processes import command_line, has_ended

from globeco_allocation.entrypoints.simulated.accounting_books import Books, read_books
from globeco_allocation.entrypoints.simulated.accounting_files import Row
from globeco_allocation.entrypoints.simulated.accounting_ledger import Ledger, Status
from globeco_allocation.entrypoints.stack import simulated_cli_command

_RUNNING = "SELECT name FROM runs WHERE ended IS NULL"
_WITH_STATUS = "SELECT source_id FROM transactions WHERE status = ?"


class Accounting:
    """Portfolio Accounting and its CLI.

    Attributes:
        ledger: Its books.
        settings: What a service needs to run the CLI.
    """

    def __init__(self, directory: Path, files: Path) -> None:
        self.ledger = directory / "ledger.sqlite3"
        self._fault = directory / "fault"
        self._files = files
        self.settings = {
            "CLI_COMMAND": simulated_cli_command(),
            "SIMULATED_ACCOUNTING_LEDGER": str(self.ledger),
            "SIMULATED_ACCOUNTING_FAULT": f"@{self._fault}",
        }

    def does(self, fault: str) -> None:
        """Let every run that begins from now on do something wrong; nothing if empty."""
        part = self._fault.with_suffix(".tmp")
        part.write_text(fault)
        part.replace(self._fault)

    def books(self) -> Books:
        """Read the books."""
        return read_books(self.ledger)

    def runs(self) -> list[psutil.Process]:
        """Return the processes of runs that have begun to send and go on."""
        found: list[psutil.Process] = []
        for name in self._ask(_RUNNING):
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(name.partition("-")[0]))
                if str(self._files) in command_line(process) and not has_ended(process):
                    found.append(process)
        return found

    def until_a_run_goes_on(self) -> None:
        """Wait until a run has begun to send."""
        wait_until(lambda: bool(self.runs()), "a run goes on")

    def until_no_run_goes_on(self) -> None:
        """Wait for the end of every run."""
        wait_until(lambda: not self.runs(), "no run goes on")

    def until_rows_are_booked(self, count: int) -> None:
        """Wait until so many rows are booked."""
        wait_until(lambda: len(self._ask(_WITH_STATUS, Status.PROC)) >= count, f"{count} rows are booked")

    def pause_the_run(self) -> psutil.Process:
        """Pause the only run, so that it outlasts whatever happens meanwhile; to be resumed by its caller."""
        (run,) = self.runs()
        run.suspend()
        wait_until(lambda: run.status() == psutil.STATUS_STOPPED, "the run is paused")
        return run

    def stop_a_run_in_the_middle_of_a_row(self) -> str:
        """Pause the only run while a row of its is stored and not booked yet; rows must be slow.

        Returns:
            The row's source id.
        """
        found: list[str] = []

        def pause() -> bool:
            if not self._ask(_WITH_STATUS, Status.NEW):
                return False
            run = self.pause_the_run()
            found.extend(self._ask(_WITH_STATUS, Status.NEW))
            if not found:
                run.resume()  # it was faster
            return bool(found)

        wait_until(pause, "a run is in the middle of a row")
        return found[0]

    def kill_runs(self) -> None:
        """Kill every run with its whole group."""
        for run in self.runs():
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
        self.until_no_run_goes_on()

    def plant(self, source_id: str, portfolio: str) -> None:
        """Book a row of somebody else's under a source id of ours."""
        row = Row(portfolio, "68336002fe95851f0a2aeda9", source_id, "BUY", "1", "1", "20260302")
        with Ledger(self.ledger) as ledger:
            ledger.settle(ledger.store(row))

    def _ask(self, query: str, *values: str) -> list[str]:
        if not self.ledger.exists():
            return []
        with closing(sqlite3.connect(self.ledger, timeout=10)) as db:
            try:
                return [str(one) for (one,) in db.execute(query, values).fetchall()]
            except sqlite3.OperationalError:  # its tables are being made
                return []
