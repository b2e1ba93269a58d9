"""Send a batch: claim what became ready, write its files, have them delivered.

Claiming, writing and delivering are separate recorded steps, each of which may be repeated, by anyone
(design, "Delivery").
"""

from dataclasses import replace

from globeco_allocation.domain.batch import ClaimTerms
from globeco_allocation.domain.delivery import Delivery
from globeco_allocation.domain.trace_context import NO_TRACE, TraceContext
from globeco_allocation.domain.use_cases.work_off import WorkOff
from globeco_allocation.ports.batches import Batches, LeasedBatch
from globeco_allocation.ports.deliveries import Deliveries
from globeco_allocation.ports.files import TransactionFiles


class SendBatch:
    """Sends everything that became ready since the last batch.

    Args:
        batches: Windows and what is in them.
        deliveries: How far their files are.
        files: Where transaction files are written.
        work_off: Writes and delivers.
        terms: How files are made from now on.
    """

    def __init__(
        self,
        batches: Batches,
        deliveries: Deliveries,
        files: TransactionFiles,
        work_off: WorkOff,
        terms: ClaimTerms,
    ) -> None:
        self._batches = batches
        self._deliveries = deliveries
        self._files = files
        self._work_off = work_off
        self._terms = terms

    async def claim(self, requested_by: str = "", trace: TraceContext = NO_TRACE) -> LeasedBatch:
        """Claim the window of everything kept since the last batch, leased to us for writing.

        Nothing is claimed unless a file can be written: executions wait best where the next send finds
        them.

        Raises:
            FileNotWrittenError: no file can be written now; nothing was claimed.
            WindowTakenError: another sender claimed the same window.
            StoreUnavailableError: the database is away, or its lock was not to be had in time.
        """
        await self._files.check()
        last_start = await self._batches.last_start()
        terms = replace(self._terms, requested_by=requested_by, trace=trace)
        return await self._batches.claim(last_start, terms, self._work_off.holder)

    async def __call__(self, requested_by: str = "") -> tuple[Delivery, ...]:
        """Claim, write and deliver, one after the other, with whatever else is due.

        Returns:
            The batch's deliveries as they stand then; one whose attempt failed waits for its next one.

        Raises:
            FileNotWrittenError, WindowTakenError, LeaseLostError, StoreUnavailableError: see `claim` and
                `WorkOff`.
        """
        work = await self.claim(requested_by)
        await self._work_off.write(work)
        await self._work_off.until_idle()
        return await self._deliveries.of_batches((work.batch.id,))
