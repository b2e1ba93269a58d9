"""Faults that are planted to see that the simulation would find them; the product has none of them."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

from tests.simulation.world import World

from globeco_allocation.adapters.memory.accounting import MemoryAccounting
from globeco_allocation.adapters.memory.deliveries import MemoryDeliveries
from globeco_allocation.adapters.memory.lease_table import LeaseTable
from globeco_allocation.adapters.memory.rows import DeliveryRow
from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow, PrintedCounts, RunOrder
from globeco_allocation.domain.lease import Holder, Lease, Leased
from globeco_allocation.ports.accounting import RunPermit
from globeco_allocation.ports.deliveries import LeasedDelivery


class _Unfenced(LeaseTable):
    """Lets former holders write."""

    def check(self, lease: Lease, of: Leased) -> None:
        """Check nothing."""


class _EverLasting(LeaseTable):
    """Has leases that do not run out."""

    def is_free(self, of: Leased, key: int) -> bool:
        row = self._rows.get((of, key))
        return row is None or row.until is None


class _NewAttemptOnTakeover(MemoryDeliveries):
    """Begins another attempt whenever a delivery is taken over."""

    async def take(self, holder: Holder) -> LeasedDelivery | None:
        work = await super().take(holder)
        if work is None or not work.delivery.under_way:
            return work
        row = self._database.deliveries[work.delivery.id]
        row.delivery = replace(work.delivery, under_way=False, run_uid="")
        return replace(work, delivery=row.delivery)


class _NoQueue(MemoryDeliveries):
    """Gives out whatever is ready, whatever stands before it."""

    def _is_held_back(self, row: DeliveryRow, before: object) -> bool:  # noqa: ARG002
        return False


class _Believer:
    """Takes every run for one that has booked everything."""

    def __init__(self, real: MemoryAccounting, count: Callable[[str], int]) -> None:
        self._real = real
        self._count = count

    async def check(self) -> None:
        await self._real.check()

    async def run(self, order: RunOrder, permit: RunPermit) -> AccountingRun:
        await self._real.run(order, permit)
        count = self._count(order.file_name)
        return AccountingRun(0, PrintedCounts(count, count, 0))

    async def error_rows(self, order: RunOrder) -> AsyncGenerator[ErrorRow]:  # noqa: ARG002
        for row in ():
            yield row


def no_fencing_check(world: World) -> None:
    """Let former holders write."""
    world.database.leases = _Unfenced(world.database.clock)


def no_lane_locks(world: World) -> None:
    """Let a runner start a run while another one goes on in its lane."""
    world.books.keeps_lanes = False


def new_attempt_on_takeover(world: World) -> None:
    """Let the attempt's number rise though nobody has seen its run end."""
    world.ports.deliveries = _NewAttemptOnTakeover(world.database)


def no_queue(world: World) -> None:
    """Let deliveries overtake each other."""
    world.ports.deliveries = _NoQueue(world.database)


def every_run_is_fine(world: World) -> None:
    """Believe that a run has booked everything."""

    def count(file_name: str) -> int:
        rows = world.database.deliveries.values()
        return next(one.delivery.record_count for one in rows if one.delivery.file_name == file_name)

    world.ports.accounting = _Believer(world.books, count)


def leases_never_run_out(world: World) -> None:
    """Let what a dead replica held be held for ever."""
    world.database.leases = _EverLasting(world.database.clock)
