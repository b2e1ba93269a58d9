"""The whole service over the in-memory twins: for trying things out, and for properties of one's own."""

from collections.abc import Callable, Mapping

from globeco_allocation.adapters.memory.accounting import MemoryAccounting
from globeco_allocation.adapters.memory.batches import MemoryBatches
from globeco_allocation.adapters.memory.clock import MemoryClock
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.deliveries import MemoryDeliveries
from globeco_allocation.adapters.memory.executions import MemoryExecutions
from globeco_allocation.adapters.memory.files import MemoryFiles
from globeco_allocation.adapters.memory.leases import MemoryLeases
from globeco_allocation.adapters.memory.portfolios import MemoryPortfolios
from globeco_allocation.domain.batch import ClaimTerms
from globeco_allocation.domain.lease import Holder
from globeco_allocation.domain.retry import RetryTerms
from globeco_allocation.domain.use_cases.deliver import DeliverFile
from globeco_allocation.domain.use_cases.prepare import PrepareBatch
from globeco_allocation.domain.use_cases.receive import ReceiveExecutions
from globeco_allocation.domain.use_cases.send import SendBatch
from globeco_allocation.domain.use_cases.work_off import WorkOff
from globeco_allocation.ports.accounting import AccountingCli

MakeRunner = Callable[[Mapping[str, bytes]], AccountingCli]
"""Makes an accounting CLI, given the transaction files by name."""


class InMemory:
    """Receives and sends like the service; everything is forgotten at the end.

    Args:
        portfolios: Portfolio ids by execution-service id.
        runner: Makes the accounting CLI; one that books everything unless given.
        terms: How files are made.
        retry: How often a file is tried.

    Attributes:
        clock: The time, which stands still until it is stepped.
        files: Transaction files by name.
        deliveries: How far they are.
        receive: Takes executions, see `ReceiveExecutions`.
        send: Sends what became ready, see `SendBatch`.
        work_off: Carries on with what is due, see `WorkOff`.
    """

    def __init__(
        self,
        portfolios: Mapping[int, str],
        runner: MakeRunner = MemoryAccounting,
        terms: ClaimTerms | None = None,
        retry: RetryTerms | None = None,
    ) -> None:
        self.clock = MemoryClock()
        database, files = MemoryDatabase(self.clock), MemoryFiles()
        self.files = files.contents
        self.deliveries = MemoryDeliveries(database)
        batches = MemoryBatches(database)
        prepare = PrepareBatch(batches, self.deliveries, files)
        deliver = DeliverFile(self.deliveries, runner(self.files), files, prepare, retry)
        self.work_off = WorkOff(
            batches,
            self.deliveries,
            MemoryLeases(database),
            prepare=prepare,
            deliver=deliver,
            holder=Holder("in memory"),
        )
        self.receive = ReceiveExecutions(MemoryExecutions(database), MemoryPortfolios(portfolios))
        self.send = SendBatch(batches, self.deliveries, files, self.work_off, terms or ClaimTerms())
