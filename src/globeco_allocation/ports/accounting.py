"""Portfolio Accounting's command line."""

from collections.abc import AsyncGenerator
from typing import Protocol

from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow, RunOrder


class RunPermit(Protocol):
    """What a runner asks of whoever ordered the run."""

    async def begin(self) -> None:
        """Make sure that the run may still be started, and record that it is about to be.

        To be awaited with the order's lane held and nothing of it running, right before the start. A run that
        is found needs no permit.

        Raises:
            LeaseLostError: another one goes on with the delivery: start nothing.
            StoreUnavailableError: it cannot be known: start nothing.
        """
        ...

    async def identified(self, uid: str) -> None:
        """Record by what the run can be found again; to be awaited before its end is waited for.

        Raises:
            LeaseLostError: another one goes on with the delivery; it finds the run.
            StoreUnavailableError: it was not recorded.
        """
        ...


class AccountingCli(Protocol):
    """Loads transaction files into Portfolio Accounting."""

    async def check(self) -> None:
        """Make sure that runs can be started, found and kept apart from here.

        Raises:
            CliNotStartedError: they cannot; the message says what to do. Nothing may be run from here.
        """
        ...

    async def run(self, order: RunOrder, permit: RunPermit) -> AccountingRun:
        """Find the order's run, or start it, and wait for its end.

        There is one run for an order, however often and by however many it is asked for: one that is under
        way is waited for, one that has ended is told of. Before a start, every other run that might touch the
        same portfolios has ended, whoever began it: those of the same lane, and all of another lane count.
        What earlier attempts left (their error files) is put aside first. A run past its time limit is ended.

        When this is cancelled, a run that was started goes on, and keeps its lane until it ends.

        Raises:
            CliNotStartedError: the start was refused for sure: nothing of this attempt was sent.
            RunNotFollowedError: it cannot be told now whether the run was started, or how it ended, or other
                runs went on for too long: ask again with the same order.
            LeaseLostError, StoreUnavailableError: see `RunPermit`; nothing was started.
        """
        ...

    def error_rows(self, order: RunOrder) -> AsyncGenerator[ErrorRow]:
        """Read the ended run's error file as a bounded stream; nothing comes when there is none."""
        ...
