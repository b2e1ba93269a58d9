"""A replica of the service over the ports of one life: the product's own parts, put together."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from tests.simulation.life import Life

from globeco_allocation.domain.batch import ClaimTerms
from globeco_allocation.domain.lease import Holder
from globeco_allocation.domain.retry import RetryTerms
from globeco_allocation.domain.use_cases.deliver import DeliverFile
from globeco_allocation.domain.use_cases.prepare import PrepareBatch
from globeco_allocation.domain.use_cases.send import SendBatch
from globeco_allocation.domain.use_cases.work_off import WorkOff
from globeco_allocation.entrypoints.dispatcher import Dispatcher
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.ports.accounting import AccountingCli
from globeco_allocation.ports.batches import Batches
from globeco_allocation.ports.deliveries import Deliveries
from globeco_allocation.ports.files import TransactionFiles
from globeco_allocation.ports.leases import Leases

RETRY = RetryTerms(attempts=3, first_delay=timedelta(seconds=5))
"""How often a delivery is tried here."""

_METRICS = Metrics()  # one for all: nobody reads it


@dataclass
class Ports:
    """The twins as the replicas are to have them; planted faults stand in for some."""

    batches: Batches
    deliveries: Deliveries
    leases: Leases
    files: TransactionFiles
    accounting: AccountingCli


class Replica:
    """A replica in its present life.

    Attributes:
        life: Whatever it does is done in it.
        send: Claims, writes and delivers, as a command does.
    """

    def __init__(self, life: Life, send: SendBatch, dispatcher: Dispatcher) -> None:
        self.life = life
        self.send = send
        self._dispatcher = dispatcher
        self._told_to_end = asyncio.Event()

    @classmethod
    def begin(cls, life: Life, ports: Ports, terms: ClaimTerms, *, removes_delivered: bool) -> "Replica":
        """Put a replica together."""
        batches = life.around("batches", ports.batches)
        deliveries = life.around("deliveries", ports.deliveries)
        leases = life.around("leases", ports.leases)
        files = life.around("files", ports.files)
        accounting = life.around("accounting", ports.accounting)
        prepare = PrepareBatch(batches, deliveries, files)
        deliver = DeliverFile(
            deliveries, accounting, files, prepare, RETRY, remove_delivered=removes_delivered
        )
        holder = Holder(life.name)
        work_off = WorkOff(batches, deliveries, leases, prepare=prepare, deliver=deliver, holder=holder)
        send = SendBatch(batches, deliveries, files, work_off, terms)
        lanes = terms.lane_count
        return cls(life, send, Dispatcher(work_off, deliveries, files, accounting, _METRICS, lanes=lanes))

    async def serve(self) -> None:
        """Work until told to end."""
        async with self._dispatcher:
            await self._told_to_end.wait()

    async def claim(self) -> None:
        """Claim a batch for a caller, and have it written and delivered."""
        self._dispatcher.write(await self.send.claim("a caller"))

    def tell_to_end(self) -> None:
        """Tell it to end in order."""
        self._told_to_end.set()
