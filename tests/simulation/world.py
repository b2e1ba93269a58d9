"""A cluster of replicas over the twins: what its users and operators do, and what befalls it."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any, Self

from tests.simulation.books import Books
from tests.simulation.faults import CallFaults, Odds, by_odds, no_fault
from tests.simulation.life import Life
from tests.simulation.replica import Ports, Replica
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
from globeco_allocation.domain.errors import AllocationError
from globeco_allocation.domain.execution import AllocatedExecution, NewExecution

_SLOWLY = 15.0
_SENT = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)


class UnsafeError(AssertionError):
    """Something has happened that must never happen."""


Plant = Callable[["World"], None]
"""Plants a fault into a new world."""


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
        self.clock = VirtualClock(self.loop)
        self.database = MemoryDatabase(self.clock)
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
        self.start_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End whatever still goes on."""
        for number in range(self.size):
            self.crash(number, with_runs=False)
        while left := asyncio.all_tasks(self.loop):
            for task in left:
                task.cancel()
            self._run(asyncio.wait(left))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    @property
    def size(self) -> int:
        """How many replicas there are, with those that are down."""
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
            replica.life.start(self._quietly(replica.claim()))

    def send_from_a_command(self) -> None:
        """Have a process of its own send, and work off all that is due."""
        command = self._new_replica()
        command.life.start(self._quietly(command.send("a command")))

    def resend(self, number: int) -> None:
        """Have one of the batches sent again, if it may be."""
        if batches := list(self.database.batches):
            again = self.ports.deliveries.resend(batches[number % len(batches)], "an operator")
            self._operate("deliveries.resend", again)

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
        self.start_all()

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
            replica.life.start(replica.serve())

    def start_all(self) -> None:
        """Start all replicas that are not there."""
        for number in range(self.size):
            self.start(number)

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
            replica.tell_to_end()

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

    def unclaimed(self) -> bool:
        """Tell whether an execution is kept that is in no window yet."""
        newest = self.database.execution(self._kept)
        stamp = newest.ready_to_send_timestamp if newest else None
        return stamp is not None and stamp >= self.database.last_start

    def check_safety(self) -> None:
        """Make sure that nothing has happened that must never happen.

        Raises:
            UnsafeError: something has.
        """
        self.watch.end()
        if self.watch.violations:
            raise UnsafeError("; ".join(self.watch.violations))

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
        self.observe("hand", call, (), answer)

    def _resolve(self, key: int) -> None:
        self._operate("resolutions", self.resolutions.resolve_delivery(key, "by hand", "an operator"))

    async def _quietly(self, work: Any) -> None:  # noqa: ANN401 - any coroutine
        try:
            await work
        except AllocationError as error:
            self.note("user", repr(error))

    def _new_replica(self) -> Replica:
        self._lives += 1
        life = Life(f"r{self._lives}", self)
        return Replica.begin(life, self.ports, self.terms, removes_delivered=self.removes_delivered)

    def _complain(self, context: dict[str, Any]) -> None:
        self.watch.violations.append(f"{context.get('message')}: {context.get('exception')!r}")


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
