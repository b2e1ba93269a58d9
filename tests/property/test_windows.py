"""Each committed execution is in exactly one batch window, whatever the interleaving and the clock do.

The machine in ``conftest.py`` says so of the in-memory twin. That it would notice is shown by planted
faults, each of which it must find.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import Phase, settings

from globeco_allocation.adapters.memory import database as memory
from globeco_allocation.adapters.memory.clock import MemoryClock
from globeco_allocation.adapters.memory.database import Keeping, MemoryDatabase
from globeco_allocation.domain import TICK, AllocatedExecution, Batch, ClaimTerms, Window

Allocate = Callable[..., AllocatedExecution]
Explore = Callable[[Callable[[], "TwinWindows"], settings], None]

HOW = settings(
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # whether a fault is found, not the shortest way to it
)


@dataclass(eq=False)
class TwinCreator:
    database: MemoryDatabase
    keeping: Keeping
    key: int

    @property
    def is_new(self) -> bool:
        return self.keeping.answers[self.key].new

    def commit(self) -> None:
        self.database.commit(self.keeping)

    def abort(self) -> None:
        self.database.abort(self.keeping)


@dataclass
class TwinWindows:
    database: MemoryDatabase
    clock: MemoryClock
    allocate: Allocate
    keys: range = field(default=range(1, 31))

    def begin_keep(self, key: int) -> TwinCreator:
        return TwinCreator(self.database, self.database.begin_keep([self.allocate(key)]), key)

    def last_start(self) -> datetime:
        return self.database.last_start

    def claim(self, last_start: datetime) -> Batch:
        return self.database.claim(last_start, ClaimTerms())

    def keys_in(self, batch: Batch) -> list[int]:
        return [execution.execution_service_id for execution in self.database.in_window(batch.window)]

    def step_clock(self, by: timedelta, /) -> None:
        self.clock.step(by)


@pytest.fixture
def explore_twin(explore: Explore, allocate: Allocate) -> Callable[..., None]:
    def run(kind: type[MemoryDatabase] = MemoryDatabase) -> None:
        def make_windows() -> TwinWindows:
            clock = MemoryClock()
            return TwinWindows(kind(clock), clock, allocate)

        explore(make_windows, HOW)

    return run


def test_in_the_twin_each_execution_is_in_one_window(explore_twin: Callable[..., None]) -> None:
    explore_twin()


class StampsBeforeItsLock(MemoryDatabase):
    """Creators whose stamps are older than their lock: no sender waits for what was only stamped."""

    def _is_locked(self) -> bool:
        return False


def test_a_stamp_from_before_the_lock_is_found_out(explore_twin: Callable[..., None]) -> None:
    with pytest.raises(AssertionError):
        explore_twin(StampsBeforeItsLock)


def opens_too_late(window: Window, ready: datetime) -> bool:
    return window.previous_start < ready < window.start


def closes_too_late(window: Window, ready: datetime) -> bool:
    return window.previous_start <= ready <= window.start


@pytest.mark.parametrize("contains", [opens_too_late, closes_too_late])
def test_a_wrong_end_of_a_window_is_found_out(
    explore_twin: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    contains: Callable[[Window, datetime], bool],
) -> None:
    monkeypatch.setattr(Window, "__contains__", contains)

    with pytest.raises(AssertionError):
        explore_twin()


def by_the_clock_alone(clock: datetime, _last_start: datetime) -> datetime:
    return clock


def test_a_stamp_by_the_clock_alone_is_found_out(
    explore_twin: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "ready_stamp", by_the_clock_alone)

    with pytest.raises(AssertionError):
        explore_twin()


def without_the_newest_stamp(clock: datetime, last_start: datetime, _newest: datetime | None) -> datetime:
    return max(clock, last_start + TICK)


def at_the_newest_stamp(clock: datetime, last_start: datetime, newest: datetime | None) -> datetime:
    return max(clock, last_start + TICK, newest or last_start)


@pytest.mark.parametrize("start", [without_the_newest_stamp, at_the_newest_stamp])
def test_a_start_that_is_not_above_every_stamp_is_found_out(
    explore_twin: Callable[..., None], monkeypatch: pytest.MonkeyPatch, start: Callable[..., datetime]
) -> None:
    monkeypatch.setattr(memory, "next_start", start)

    with pytest.raises(AssertionError):
        explore_twin()
