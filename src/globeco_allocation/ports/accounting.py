"""Portfolio Accounting's command line."""

from collections.abc import AsyncIterator
from typing import Protocol

from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow


class AccountingCli(Protocol):
    """Loads transaction files into Portfolio Accounting, one run at a time."""

    async def run(self, file_name: str, attempt: int) -> AccountingRun:
        """Run the CLI on a written file and wait for its end.

        No two runs of this port touch accounting at a time, also from other processes: a run waits for its
        turn. What an earlier attempt left (its error file) is put aside first.

        Raises:
            CliNotStartedError: it could not be started; nothing was sent.
        """
        ...

    def error_rows(self, file_name: str) -> AsyncIterator[ErrorRow]:
        """Read the last run's error file as a bounded stream; nothing comes when there is none."""
        ...
