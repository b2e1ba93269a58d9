"""A cluster of replicas over the twins: what its users and operators do, and what befalls it."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Self

from tests.simulation.books import Books
from tests.simulation.faults import CALM, CallFaults, Odds, by_odds, no_fault
from tests.simulation.life import Life
from tests.simulation.virtual_time import VirtualClock, VirtualLoop
from tests.simulation.watch import Watch

from globeco_allocation.adapters.memory.batches import MemoryBatches
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.deliveries import MemoryDeliveries
from globeco_allocation.adapters.memory.executions import MemoryExecutions
from globeco_allocation.adapters.memory.files import MemoryFiles
from globeco_allocation.adapters.memory.leases import MemoryLeases
from globeco_allocation.adapters.memory.resolutions import MemoryResolutions
from globeco_allocation.domain.batch import ClaimTerms
from globeco_allocation.domain.delivery import DeliveryStatus
from globeco_allocation.domain.errors import AllocationError
from globeco_allocation.domain.execution import AllocatedExecution, NewExecution
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

_RETRY = RetryTerms(attempts=3, first_delay=timedelta(seconds=5))
_PATIENCE_SECONDS = 3000.0
_SLOWLY = 15.0
_SENT = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
_WELL = frozenset({DeliveryStatus.DELIVERED, DeliveryStatus.PARTIAL, DeliveryStatus.RESOLVED})


class UnsafeError(AssertionError):
    """Something has happened that must never happen."""


class StuckError(AssertionError):
    """Faults have stopped, and something does not come to its end."""


@dataclass
class Ports:
    """The twins as the replicas are to have them; planted faults stand in for some."""

    batches: Batches
    deliveries: Deliveries
    leases: Leases
    files: TransactionFiles
    accounting: AccountingCli


Plant = Callable[["World"], None]
"""Plants a fault into a new world."""


@dataclass
class Replica:
    """A replica in its present life."""

    life: Life
    send: SendBatch
    work_off: WorkOff
    dispatcher: Dispatcher
    told_to_end: asyncio.Event = field(default_factory=asyncio.Event)


class World:
    """Some replicas, their database and directory, and Portfolio Accounting.

    Args:
        random: Decides whatever happens by chance.
        replicas: How many there are.
        plant: Plants a fault into it.
    """

    def __init__(self, random: Random, replicas: int = 2, plant: Plant | None = None) -> None:
        self.random = random
        self.call_faults: CallFaults = no_fault
        self.loop = VirtualLoop()
        self.database = MemoryDatabase(VirtualClock(self.loop))
        self.files = MemoryFiles()
        self.watch = Watch(self.database, self.files.contents)
        self.books = Books(self.files.contents, random, self.watch.starting)
        self.watch.books = self.books
        self.ports = Ports(
            batches=MemoryBatches(self.database),
            deliveries=MemoryDeliveries(self.database),
            leases=MemoryLeases(self.database),
            files=self.files,
            accounting=self.books,
        )
        self.resolutions = MemoryResolutions(self.database)
        self.terms = ClaimTerms(file_max_records=3)
        self.removes_delivered = False
        self.history: deque[str] | None = None
        self._keeping = MemoryExecutions(self.database)
        self._kept = 0
        self._lives = 0
        self._replicas: list[Replica | None] = [None] * replicas
        if plant is not None:
            plant(self)

    def __enter__(self) -> Self:
        """Start the replicas."""
        self.loop.set_exception_handler(lambda _, context: self._complain(context))
        for number in range(len(self._replicas)):
            self.start(number)
        return self

    def __exit__(self, *_: object) -> None:
        """End whatever still goes on."""
        for replica in self._replicas:
            if replica is not None:
                replica.life.crash()
        while left := asyncio.all_tasks(self.loop):
            for task in left:
                task.cancel()
            self._run(asyncio.wait(left))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    @property
    def size(self) -> int:
        """How many replicas there are, those that are down included."""
        return len(self._replicas)

    # What the replicas' ports tell of

    def note(self, who: str, what: str) -> None:
        """Write down what happens."""
        if self.history is not None:
            self.history.append(f"{self.loop.seconds:9.3f} {who:5} {what}")

    def observe(self, who: str, call: str, arguments: tuple[Any, ...], answer: object) -> None:
        """See what a port call has done."""
        self.watch.observe(who, call, arguments, answer)

    def died(self, who: str) -> None:
        """Forget a replica that has crashed."""
        for number, replica in enumerate(self._replicas):
            if replica is not None and replica.life.name == who:
                self._replicas[number] = None

    # What happens

    def keep(self, portfolios: list[str]) -> None:
        """Have executions kept, one for each portfolio named."""
        allocated: list[AllocatedExecution] = []
        for portfolio in portfolios:
            self._kept += 1
            allocated.append(AllocatedExecution(_execution(self._kept), portfolio))
        self._run(self._keeping.keep(allocated))

    def send(self, number: int) -> None:
        """Ask a replica for a send."""
        replica = self._replicas[number % len(self._replicas)]
        if replica is not None:
            replica.life.start(self._send(replica))

    def send_from_a_command(self) -> None:
        """Have a process of its own send, and work off all that is due."""
        replica = self._new_replica()
        replica.life.start(self._quietly(replica.send("a command")))

    def resend(self, number: int) -> None:
        """Have one of the batches sent again, if it may be."""
        if batches := list(self.database.batches):
            self._operate("deliveries.resend", self._resend(batches[number % len(batches)]))

    def resolve(self, number: int) -> None:
        """Have an operator settle one of the deliveries by hand, if it may be."""
        if open_ones := [
            key for key, row in self.database.deliveries.items() if not row.delivery.status.ended
        ]:
            self._resolve(open_ones[number % len(open_ones)])

    def abandon_a_run(self, *, in_order: bool, gone_for: float) -> None:
        """Let all replicas go while a slow run goes on; an operator settles it by hand, and they return."""
        self.send(0)
        self.books.seconds_per_record = _SLOWLY
        self.wait(5.0)
        for number in range(self.size):
            if in_order:
                self.end(number)
            else:
                self.crash(number, with_runs=False)
        self.wait(gone_for)
        for key, row in self.database.deliveries.items():
            if row.delivery.under_way:
                self._resolve(key)
        self._start_all()

    def clear_stop(self, *, mend: bool) -> None:
        """Have an operator clear a stop, after mending the books or not."""
        if self.database.stop is not None:
            if mend:
                self.books.mend()
            self._operate("resolutions", self.resolutions.clear_stop("looked at", "an operator"))

    def collide(self) -> None:
        """Put a foreign row under the source id of the next execution."""
        self.books.collide(f"AC{self._kept + 1}")

    def refuse(self, why: str) -> None:
        """Let accounting find fault with the next execution."""
        self.books.refusals[f"AC{self._kept + 1}"] = why

    def do_not_book(self) -> None:
        """Let accounting store the next execution without booking it."""
        self.books.unbookable.add(f"AC{self._kept + 1}")

    def start(self, number: int) -> None:
        """Start a replica that is not there."""
        if self._replicas[number] is None:
            replica = self._replicas[number] = self._new_replica()
            replica.life.start(_serve(replica))

    def crash(self, number: int, *, with_runs: bool) -> None:
        """Kill a replica, and perhaps the runs."""
        if with_runs:
            self.books.doomed.update(self.books.under_way)
        if (replica := self._replicas[number]) is not None:
            replica.life.crash()

    def end(self, number: int) -> None:
        """Tell a replica to end in order."""
        if (replica := self._replicas[number]) is not None:
            self.note(replica.life.name, "END")
            self._replicas[number] = None
            replica.told_to_end.set()

    def pause(self, number: int, seconds: float) -> None:
        """Stop a replica for so long."""
        if (replica := self._replicas[number]) is not None:
            replica.life.pause(seconds)

    def lose_a_file(self, number: int) -> None:
        """Remove one of the files behind everybody's back."""
        if self.files.contents:
            del self.files.contents[list(self.files.contents)[number % len(self.files.contents)]]

    def set_odds(self, odds: Odds) -> None:
        """Let things go wrong so often from now on."""
        self.books.odds = odds
        self.call_faults = by_odds(odds, self.random)

    def set_terms(self, lanes: int, most_records: int) -> None:
        """Have other files made by replicas that start from now on."""
        self.terms = replace(self.terms, lane_count=lanes, file_max_records=most_records)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._run(asyncio.sleep(seconds))
        self.check_safety()

    # What must hold

    def check_safety(self) -> None:
        """Make sure that nothing has happened that must never happen.

        Raises:
            UnsafeError: something has.
        """
        self.watch.end()
        if self.watch.violations:
            raise UnsafeError("; ".join(self.watch.violations))

    def check_liveness(self) -> None:
        """Stop all faults, and make sure that everything comes to its end within bounded time.

        Raises:
            StuckError: something does not.
            UnsafeError: see `check_safety`.
        """
        self.set_odds(CALM)
        self.books.calm_down()
        self.note("world", "CALM")
        self._let_everything_end()
        self._send_until_all_is_claimed()
        self._let_everything_end()
        for batch_id in list(self.database.batches):
            self._operate("deliveries.resend", self._resend(batch_id))
        self._let_everything_end()
        self._all_is_well()

    def _send_until_all_is_claimed(self) -> None:
        until = self.loop.seconds + _PATIENCE_SECONDS
        while self._kept and self._unclaimed():
            self._start_all()
            self.send(0)
            self.wait(2.0)
            if self.loop.seconds > until:
                raise StuckError("no send claims what was kept")

    def _start_all(self) -> None:
        # Not only once: a crash that was decided before the calm may come late.
        for number in range(self.size):
            self.start(number)

    def _unclaimed(self) -> bool:
        newest = self.database.execution(self._kept)
        stamp = newest.ready_to_send_timestamp if newest else None
        return stamp is not None and stamp >= self.database.last_start

    def _let_everything_end(self) -> None:
        until = self.loop.seconds + _PATIENCE_SECONDS
        while not self._is_at_rest():
            self._start_all()
            self.wait(2.0)
            self.clear_stop(mend=True)
            if self.loop.seconds > until:
                raise StuckError("; ".join(self._open_ends()))

    def _is_at_rest(self) -> bool:
        return self.database.stop is None and not self._open_ends() and not self.books.under_way

    def _open_ends(self) -> list[str]:
        ends = [f"batch {key}" for key, row in self.database.batches.items() if not row.batch.prepared]
        rows = self.database.deliveries.values()
        return ends + [str(row.delivery) for row in rows if not row.delivery.status.ended]

    def _all_is_well(self) -> None:
        """Everything is delivered, or known by name; what was only failed by faults went through."""
        resolved: set[int] = set()
        for row in self.database.deliveries.values():
            one = row.delivery
            known = one.outcome is not None and not one.outcome.unknown_count
            if one.status not in _WELL and not (one.status is DeliveryStatus.FAILED and known):
                raise StuckError(f"still {one}")
            if one.status is DeliveryStatus.RESOLVED:
                resolved.add(one.batch_id)
        allowed = {
            one.id
            for batch_id in resolved
            for one in self.database.in_window(self.database.batches[batch_id].batch.window)
        }
        lost = set(range(1, self._kept + 1)) - self.watch.ids_in_files() - allowed
        if lost:
            raise UnsafeError(f"lost: {sorted(lost)}")

    # How

    def _run(self, work: Any) -> None:  # noqa: ANN401 - any awaitable
        self.loop.run_until_complete(work)

    def _operate(self, call: str, work: Any) -> None:  # noqa: ANN401 - any coroutine
        self._run(self._observed(call, work))

    async def _observed(self, call: str, work: Any) -> None:  # noqa: ANN401 - any coroutine
        try:
            answer = await work
        except AllocationError as error:
            answer = error
        self.note("hand", f"{call} -> {answer}")
        self.watch.observe("hand", call, (), answer)

    def _resolve(self, key: int) -> None:
        self._operate("resolutions", self.resolutions.resolve_delivery(key, "by hand", "an operator"))

    async def _resend(self, batch_id: int) -> object:
        return await self.ports.deliveries.resend(batch_id, "an operator")

    async def _send(self, replica: Replica) -> None:
        await self._quietly(self._claim(replica))

    async def _claim(self, replica: Replica) -> None:
        replica.dispatcher.write(await replica.send.claim("a caller"))

    async def _quietly(self, work: Any) -> None:  # noqa: ANN401 - any coroutine
        try:
            await work
        except AllocationError as error:
            self.note("user", repr(error))

    def _new_replica(self) -> Replica:
        self._lives += 1
        life = Life(f"r{self._lives}", self)
        batches = life.around("batches", self.ports.batches)
        deliveries = life.around("deliveries", self.ports.deliveries)
        leases = life.around("leases", self.ports.leases)
        files = life.around("files", self.ports.files)
        accounting = life.around("accounting", self.ports.accounting)
        prepare = PrepareBatch(batches, deliveries, files)
        deliver = DeliverFile(
            deliveries, accounting, files, prepare, _RETRY, remove_delivered=self.removes_delivered
        )
        holder = Holder(life.name)
        work_off = WorkOff(batches, deliveries, leases, prepare=prepare, deliver=deliver, holder=holder)
        return Replica(
            life,
            SendBatch(batches, deliveries, files, work_off, self.terms),
            work_off,
            Dispatcher(work_off, deliveries, files, accounting, _METRICS, lanes=self.terms.lane_count),
        )

    def _complain(self, context: dict[str, Any]) -> None:
        self.watch.violations.append(f"{context.get('message')}: {context.get('exception')!r}")


_METRICS = Metrics()  # one for all: nobody reads it


async def _serve(replica: Replica) -> None:
    async with replica.dispatcher:
        await replica.told_to_end.wait()


def _execution(number: int) -> NewExecution:
    return NewExecution(
        execution_service_id=number,
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
