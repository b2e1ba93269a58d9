"""How properties are tried, and the window guarantee as a state machine for whatever keeps that promise."""

import os
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]
)

from globeco_allocation.domain import TICK, Batch, StoreUnavailableError, WindowTakenError

# The same examples on every machine, however slow it is; other ones, and more, to explore.
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

CLOCK_STEPS = [timedelta(hours=-1), -TICK, TICK, timedelta(seconds=1), timedelta(hours=1)]


class Creator(Protocol):
    """A creator's transaction under way: it has stamped and inserted one execution."""

    @property
    def key(self) -> int: ...

    @property
    def is_new(self) -> bool: ...

    def commit(self) -> None: ...

    def abort(self) -> None: ...


class Windows(Protocol):
    """What the machine does to a database; what would wait raises `StoreUnavailableError` instead.

    The executions of a run have the execution-service ids `keys`, of which none is kept at its start.
    """

    @property
    def keys(self) -> range: ...

    def begin_keep(self, key: int) -> Creator: ...

    def last_start(self) -> datetime: ...

    def claim(self, last_start: datetime) -> Batch: ...

    def keys_in(self, batch: Batch) -> list[int]: ...

    def step_clock(self, by: timedelta, /) -> None: ...


class EachExecutionIsInOneWindow(RuleBasedStateMachine):
    """Creators that stamp and commit at different moments, senders that remember, crashes, clock steps."""

    creators: Bundle[Creator] = Bundle("creators")
    remembered: Bundle[datetime] = Bundle("remembered")
    claimed: Bundle[Batch] = Bundle("claimed")

    def __init__(self, windows: Windows) -> None:
        super().__init__()
        self.windows = windows
        self.under_way: list[Creator] = []
        self.committed: set[int] = set()
        self.readings: dict[int, list[int]] = {}

    @rule(target=creators, choice=st.integers(0, 2**16))
    def begin_keep(self, choice: int) -> Creator | MultipleResults[Creator]:
        key = self.windows.keys[choice % len(self.windows.keys)]
        try:
            creator = self.windows.begin_keep(key)
        except StoreUnavailableError:
            assert key in {busy.key for busy in self.under_way}
            return multiple()
        assert creator.is_new == (key not in self.committed)
        self.under_way.append(creator)
        return creator

    @rule(creator=consumes(creators))
    def commit(self, creator: Creator) -> None:
        self.under_way.remove(creator)
        creator.commit()
        self.committed.add(creator.key)

    @rule(creator=consumes(creators))
    def crash(self, creator: Creator) -> None:
        self.under_way.remove(creator)
        creator.abort()

    @rule(target=remembered)
    def read_last_start(self) -> datetime:
        return self.windows.last_start()

    @rule(target=claimed, last_start=remembered)
    def claim(self, last_start: datetime) -> Batch | MultipleResults[Batch]:
        newest = self.windows.last_start()
        try:
            batch = self.windows.claim(last_start)
        except WindowTakenError:
            assert last_start != newest
            return multiple()
        except StoreUnavailableError:
            assert self.under_way
            return multiple()
        assert last_start == newest
        self.readings[batch.id] = self.windows.keys_in(batch)
        return batch

    @rule(batch=claimed)
    def read_again(self, batch: Batch) -> None:
        assert self.windows.keys_in(batch) == self.readings[batch.id]

    @rule(by=st.sampled_from(CLOCK_STEPS))
    def step_clock(self, by: timedelta) -> None:
        self.windows.step_clock(by)

    @invariant()
    def none_is_in_two_windows(self) -> None:
        assert all(times == 1 for times in self._windows_of_each().values())

    def teardown(self) -> None:
        for creator in self.under_way[:]:
            self.commit(creator)
        self.claim(self.windows.last_start())
        assert self._windows_of_each() == Counter(self.committed)

    def _windows_of_each(self) -> Counter[int]:
        return Counter(key for keys in self.readings.values() for key in keys)


@pytest.fixture
def explore() -> Callable[[Callable[[], Windows], settings], None]:
    """Run the machine; it raises ``AssertionError`` when an execution is in no window, or in two."""

    def run(make_windows: Callable[[], Windows], how: settings) -> None:
        class Machine(EachExecutionIsInOneWindow):
            def __init__(self) -> None:
                super().__init__(make_windows())

        run_state_machine_as_test(Machine, settings=how)

    return run
