"""What the in-memory twins share: executions, batch windows and the lock between their writers, the queue.

Creators and senders meet here as they do in PostgreSQL (design, "Windows"). A creator's transaction can be
taken apart: `begin_keep` takes the shared lock, stamps and inserts, `commit` shows the rows to everyone,
`abort` forgets them, and between the two anything may happen elsewhere. What would wait in PostgreSQL raises
`StoreUnavailableError` at once, as it does there when ``lock_timeout`` has passed.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from globeco_allocation.adapters.memory.lease_table import LeaseTable
from globeco_allocation.adapters.memory.rows import BatchRow, DeliveryRow
from globeco_allocation.domain.batch import Batch, ClaimTerms
from globeco_allocation.domain.delivery import DeliveryStop, Resolution
from globeco_allocation.domain.errors import StoreUnavailableError, WindowTakenError
from globeco_allocation.domain.execution import AllocatedExecution, Execution, ExecutionFields
from globeco_allocation.domain.window import BEFORE_FIRST_START, FIRST_START, Window, next_start, ready_stamp
from globeco_allocation.ports.clock import Clock
from globeco_allocation.ports.executions import Kept
from globeco_allocation.ports.output_directory import SharedDirectory

_REPORTED = tuple(field.name for field in fields(ExecutionFields))
_FIRST_BATCH_ID = 1
_FIRST_WINDOW = Window(BEFORE_FIRST_START, FIRST_START)


@dataclass(frozen=True, slots=True, eq=False)
class Keeping:
    """A creator's transaction under way; it holds the shared lock until its end.

    Attributes:
        executions: The new rows, seen by nobody else yet.
        answers: What `commit` will have made true, by execution-service id.
    """

    executions: tuple[Execution, ...]
    answers: dict[int, Kept]


class MemoryDatabase:
    """The state behind the twins; it begins as a migrated database does.

    Any number of twins of one port may share it, as replicas do. Each of their methods looks and changes
    without a pause in between, as a transaction does.

    Attributes:
        clock: The database's clock.
        available: Set it to False to let every use raise `StoreUnavailableError`.
        batches: Claimed batches by id.
        deliveries: Deliveries by id.
        leases: Who works on them.
        stop: Why nothing is delivered now.
        ended_stops: Stops that operators ended, and their words.
        resolutions: What operators settled by hand, oldest first.
        output_directory: Which one the replicas share.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.available = True
        self.batches: dict[int, BatchRow] = {}
        self.deliveries: dict[int, DeliveryRow] = {}
        self.leases = LeaseTable(clock)
        self.stop: DeliveryStop | None = None
        self.ended_stops: list[tuple[DeliveryStop, Resolution]] = []
        self.resolutions: list[Resolution] = []
        self.output_directory: SharedDirectory | None = None
        self._last_place = 0
        self._executions: dict[int, Execution] = {}
        self._ids: dict[int, int] = {}
        self._last_execution_id = 0
        self._last_batch_id = _FIRST_BATCH_ID
        self._last_start = FIRST_START
        self._under_way: list[Keeping] = []

    def answer(self) -> None:
        """Do nothing, as long as the database is there.

        Raises:
            StoreUnavailableError: it was made unavailable.
        """
        if not self.available:
            raise StoreUnavailableError("the database cannot be reached; try again later")

    def begin_keep(self, allocated: Sequence[AllocatedExecution]) -> Keeping:
        """Begin a creator's transaction: take the shared lock, stamp, insert.

        Raises:
            StoreUnavailableError: another one under way keeps one of these execution-service ids.
        """
        self.answer()
        asked = [one.execution.execution_service_id for one in allocated]
        if any(not keeping.answers.keys().isdisjoint(asked) for keeping in self._under_way):
            raise StoreUnavailableError("another transaction keeps the same execution; try again later")
        stamp = ready_stamp(self.clock.now(), self._last_start)
        new = tuple(self._insert(one, stamp) for one in allocated if self._is_new(one))
        answers = {key: Kept(self._ids[key], new=False) for key in asked if key in self._ids}
        answers |= {one.execution_service_id: Kept(one.id, new=True) for one in new}
        keeping = Keeping(new, answers)
        self._lock_shared(keeping)
        return keeping

    def commit(self, keeping: Keeping) -> dict[int, Kept]:
        """End a creator's transaction: its rows are there for everyone."""
        self._under_way.remove(keeping)
        for execution in keeping.executions:
            self._executions[execution.id] = execution
            self._ids[execution.execution_service_id] = execution.id
        return keeping.answers

    def abort(self, keeping: Keeping) -> None:
        """End a creator's transaction as a crash does: nothing of it remains but the ids it used up."""
        self._under_way.remove(keeping)

    def kept(self, execution_service_ids: Collection[int]) -> Iterator[Execution]:
        """Yield the committed executions among these execution-service ids."""
        self.answer()
        return (self._executions[self._ids[key]] for key in execution_service_ids if key in self._ids)

    def newest_first(self) -> list[Execution]:
        """Return every committed execution by descending id."""
        self.answer()
        return [self._executions[key] for key in sorted(self._executions, reverse=True)]

    def execution(self, execution_id: int) -> Execution | None:
        """Return a committed execution by our id."""
        self.answer()
        return self._executions.get(execution_id)

    @property
    def last_start(self) -> datetime:
        """The newest batch's start time."""
        self.answer()
        return self._last_start

    def claim(self, last_start: datetime, terms: ClaimTerms) -> Batch:
        """Claim the next window under the exclusive lock.

        Raises:
            StoreUnavailableError: a creator holds the lock.
            WindowTakenError: *last_start* is not the newest start time any more.
        """
        self.answer()
        if self._is_locked():
            raise StoreUnavailableError("the lock on the batch windows was not free in time; try again later")
        if last_start != self._last_start:
            raise WindowTakenError("another sender has claimed the same window")
        stamps = (one.ready_to_send_timestamp for one in self._executions.values())
        newest = max((stamp for stamp in stamps if stamp is not None), default=None)
        start = next_start(self.clock.now(), last_start, newest)
        self._last_batch_id += 1
        self._last_start = start
        batch = Batch(self._last_batch_id, Window(last_start, start), terms)
        self.batches[batch.id] = BatchRow(batch, self.next_place(), self.clock.now())
        return batch

    def next_place(self) -> int:
        """Draw a place at the end of the queue."""
        self._last_place += 1
        return self._last_place

    def window_holding(self, ready: datetime) -> int | None:
        """Return the id of the batch whose window holds a ready stamp; the first row's is not ours."""
        self.answer()
        if ready in _FIRST_WINDOW:
            return _FIRST_BATCH_ID
        found = (key for key, row in self.batches.items() if ready in row.batch.window)
        return next(found, None)

    def in_window(self, window: Window) -> list[Execution]:
        """Return the committed executions of a window by ascending id."""
        self.answer()
        found = [
            one
            for one in self._executions.values()
            if one.ready_to_send_timestamp is not None and one.ready_to_send_timestamp in window
        ]
        return sorted(found, key=lambda one: one.id)

    def _lock_shared(self, keeping: Keeping) -> None:
        self._under_way.append(keeping)

    def _is_locked(self) -> bool:
        return bool(self._under_way)

    def _is_new(self, allocated: AllocatedExecution) -> bool:
        return allocated.execution.execution_service_id not in self._ids

    def _insert(self, allocated: AllocatedExecution, stamp: datetime) -> Execution:
        self._last_execution_id += 1
        new = allocated.execution
        return Execution(
            **{name: getattr(new, name) for name in _REPORTED},
            id=self._last_execution_id,
            trade_date=new.trade_date,
            portfolio_id=allocated.portfolio_id,
            ready_to_send_timestamp=stamp,
        )
