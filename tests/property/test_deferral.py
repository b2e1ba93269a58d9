"""Whatever fails, and whenever a process dies: a record that was answered `deferred` is never lost."""

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from globeco_allocation.adapters.memory.clock import MemoryClock
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.executions import MemoryExecutions
from globeco_allocation.adapters.memory.pending import MemoryPendingExecutions
from globeco_allocation.adapters.memory.portfolios import MemoryPortfolios
from globeco_allocation.domain import AllocatedExecution, NewExecution
from globeco_allocation.domain.pending import PendingStatus
from globeco_allocation.domain.use_cases import (
    Created,
    Deferred,
    DeferTerms,
    Failed,
    LookUpPending,
    PendingTerms,
    ReceiveExecutions,
    Skipped,
)
from globeco_allocation.ports.executions import Kept
from globeco_allocation.ports.pending import Setback

PORTFOLIO = "683b6b9620f302c879a5fef4"
SENT = datetime(2026, 3, 2, 15, tzinfo=UTC)
KEYS = st.integers(1, 5)
FAILS = st.sampled_from([True, None, False])
"""Of the Trade Service's lookups: none, for a reason that may pass, or for good."""
MOST = 3


class DiedError(Exception):
    """The process died before this step."""


class Mortal:
    """Dies at its nth step from now."""

    def __init__(self) -> None:
        self.left: int | None = None

    def step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise DiedError


class MortalExecutions(MemoryExecutions):
    def __init__(self, database: MemoryDatabase, life: Mortal) -> None:
        super().__init__(database)
        self._life = life

    async def keep(self, allocated: Sequence[AllocatedExecution]) -> dict[int, Kept]:
        self._life.step()
        return await super().keep(allocated)


class MortalPending(MemoryPendingExecutions):
    def __init__(self, database: MemoryDatabase, life: Mortal) -> None:
        super().__init__(database)
        self._life = life

    async def put_off(self, setbacks: Sequence[Setback]) -> None:
        self._life.step()
        await super().put_off(setbacks)

    async def give_up(self, reasons: Mapping[int, str]) -> set[int]:
        self._life.step()
        return await super().give_up(reasons)

    async def remove(self, execution_service_ids: Collection[int]) -> None:
        self._life.step()
        await super().remove(execution_service_ids)


def report(key: int) -> NewExecution:
    return NewExecution(
        execution_service_id=key,
        execution_status="FULL",
        trade_type="BUY",
        destination="ML",
        security_id="68336002fe95851f0a2aeda9",
        ticker="IBM",
        quantity=Decimal(100),
        received_timestamp=SENT,
        sent_timestamp=SENT,
        average_price=Decimal("50.125"),
    )


class NothingDeferredIsLost(RuleBasedStateMachine):
    """Posts, outages, final failures, rounds that die, time, and retries, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = MemoryClock()
        self.life = Mortal()
        database = MemoryDatabase(self.clock)
        self.executions = MortalExecutions(database, self.life)
        self.pending = MortalPending(database, self.life)
        self.portfolios = MemoryPortfolios(dict.fromkeys(range(1, 7), PORTFOLIO))
        terms = PendingTerms(max_age=timedelta(minutes=1), limit=3)
        self.receive = ReceiveExecutions(
            self.executions, self.portfolios, DeferTerms(self.pending, most=MOST)
        )
        self.look_up = LookUpPending(self.pending, self.executions, self.portfolios, self.clock, terms)
        self.safe: set[int] = set()

    def teardown(self) -> None:
        """When faults stop, everything is found, and nothing waits any more."""
        with self.runner:
            self._answer(fails=None)
            self.runner.run(self.pending.retry())
            for _ in range(4):
                self.clock.step(timedelta(seconds=30))
                self.runner.run(self.look_up())
            assert self._known() >= self.safe
            assert self.runner.run(self.pending.listed(limit=10)) == ()

    @rule(keys=st.lists(KEYS, min_size=1, max_size=4), fails=FAILS)
    def post(self, keys: list[int], *, fails: bool | None) -> None:
        self._answer(fails=fails)
        receipts = self.runner.run(self.receive([report(key) for key in keys]))
        assert [one.execution_service_id for one in receipts] == keys
        for one in receipts:
            assert isinstance(one, Created | Deferred | Skipped | Failed)
            if isinstance(one, Failed):
                assert one.execution_service_id not in self.safe or self._full()
            else:
                self.safe.add(one.execution_service_id)

    @rule(fails=FAILS, dies_before=st.sampled_from([None, 0, 1, 2]))
    def work(self, *, fails: bool | None, dies_before: int | None) -> None:
        self._answer(fails=fails)
        self.life.left = dies_before
        with contextlib.suppress(DiedError):
            self.runner.run(self.look_up())
        self.life.left = None

    @rule(seconds=st.sampled_from([1, 5, 30, 120]))
    def pass_time(self, seconds: int) -> None:
        self.clock.step(timedelta(seconds=seconds))

    @rule()
    def retry(self) -> None:
        self.runner.run(self.pending.retry())

    @invariant()
    def what_is_safe_is_kept_or_waits(self) -> None:
        waiting = self.runner.run(self.pending.among(range(1, 7)))
        assert self.safe <= self._known() | waiting.keys()

    @invariant()
    def each_is_kept_once(self) -> None:
        page = self.runner.run(self.executions.page(limit=100, offset=0))
        keys = [one.execution_service_id for one in page.executions]
        assert len(keys) == len(set(keys))
        assert all(one.portfolio_id == PORTFOLIO for one in page.executions)

    def _answer(self, *, fails: bool | None) -> None:
        self.portfolios.recover()
        if fails is not None:
            self.portfolios.fail(passing=fails)

    def _known(self) -> set[int]:
        return set(self.runner.run(self.executions.known(range(1, 7))))

    def _full(self) -> bool:
        found = self.runner.run(self.pending.listed(limit=10, status=PendingStatus.PENDING))
        return len(found) >= MOST


NothingDeferredIsLost.TestCase.settings = settings(deadline=None, stateful_step_count=25)
TestNothingDeferredIsLost = NothingDeferredIsLost.TestCase
