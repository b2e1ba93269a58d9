"""Batch windows: reading the last one, claiming the next, and what is in it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from globeco_allocation.domain.batch import Batch, ClaimTerms
from globeco_allocation.domain.execution import Execution


class Batches(Protocol):
    """Claimed windows. Every method may raise `StoreUnavailableError`."""

    async def last_start(self) -> datetime:
        """Return the newest batch's start time: where the next window begins."""
        ...

    async def claim(self, last_start: datetime, terms: ClaimTerms) -> Batch:
        """Claim the window that begins at *last_start* and takes in every execution kept so far.

        The claim stands when this returns; executions kept later fall into a later window.

        Raises:
            WindowTakenError: another sender has claimed the window that begins there.
        """
        ...

    async def get(self, batch_id: int) -> Batch | None:
        """Return a claimed batch, or None; one without terms was another program's, and none of ours."""
        ...

    async def is_empty(self, batch: Batch) -> bool:
        """Tell whether the batch's window holds no execution."""
        ...

    def executions(self, batch: Batch) -> AbstractAsyncContextManager[AsyncIterator[Execution]]:
        """Stream the executions in the batch's window by ascending id, the same ones each time.

        A few thousand are held in memory at once, however many there are.
        """
        ...
