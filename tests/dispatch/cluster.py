"""Replicas of the service over the same twins: their sends and dispatchers."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

from globeco_allocation.adapters.memory.accounting import MemoryAccounting
from globeco_allocation.adapters.memory.batches import MemoryBatches
from globeco_allocation.adapters.memory.clock import MemoryClock
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.deliveries import MemoryDeliveries
from globeco_allocation.adapters.memory.executions import MemoryExecutions
from globeco_allocation.adapters.memory.files import MemoryDraft, MemoryFiles
from globeco_allocation.adapters.memory.leases import MemoryLeases
from globeco_allocation.adapters.memory.resolutions import MemoryResolutions
from globeco_allocation.domain.batch import ClaimTerms
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus
from globeco_allocation.domain.execution import AllocatedExecution, NewExecution
from globeco_allocation.domain.lease import LEASE_TIME, Holder
from globeco_allocation.domain.retry import RetryTerms
from globeco_allocation.domain.use_cases import DeliverFile, PrepareBatch, SendBatch, WorkOff
from globeco_allocation.entrypoints.dispatcher import Dispatcher, Rests
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.send_report import NO_CLI, SUBPROCESS
from globeco_allocation.entrypoints.sends import Sends
from globeco_allocation.ports.deliveries import LeasedDelivery

PATIENCE_SECONDS = 10.0

NO_POLLS = Rests(poll=3600, check=3600, patience=0)
"""Whatever happens within a test's time was woken."""

QUICK = Rests(poll=0.01, fault=0.01, check=0, patience=0)
"""For what only a look can find: another process' work, and what becomes due."""

_SENT = datetime(2026, 3, 2, 15, 0, 1, tzinfo=UTC)


class CountingDeliveries(MemoryDeliveries):
    """Counts how often a delivery was looked for."""

    looks = 0

    async def take(self, holder: Holder) -> LeasedDelivery | None:
        self.looks += 1
        return await super().take(holder)


class CountingFiles(MemoryFiles):
    """Counts how often it was asked whether files can be written, and how many are written at a time."""

    checks = 0
    open_drafts = 0
    most_open_drafts = 0

    async def check(self) -> None:
        self.checks += 1
        await super().check()

    @asynccontextmanager
    async def draft(self, name: str, header: bytes) -> AsyncGenerator[MemoryDraft]:
        self.open_drafts += 1
        self.most_open_drafts = max(self.most_open_drafts, self.open_drafts)
        try:
            await asyncio.sleep(0)  # a directory takes its time
            async with super().draft(name, header) as draft:
                yield draft
        finally:
            self.open_drafts -= 1


@dataclass(frozen=True)
class Replica:
    """One process' share of the work, and what it counts."""

    dispatcher: Dispatcher
    sends: Sends
    work_off: WorkOff
    send_batch: SendBatch
    metrics: Metrics

    def metric(self, line: str) -> float:
        """The value of a line of the metrics; 0 where there is none."""
        lines = self.metrics.render().decode().splitlines()
        found = (one.rpartition(" ") for one in lines)
        return next((float(value) for name, _, value in found if name == f"globeco_allocation_{line}"), 0.0)


@dataclass
class Cluster:
    """Twins that any number of replicas share; change them at any time, the terms before a replica opens."""

    terms: ClaimTerms = field(default_factory=ClaimTerms)
    retry: RetryTerms = field(default_factory=RetryTerms)
    with_cli: bool = True

    def __post_init__(self) -> None:
        self.clock = MemoryClock()
        self.database = MemoryDatabase(self.clock)
        self.executions = MemoryExecutions(self.database)
        self.batches = MemoryBatches(self.database)
        self.deliveries = CountingDeliveries(self.database)
        self.resolutions = MemoryResolutions(self.database)
        self.leases = MemoryLeases(self.database)
        self.files = CountingFiles()
        self.accounting = MemoryAccounting(self.files.contents)
        self._names = count(1)
        self._keys = count(1)

    @asynccontextmanager
    async def replica(
        self,
        rests: Rests = NO_POLLS,
        metrics: Metrics | None = None,
        *,
        limit: int = 100,
        grace_seconds: float = 1.0,
        may_begin: Callable[[], bool] = lambda: True,
    ) -> AsyncGenerator[Replica]:
        """Run one more replica."""
        metrics = metrics or Metrics()
        work_off, send_batch = self._use_cases()
        async with (
            Dispatcher(
                work_off,
                self.deliveries,
                self.files,
                self.accounting if self.with_cli else None,
                metrics,
                lanes=self.terms.lane_count,
                may_begin=may_begin,
                grace_seconds=grace_seconds,
                rests=rests,
            ) as dispatcher,
            Sends(
                send_batch,
                self.batches,
                self.deliveries,
                dispatcher,
                metrics,
                execution_mode=SUBPROCESS if self.with_cli else NO_CLI,
                limit=limit,
                grace_seconds=grace_seconds,
            ) as sends,
        ):
            yield Replica(dispatcher, sends, work_off, send_batch, metrics)

    async def keep(self, *portfolios: str) -> None:
        """Keep an execution of each of these portfolios."""
        new = [AllocatedExecution(_execution(next(self._keys)), one) for one in portfolios or ("P-1",)]
        await self.executions.keep(new)

    async def left_claimed(self) -> int:
        """Claim a batch as a process does that dies before it has written anything; return its id."""
        _, send_batch = self._use_cases()
        work = await send_batch.claim("the dead")
        return work.batch.id

    async def left_written(self) -> int:
        """Claim and write a batch as a process does that dies then; return its id."""
        work_off, send_batch = self._use_cases()
        work = await send_batch.claim("the dead")
        await work_off.write(work)
        return work.batch.id

    async def left_taken(self) -> Delivery:
        """Take a delivery as a process does that dies then."""
        work_off, _ = self._use_cases()
        taken = await work_off.take_delivery()
        assert taken is not None
        return taken.delivery

    def let_leases_run_out(self) -> None:
        """Step the database's clock past the longest lease."""
        self.clock.step(LEASE_TIME + timedelta(seconds=1))

    async def of_batch(self, batch_id: int) -> tuple[Delivery, ...]:
        """Return a batch's deliveries, as they stand."""
        return await self.deliveries.of_batches((batch_id,))

    async def looked_in_vain(self) -> None:
        """Wait until replicas with quick polls have looked for deliveries several times more."""
        looks = self.deliveries.looks
        await until(lambda: self.deliveries.looks >= looks + 5)

    def statuses(self, batch_id: int = 0) -> list[DeliveryStatus]:
        """Return the statuses of a batch's deliveries, or of all."""
        rows = [row.delivery for row in self.database.deliveries.values()]
        return [one.status for one in rows if batch_id in {0, one.batch_id}]

    def all_delivered(self) -> bool:
        """Tell whether there are deliveries, and all are delivered."""
        return bool(self.statuses()) and set(self.statuses()) == {DeliveryStatus.DELIVERED}

    def _use_cases(self) -> tuple[WorkOff, SendBatch]:
        prepare = PrepareBatch(self.batches, self.deliveries, self.files)
        deliver = (
            DeliverFile(self.deliveries, self.accounting, self.files, prepare, self.retry)
            if self.with_cli
            else None
        )
        holder = Holder(f"replica-{next(self._names)}")
        work_off = WorkOff(
            self.batches, self.deliveries, self.leases, prepare=prepare, deliver=deliver, holder=holder
        )
        return work_off, SendBatch(self.batches, self.deliveries, self.files, work_off, self.terms)


async def until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until *condition* holds, with a bound."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (it is not ours to set an event)
            await asyncio.sleep(0.002)


def _execution(key: int) -> NewExecution:
    return NewExecution(
        execution_service_id=key,
        execution_status="FULL",
        trade_type="BUY",
        destination="ML",
        security_id="68336002fe95851f0a2aeda9",
        ticker="IBM",
        quantity=Decimal(100),
        received_timestamp=_SENT,
        sent_timestamp=_SENT,
        average_price=Decimal("50.125"),
    )


def several(lanes: int = 1, file_max_records: int = 100_000) -> ClaimTerms:
    """Terms under which a batch has several files."""
    return replace(ClaimTerms(), lane_count=lanes, file_max_records=file_max_records)
