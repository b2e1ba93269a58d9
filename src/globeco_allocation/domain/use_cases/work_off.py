"""Work off what is due: batches whose files are to be written, files that are to be delivered.

Whoever began them: after a crash anyone goes on from the last recorded step (design, "Delivery").
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

from globeco_allocation.domain.delivery import Settlement
from globeco_allocation.domain.errors import (
    AllocationError,
    FileNotWrittenError,
    LeaseLostError,
    StoreUnavailableError,
)
from globeco_allocation.domain.lease import Holder
from globeco_allocation.domain.use_cases.deliver import DeliverFile
from globeco_allocation.domain.use_cases.heartbeat import under_lease
from globeco_allocation.domain.use_cases.prepare import PrepareBatch
from globeco_allocation.ports.batches import Batches, LeasedBatch
from globeco_allocation.ports.deliveries import Deliveries, LeasedDelivery
from globeco_allocation.ports.leases import Leases

_AGAIN_AFTER_A_FAULT = timedelta(seconds=30)
_FAULT = "the service failed on this file; its log says more"


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
        """Write a leased batch's files. After a fault of ours it is not due for a while, for anybody.

        Raises:
            FileNotWrittenError, LeaseLostError, StoreUnavailableError: see `PrepareBatch`.
        """
        await under_lease(self._leases, work.lease, self._write_in_turn(work))

    async def take_delivery(self) -> LeasedDelivery | None:
        """Lease the next file that is to be delivered; `deliver` it then. None also where no CLI is set."""
        return await self._deliveries.take(self.holder) if self._deliver is not None else None

    async def deliver(self, work: LeasedDelivery) -> Settlement | None:
        """Carry a leased delivery's attempt to its end. After a fault of ours it is not due for a while.

        Returns:
            See `DeliverFile`.

        Raises:
            LeaseLostError, StoreUnavailableError: see `DeliverFile`.
        """
        if self._deliver is None:
            return None
        return await under_lease(self._leases, work.lease, self._deliver_or_put_off(work, self._deliver))

    async def until_idle(self) -> None:
        """Write and deliver, one after the other, until nothing is due now.

        Raises:
            FileNotWrittenError, LeaseLostError, StoreUnavailableError: see `write` and `deliver`.
        """
        while (batch := await self.take_batch()) is not None:
            await self.write(batch)
        while (delivery := await self.take_delivery()) is not None:
            await self.deliver(delivery)

    async def _write_in_turn(self, work: LeasedBatch) -> None:
        async with self._writing:
            try:
                await self._prepare(work)
            except (FileNotWrittenError, LeaseLostError, StoreUnavailableError):
                raise  # an ordinary end, recorded as far as it can be
            except Exception:
                # Given back as it is, it would be due at once, and fail again without end.
                with suppress(AllocationError):
                    await self._batches.hindered(work.lease, _AGAIN_AFTER_A_FAULT)
                raise

    async def _deliver_or_put_off(self, work: LeasedDelivery, deliver: DeliverFile) -> Settlement | None:
        try:
            return await deliver(work)
        except (LeaseLostError, StoreUnavailableError):
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, AllocationError) else _FAULT
            with suppress(AllocationError):
                await self._deliveries.hindered(work.lease, reason, _AGAIN_AFTER_A_FAULT)
            raise
