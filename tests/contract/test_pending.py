"""What waits for its portfolio is kept exactly and handed out once; the twin and PostgreSQL agree."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from tests.contract.stores import opened_pool

from globeco_allocation.adapters.memory.clock import MemoryClock
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.pending import MemoryPendingExecutions
from globeco_allocation.adapters.postgres.pending import PostgresPendingExecutions
from globeco_allocation.domain import AllocatedExecution, NewExecution
from globeco_allocation.domain.pending import PendingCounts, PendingExecution, PendingStatus
from globeco_allocation.ports.pending import Deferral, PendingExecutions, Setback

LEASE = timedelta(seconds=25)
PLENTY = 100_000
OUTSIDE_INT4 = [0, -1, 2**31, 10**40, -(10**40)]


@dataclass(frozen=True)
class Store:
    """The pending executions of a fresh database, and its clock."""

    pending: PendingExecutions
    step_clock: Callable[[timedelta], None]

    async def one(self, execution_service_id: int) -> PendingExecution:
        return (await self.pending.among([execution_service_id]))[execution_service_id]

    async def claimed(self, limit: int = 100) -> list[int]:
        taken = await self.pending.claim(limit=limit, lease=LEASE)
        return [one.execution.execution_service_id for one in taken]


@pytest.fixture(params=["memory", "postgres", "pooler"])
async def store(request: pytest.FixtureRequest) -> AsyncGenerator[Store]:
    if request.param == "memory":
        clock = MemoryClock()
        yield Store(MemoryPendingExecutions(MemoryDatabase(clock)), clock.step)
    else:
        step_clock = request.getfixturevalue("step_database_clock")
        async with opened_pool(request) as pool:
            yield Store(PostgresPendingExecutions(pool, count_seconds=0), step_clock)


@pytest.fixture
def report(allocate: Callable[..., AllocatedExecution]) -> Callable[..., NewExecution]:
    """A sound report of this execution-service id; named fields say otherwise."""

    def make(key: int, **changes: Any) -> NewExecution:  # noqa: ANN401 (any field)
        return allocate(key, **changes).execution

    return make


Report = Callable[..., NewExecution]


async def defer(
    store: Store, *executions: NewExecution, most: int = PLENTY, reason: str = "away"
) -> set[int]:
    return await store.pending.defer([Deferral(one, reason) for one in executions], most=most)


async def test_a_deferred_execution_comes_back_as_it_was_reported(store: Store, report: Report) -> None:
    said = report(
        27,
        security_id="S1",
        limit_price=Decimal("0.00000001"),
        quantity=Decimal("9999999999.99999999"),
        average_price=Decimal("33.33333333"),
        sent_timestamp=datetime(2026, 3, 8, 1, 59, 59, 999999, timezone(timedelta(hours=-5))),
        ticker="Ünï😀",
    )

    assert await defer(store, said, reason="the Trade Service is away") == {27}

    there = await store.one(27)
    assert there.execution == said
    assert there.execution.sent_timestamp.tzinfo == UTC
    assert (there.attempts, there.status, there.reason) == (
        0,
        PendingStatus.PENDING,
        "the Trade Service is away",
    )
    assert there.next_attempt == there.deferred
    assert there.deferred.utcoffset() == timedelta(0)


async def test_what_was_left_out_stays_out(store: Store, report: Report) -> None:
    await defer(store, report(1, limit_price=None, last_fill_timestamp=None))

    said = (await store.one(1)).execution
    assert (said.limit_price, said.last_fill_timestamp) == (None, None)


async def test_a_reason_of_any_text_is_kept(store: Store, report: Report) -> None:
    await defer(store, report(1), reason="a\0b\ud800c")

    assert (await store.one(1)).reason == "a\ufffdb?c"


async def test_one_that_waits_and_is_deferred_again_changes_nothing(store: Store, report: Report) -> None:
    await defer(store, report(1, ticker="FIRST"), reason="first")
    first = await store.one(1)
    store.step_clock(timedelta(seconds=7))

    assert await defer(store, report(1, ticker="AGAIN"), reason="again") == {1}

    assert await store.one(1) == first


async def test_there_is_room_for_the_first_ones_only(store: Store, report: Report) -> None:
    await defer(store, report(9))

    accepted = await defer(store, report(5), report(9), report(3), report(4), most=3)

    assert accepted == {9, 5, 3}
    assert set(await store.pending.among([3, 4, 5, 9])) == {3, 5, 9}


async def test_room_comes_back_with_what_is_removed_or_given_up(store: Store, report: Report) -> None:
    await defer(store, report(1), report(2), most=2)
    await store.pending.remove([1])
    await store.pending.give_up({2: "too old"})

    assert await defer(store, report(3), report(4), report(5), most=2) == {3, 4}


async def test_with_no_room_at_all_nothing_is_deferred(store: Store, report: Report) -> None:
    assert await defer(store, report(1), most=0) == set()
    assert await store.pending.among([1]) == {}


async def test_what_is_due_is_handed_out_once_until_the_lease_is_over(store: Store, report: Report) -> None:
    await defer(store, report(1), report(2))

    first = await store.claimed()
    at_once = await store.claimed()
    store.step_clock(LEASE - timedelta(seconds=2))
    before = await store.claimed()
    store.step_clock(timedelta(seconds=3))
    after = await store.claimed()

    assert (sorted(first), at_once, before, sorted(after)) == ([1, 2], [], [], [1, 2])


async def test_those_due_first_are_handed_out_first(store: Store, report: Report) -> None:
    for key in (5, 3, 4):
        await defer(store, report(key))
        store.step_clock(timedelta(seconds=1))

    assert [await store.claimed(limit=2), await store.claimed(limit=2)] == [[5, 3], [4]]


async def test_two_who_claim_at_once_never_get_the_same(store: Store, report: Report) -> None:
    await defer(store, *(report(key) for key in range(1, 41)))

    shares = await asyncio.gather(*(store.claimed(limit=7) for _ in range(8)))

    handed_out = [key for share in shares for key in share]
    assert len(handed_out) == len(set(handed_out))
    assert set(handed_out) <= set(range(1, 41))


async def test_a_setback_puts_the_next_lookup_off(store: Store, report: Report) -> None:
    await defer(store, report(1), report(2))
    await store.claimed()

    await store.pending.put_off([Setback(1, "busy", timedelta(seconds=4)), Setback(7, "not there", LEASE)])
    at_once = await store.claimed()
    store.step_clock(timedelta(seconds=5))
    later = await store.claimed()

    one = await store.one(1)
    assert (at_once, later) == ([], [1])
    assert (one.attempts, one.reason, one.status) == (1, "busy", PendingStatus.PENDING)


async def test_what_is_given_up_is_in_error_and_never_due(store: Store, report: Report) -> None:
    await defer(store, report(1), report(2))

    given_up = await store.pending.give_up({1: "no portfolio", 7: "not there"})
    again = await store.pending.give_up({1: "another reason"})
    await store.pending.put_off([Setback(1, "late news", timedelta(0))])
    store.step_clock(timedelta(days=1))

    one = await store.one(1)
    assert (given_up, again) == ({1}, set())
    assert (one.attempts, one.reason, one.status) == (1, "no portfolio", PendingStatus.ERROR)
    assert await store.claimed() == [2]


async def test_one_in_error_that_is_deferred_again_waits_anew_as_first_reported(
    store: Store, report: Report
) -> None:
    await defer(store, report(1, ticker="FIRST"))
    await store.pending.give_up({1: "no portfolio"})
    store.step_clock(timedelta(days=1))

    assert await defer(store, report(1, ticker="AGAIN"), reason="asked again") == {1}

    one = await store.one(1)
    assert (one.status, one.attempts, one.reason) == (PendingStatus.PENDING, 0, "asked again")
    assert one.execution.ticker == "FIRST"
    assert one.next_attempt == one.deferred
    assert await store.claimed() == [1]


async def test_without_room_one_in_error_stays_there(store: Store, report: Report) -> None:
    await defer(store, report(1))
    await store.pending.give_up({1: "no portfolio"})
    await defer(store, report(2))

    assert await defer(store, report(1), most=1) == set()
    assert (await store.one(1)).status is PendingStatus.ERROR


async def test_those_in_error_are_tried_again_on_request(store: Store, report: Report) -> None:
    await defer(store, *(report(key) for key in (1, 2, 3, 4)))
    await store.claimed()
    await store.pending.give_up(dict.fromkeys((1, 2, 3), "no portfolio"))

    named = await store.pending.retry([2, 4, 7, *OUTSIDE_INT4])
    everything = await store.pending.retry()

    assert (named, everything) == ({2}, {1, 3})
    assert sorted(await store.claimed()) == [1, 2, 3]
    one = await store.one(1)
    assert (one.status, one.attempts, one.reason) == (PendingStatus.PENDING, 0, "no portfolio")


async def test_trying_again_begins_a_new_age(store: Store, report: Report) -> None:
    await defer(store, report(1))
    before = await store.one(1)
    await store.pending.give_up({1: "too old"})
    store.step_clock(timedelta(days=2))
    await store.pending.retry([1])

    assert (await store.one(1)).deferred >= before.deferred + timedelta(days=2)


async def test_what_is_removed_is_forgotten_whatever_its_status(store: Store, report: Report) -> None:
    await defer(store, report(1), report(2), report(3))
    await store.pending.give_up({1: "no portfolio"})

    await store.pending.remove([1, 2, 7, *OUTSIDE_INT4])

    assert set(await store.pending.among([1, 2, 3])) == {3}
    assert await store.claimed() == [3]


async def test_those_in_error_are_listed_first_and_then_those_that_wait_longest(
    store: Store, report: Report
) -> None:
    for key in (4, 3, 2, 1):
        await defer(store, report(key))
        store.step_clock(timedelta(seconds=1))
    await store.pending.give_up({2: "no portfolio", 3: "no portfolio"})

    async def listed(limit: int, status: PendingStatus | None = None) -> list[int]:
        found = await store.pending.listed(limit=limit, status=status)
        return [one.execution.execution_service_id for one in found]

    assert await listed(10) == [3, 2, 4, 1]
    assert await listed(3) == [3, 2, 4]
    assert await listed(10, PendingStatus.ERROR) == [3, 2]
    assert await listed(10, PendingStatus.PENDING) == [4, 1]
    assert await store.pending.counts() == PendingCounts(pending=2, error=2)


async def test_nothing_is_found_where_nothing_waits(store: Store) -> None:
    assert await store.pending.among([1, *OUTSIDE_INT4]) == {}
    assert await store.pending.among([]) == {}
    assert await store.claimed() == []
    assert await store.pending.listed(limit=10) == ()
    assert await store.pending.retry() == set()
    assert await store.pending.counts() == PendingCounts(0, 0)


async def test_asking_for_nothing_changes_nothing(store: Store, report: Report) -> None:
    await defer(store, report(1))
    before = await store.one(1)

    assert await store.pending.defer([], most=PLENTY) == set()
    assert await store.pending.give_up({}) == set()
    assert await store.pending.retry([]) == set()
    await store.pending.put_off([])
    await store.pending.remove([])

    assert await store.one(1) == before
