"""Send a batch: claim what became ready, write its file, have it delivered.

Claiming, writing and delivering are separate recorded steps, each of which may be repeated (design,
"Delivery").
"""

from collections.abc import Callable
from dataclasses import replace

from globeco_allocation.domain.batch import Batch, ClaimTerms
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus
from globeco_allocation.domain.errors import FileNotWrittenError
from globeco_allocation.domain.transaction_file import HEADER, file_name, row_formatter
from globeco_allocation.domain.use_cases.deliver import DeliverFile
from globeco_allocation.ports.batches import Batches
from globeco_allocation.ports.deliveries import Deliveries
from globeco_allocation.ports.files import TransactionFiles


class SendBatch:
    """Sends everything that became ready since the last batch.

    Args:
        batches: Windows and what is in them.
        deliveries: Where each step is recorded.
        files: Where transaction files are written.
        deliver: Runs the accounting CLI on a file; None leaves files ``written``.
        terms: How files are made from now on.
    """

    def __init__(
        self,
        batches: Batches,
        deliveries: Deliveries,
        files: TransactionFiles,
        deliver: DeliverFile | None,
        terms: ClaimTerms,
    ) -> None:
        self._batches = batches
        self._deliveries = deliveries
        self._files = files
        self._deliver = deliver
        self._terms = terms

    async def claim(self, requested_by: str = "") -> Batch:
        """Claim the window of everything kept since the last batch.

        Nothing is claimed unless a file can be written: executions wait best where the next send finds
        them.

        Raises:
            FileNotWrittenError: no file can be written now; nothing was claimed.
            WindowTakenError: another sender claimed the same window.
            StoreUnavailableError: the database is away, or its lock was not to be had in time.
        """
        await self._files.check()
        last_start = await self._batches.last_start()
        return await self._batches.claim(last_start, replace(self._terms, requested_by=requested_by))

    async def carry_out(self, batch: Batch) -> tuple[Delivery, ...]:
        """Write and deliver a claimed batch; an empty one leaves no file and no delivery.

        May be repeated: it goes on after the last recorded step, and a file made again is the same. What
        was begun to be delivered is left alone, for its run may be under way still.

        Returns:
            Its deliveries, as they stand at the end.

        Raises:
            FileNotWrittenError: the file could not be written; the delivery stays ``claimed``.
            CliNotStartedError: no turn could be had at the CLI; the delivery stays ``written``.
            StoreUnavailableError: the database went away; the last recorded step stands.
        """
        delivery = await self.write(batch)
        if delivery is not None:
            await self.deliver(delivery)
        return await self._deliveries.of_batch(batch.id)

    async def write(self, batch: Batch) -> Delivery | None:
        """Write a claimed batch's file: the first half of `carry_out`.

        Returns:
            The delivery with its file written; None when there is none to begin.

        Raises:
            FileNotWrittenError, StoreUnavailableError: see `carry_out`.
        """
        if await self._batches.is_empty(batch):
            return None
        delivery = await self._deliveries.claimed(batch.id, file_name(batch))
        if delivery.status not in {DeliveryStatus.CLAIMED, DeliveryStatus.WRITTEN}:
            return None
        row = row_formatter(batch.terms.file_quantity)
        try:
            async with self._batches.executions(batch) as executions:
                file = await self._files.write(delivery.file_name, HEADER, executions, row)
        except FileNotWrittenError as error:
            await self._deliveries.hindered(delivery.id, str(error))
            raise
        await self._deliveries.written(delivery.id, file)
        return replace(delivery, status=DeliveryStatus.WRITTEN, file=file)

    async def deliver(self, delivery: Delivery, may_begin: Callable[[], bool] = lambda: True) -> None:
        """Have a written file delivered: the second half of `carry_out`; without a CLI it stays ``written``.

        *may_begin* is asked once its turn has come, see `DeliverFile`.

        Raises:
            CliNotStartedError, StoreUnavailableError: see `carry_out`.
        """
        if self._deliver is not None:
            await self._deliver(delivery, may_begin)
