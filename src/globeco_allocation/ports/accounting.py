"""Portfolio Accounting's command line."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow


class AccountingTurn(Protocol):
    """The right to run: as long as it is held, no other run touches accounting."""

    async def run(self, file_name: str, attempt: int) -> AccountingRun:
        """Run the CLI on a written file and wait for its end.

        What an earlier attempt left (its error file) is put aside first. When this is cancelled, the run goes
        on and keeps its turn until it ends.

        Raises:
            CliNotStartedError: it could not be started; nothing was sent.
        """
        ...


class AccountingCli(Protocol):
    """Loads transaction files into Portfolio Accounting, one run at a time."""

    def turn(self) -> AbstractAsyncContextManager[AccountingTurn]:
        """Wait until every earlier run has ended, also those of other processes, and hold the turn.

        The wait is as long as those runs take, each of which has a time limit; it may be cancelled.

        Raises:
            CliNotStartedError: the turn cannot be had at all.
        """
        ...

    def error_rows(self, file_name: str) -> AsyncIterator[ErrorRow]:
        """Read the last run's error file as a bounded stream; nothing comes when there is none."""
        ...
