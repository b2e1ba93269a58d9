"""A service over the twins, and Portfolio Accounting beside it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from globeco_allocation.adapters.memory.accounting import MemoryAccounting
from globeco_allocation.adapters.memory.batches import MemoryBatches
from globeco_allocation.adapters.memory.clock import MemoryClock
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.deliveries import MemoryDeliveries
from globeco_allocation.adapters.memory.executions import MemoryExecutions
from globeco_allocation.adapters.memory.files import MemoryFiles
from globeco_allocation.adapters.memory.leases import MemoryLeases
from globeco_allocation.adapters.memory.resolutions import MemoryResolutions
from globeco_allocation.domain import (
    AccountingRun,
    AllocatedExecution,
    ClaimTerms,
    Delivery,
    ErrorRow,
    Holder,
    Lease,
    NewExecution,
    RunOrder,
)
from globeco_allocation.domain.use_cases import DeliverFile, PrepareBatch, SendBatch, WorkOff
from globeco_allocation.ports.accounting import AccountingCli, RunPermit
from globeco_allocation.ports.batches import LeasedBatch
from globeco_allocation.ports.deliveries import LeasedDelivery

PORTFOLIO = "683b6b9620f302c879a5fef4"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PATIENCE = 5.0
"""Seconds after which a test that waits has failed."""

ONE, ANOTHER = Holder("one"), Holder("another")


@dataclass
class ScriptedCli:
    """Ends one run after the other as told: with what it left behind, or by raising."""

    script: list[tuple[AccountingRun, Sequence[ErrorRow]] | Exception]
    orders: list[RunOrder] = field(default_factory=list[RunOrder])
    _rows: Sequence[ErrorRow] = ()

    async def check(self) -> None:
        pass

    async def run(self, order: RunOrder, permit: RunPermit) -> AccountingRun:
        self.orders.append(order)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        await permit.begin()
        run, self._rows = step
        return run

    async def error_rows(self, order: RunOrder) -> AsyncGenerator[ErrorRow]:
        assert order == self.orders[-1]
        for row in self._rows:
            yield row


class WatchedDeliveries(MemoryDeliveries):
    """The twin, and whether a run is under way: `run_begun`."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.run_begun = asyncio.Event()

    async def identified(self, lease: Lease, attempt: int, uid: str) -> None:
        await super().identified(lease, attempt, uid)
        self.run_begun.set()


class World:
    """One database, one directory, one Portfolio Accounting."""

    def __init__(self, make_report: Callable[..., NewExecution]) -> None:
        self.make_report = make_report
        self.clock = MemoryClock(NOON)
        self.database = MemoryDatabase(self.clock)
        self.executions = MemoryExecutions(self.database)
        self.batches = MemoryBatches(self.database)
        self.deliveries = WatchedDeliveries(self.database)
        self.leases = MemoryLeases(self.database)
        self.resolutions = MemoryResolutions(self.database)
        self.files = MemoryFiles()
        self.accounting = MemoryAccounting(self.files.contents)
        self.prepare = PrepareBatch(self.batches, self.deliveries, self.files)

    def deliver(self, cli: AccountingCli | None = None, *, remove_delivered: bool = False) -> DeliverFile:
        return DeliverFile(
            self.deliveries,
            cli or self.accounting,
            self.files,
            self.prepare,
            remove_delivered=remove_delivered,
        )

    def work_off(self, cli: AccountingCli | None = None, *, delivers: bool = True) -> WorkOff:
        return WorkOff(
            self.batches,
            self.deliveries,
            self.leases,
            prepare=self.prepare,
            deliver=self.deliver(cli) if delivers else None,
            holder=ONE,
        )

    def sender(self, terms: ClaimTerms | None = None, *, delivers: bool = True) -> SendBatch:
        return SendBatch(
            self.batches,
            self.deliveries,
            self.files,
            self.work_off(delivers=delivers),
            terms or ClaimTerms(),
        )

    async def keep(self, *reports: NewExecution, portfolio: str = PORTFOLIO) -> None:
        await self.executions.keep([AllocatedExecution(report, portfolio) for report in reports])

    async def claim(self, records: int, terms: ClaimTerms | None = None) -> LeasedBatch:
        """Keep the next executions, and claim them as a batch."""
        kept = (await self.executions.page(limit=1, offset=0)).total
        ids = range(kept + 1, kept + records + 1)
        await self.keep(*(self.make_report(execution_service_id=key) for key in ids))
        self.pass_time(timedelta(minutes=1))
        return await self.batches.claim(await self.batches.last_start(), terms or ClaimTerms(), ONE)

    async def written(self, records: int, terms: ClaimTerms | None = None) -> Delivery:
        """Claim a batch of the next executions, and write its files; returns the first."""
        work = await self.claim(records, terms)
        await self.prepare(work)
        return (await self.deliveries.of_batches([work.batch.id]))[0]

    async def take(self, holder: Holder = ONE) -> LeasedDelivery:
        """Lease the delivery that is due; there must be one."""
        work = await self.deliveries.take(holder)
        assert work is not None
        return work

    async def present(self, delivery_id: int = 1) -> Delivery:
        delivery = await self.deliveries.get(delivery_id)
        assert delivery is not None
        return delivery

    def pass_time(self, by: timedelta) -> None:
        self.clock.step(by)
