"""Whether this replica can write files where the others read, and start runs and keep them apart."""

import asyncio
from typing import Any

import structlog

from globeco_allocation.domain.errors import CliNotStartedError, FileNotWrittenError, RunNotFollowedError
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.trouble import Trouble
from globeco_allocation.ports.accounting import AccountingCli
from globeco_allocation.ports.files import TransactionFiles

_log: Any = structlog.get_logger("globeco_allocation.dispatcher")


class Fitness:
    """Looks from time to time, and says so when it changes.

    Args:
        files: Where files are written.
        accounting: The accounting CLI; None where none is set.
        metrics: Where it is shown.
        seconds: How long a good look is believed.
    """

    def __init__(
        self, files: TransactionFiles, accounting: AccountingCli | None, metrics: Metrics, seconds: float
    ) -> None:
        self._files = files
        self._accounting = accounting
        self._metrics = metrics
        self._seconds = seconds
        self._believed_until = 0.0
        self._trouble = Trouble(_tell, _tell_the_end, 0.0)
        self.hindrance = ""
        """What is wrong, for a person; empty when nothing is."""

    def doubt(self) -> None:
        """Look anew the next time: something failed."""
        self._believed_until = 0.0

    async def is_given(self) -> bool:
        """Tell whether files can be written and runs be started from here.

        Raises:
            StoreUnavailableError: which directory is the shared one cannot be known now.
        """
        now = asyncio.get_running_loop().time()
        if now < self._believed_until:
            return True
        try:
            await self._files.check()
            if self._accounting is not None:
                await self._accounting.check()
        except (FileNotWrittenError, CliNotStartedError, RunNotFollowedError) as error:
            self.hindrance = str(error)
            self._trouble.lasts(self.hindrance)
            self._metrics.fit_to_deliver(fit=False)
            return False
        self.hindrance = ""
        self._trouble.ended()
        self._metrics.fit_to_deliver(fit=True)
        self._believed_until = now + self._seconds
        return True


def _tell(reason: str) -> None:
    _log.error(logs.REPLICA_DOES_NOT_DELIVER, reason=reason)


def _tell_the_end() -> None:
    _log.info(logs.REPLICA_DELIVERS)
