"""Whatever arrives, in whatever calls: every record has its answer, and every id is kept once."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.executions import MemoryExecutions
from globeco_allocation.adapters.memory.portfolios import MemoryPortfolios
from globeco_allocation.domain import AllocatedExecution, NewExecution, StoreUnavailableError
from globeco_allocation.domain.use_cases import (
    Created,
    Failed,
    Receipt,
    ReceiveExecutions,
    Skipped,
    Unreadable,
)
from globeco_allocation.ports.executions import Kept

PORTFOLIO = "683b6b9620f302c879a5fef4"
SENT = datetime(2026, 3, 2, 15, tzinfo=UTC)
SOUND = NewExecution(
    execution_service_id=27,
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
KEYS = range(1, 6)

Record = NewExecution | Unreadable


class StandingClock:
    """A clock that shows noon for ever."""

    def now(self) -> datetime:
        return datetime(2026, 3, 2, 12, tzinfo=UTC)


class UnreliableExecutions(MemoryExecutions):
    """The twin, whose answer to keeping may be lost after the fact."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.lose_answer = False

    async def keep(self, allocated: Sequence[AllocatedExecution]) -> dict[int, Kept]:
        kept = await super().keep(allocated)
        await asyncio.sleep(0)
        if self.lose_answer:
            raise StoreUnavailableError("no answer in time; try again later")
        return kept


def report(key: int, quantity: int, *, is_open: bool) -> NewExecution:
    return replace(SOUND, execution_service_id=key, is_open=is_open, quantity=Decimal(quantity))


reports = st.builds(report, st.sampled_from(KEYS), st.integers(1, 2), is_open=st.booleans())
unreadable = st.builds(
    Unreadable, st.just(0) | st.sampled_from(KEYS), st.just("quantity must be greater than 0")
)
records: st.SearchStrategy[Record] = reports | unreadable
calls = st.lists(records, max_size=8)
unknown_keys = st.sets(st.sampled_from(KEYS))


def answers_for(record: Record, receipt: Receipt) -> bool:
    """Whether this receipt may be the answer to this record."""
    if receipt.execution_service_id != record.execution_service_id:
        return False
    match record, receipt:
        case Unreadable(message=said), Failed(message=answered):
            return said == answered
        case NewExecution(is_open=True), Skipped(reason=reason):
            return reason == "execution is still open"
        case NewExecution(is_open=False), Created() | Failed():
            return True
        case NewExecution(is_open=False), Skipped(reason=reason, execution_id=found):
            return reason == "execution already exists" and found is not None
        case _:
            return False


async def all_ids(executions: MemoryExecutions) -> dict[int, int]:
    page = await executions.page(limit=1000, offset=0)
    return {one.execution_service_id: one.id for one in page.executions}


@given(st.lists(st.tuples(calls, unknown_keys, st.booleans()), max_size=6))
def test_over_any_calls_every_record_is_answered_and_every_id_created_once(
    script: list[tuple[list[Record], set[int], bool]],
) -> None:
    async def play() -> None:
        executions = UnreliableExecutions(MemoryDatabase(StandingClock()))
        created: Counter[int] = Counter()
        for batch, unknown, executions.lose_answer in script:
            portfolios = MemoryPortfolios({key: PORTFOLIO for key in KEYS if key not in unknown})
            there_before = await all_ids(executions)
            try:
                receipts = await ReceiveExecutions(executions, portfolios)(batch)
            except StoreUnavailableError:
                continue
            there = await all_ids(executions)

            assert len(receipts) == len(batch)
            assert all(map(answers_for, batch, receipts))
            assert not there_before.keys() & set(portfolios.asked)
            assert max(Counter(portfolios.asked).values(), default=0) <= 1
            for receipt in receipts:
                if isinstance(receipt, Created):
                    created[receipt.execution_service_id] += 1
                    assert receipt.execution_service_id not in there_before
                if isinstance(receipt, Created) or (isinstance(receipt, Skipped) and receipt.execution_id):
                    assert receipt.execution_id == there[receipt.execution_service_id]
            assert there.keys() - there_before.keys() == {
                one.execution_service_id for one in receipts if isinstance(one, Created)
            }
        assert max(created.values(), default=0) <= 1

    asyncio.run(play())


@given(st.lists(calls, min_size=2, max_size=4))
def test_over_calls_at_the_same_time_every_id_is_created_once(batches: list[list[Record]]) -> None:
    async def play() -> None:
        executions = UnreliableExecutions(MemoryDatabase(StandingClock()))
        receive = ReceiveExecutions(executions, MemoryPortfolios(dict.fromkeys(KEYS, PORTFOLIO)))

        answers = await asyncio.gather(*(receive(batch) for batch in batches))

        there = await all_ids(executions)
        created = Counter(
            one.execution_service_id for receipts in answers for one in receipts if isinstance(one, Created)
        )
        closed = {
            one.execution_service_id
            for batch in batches
            for one in batch
            if isinstance(one, NewExecution) and not one.is_open
        }
        assert created == Counter(dict.fromkeys(closed, 1))
        assert there.keys() == closed
        for batch, receipts in zip(batches, answers, strict=True):
            assert all(map(answers_for, batch, receipts))

    asyncio.run(play())
