"""Work off what is due: batches whose files are to be written, files that are to be delivered.

Whoever began them: after a crash anyone goes on from the last recorded step (design, "Delivery").
"""

import asyncio

from globeco_allocation.domain.delivery import Settlement
from globeco_allocation.domain.lease import Holder
from globeco_allocation.domain.use_cases.deliver import DeliverFile
from globeco_allocation.domain.use_cases.heartbeat import under_lease
from globeco_allocation.domain.use_cases.prepare import PrepareBatch
from globeco_allocation.ports.batches import Batches, LeasedBatch
from globeco_allocation.ports.deliveries import Deliveries, LeasedDelivery
from globeco_allocation.ports.leases import Leases


class WorkOff:
    """Takes what is due under leases, and carries it out.

    Args:
        batches: Claimed windows.
        deliveries: Their files.
        leases: The rights to work on them.
        prepare: Writes a batch's files.
        deliver: Delivers a file; None leaves files ``written``.
        holder: Who we are; unlike any other process that works on the same database.
    """

    def __init__(
        self,
        batches: Batches,
        deliveries: Deliveries,
        leases: Leases,
        *,
        prepare: PrepareBatch,
        deliver: DeliverFile | None,
        holder: Holder,
    ) -> None:
        self._batches = batches
        self._deliveries = deliveries
        self._leases = leases
        self._prepare = prepare
        self._deliver = deliver
        self.holder = holder
        # One after the other, in the order of their claims: side by side they only take each other's disk.
        self._writing = asyncio.Lock()

    async def take_batch(self) -> LeasedBatch | None:
        """Lease the next batch that is to be written; `write` it then."""
        return await self._batches.take_unprepared(self.holder)

    async def write(self, work: LeasedBatch) -> None:
        """Write a leased batch's files.

        Raises:
            FileNotWrittenError, LeaseLostError, StoreUnavailableError: see `PrepareBatch`.
        """
        await under_lease(self._leases, work.lease, self._write_in_turn(work))

    async def take_delivery(self) -> LeasedDelivery | None:
        """Lease the next file that is to be delivered; `deliver` it then. None also where no CLI is set."""
        return await self._deliveries.take(self.holder) if self._deliver is not None else None

    async def deliver(self, work: LeasedDelivery) -> Settlement | None:
        """Carry a leased delivery's attempt to its end.

        Returns:
            See `DeliverFile`.

        Raises:
            LeaseLostError, StoreUnavailableError: see `DeliverFile`.
        """
        if self._deliver is None:
            return None
        return await under_lease(self._leases, work.lease, self._deliver(work))

    async def _write_in_turn(self, work: LeasedBatch) -> None:
        async with self._writing:
            await self._prepare(work)

    async def until_idle(self) -> None:
        """Write and deliver, one after the other, until nothing is due now.

        Raises:
            FileNotWrittenError, LeaseLostError, StoreUnavailableError: see `write` and `deliver`.
        """
        while (batch := await self.take_batch()) is not None:
            await self.write(batch)
        while (delivery := await self.take_delivery()) is not None:
            await self.deliver(delivery)
