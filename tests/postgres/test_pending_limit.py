"""How many executions wait is counted seldom, and their limit holds all the same, or nearly so."""

from collections.abc import Callable
from typing import Protocol

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.pending import PostgresPendingExecutions
from globeco_allocation.adapters.postgres.pool import open_pool
from globeco_allocation.domain import AllocatedExecution
from globeco_allocation.ports.pending import Deferral

Allocate = Callable[..., AllocatedExecution]

LONG = 600.0


class Relay(Protocol):
    requests: int

    @property
    def address(self) -> DatabaseAddress: ...

    async def open(self) -> None: ...


async def test_deferring_costs_one_round_trip_while_the_count_is_fresh(
    relay: Relay, allocate: Allocate
) -> None:
    await relay.open()
    async with open_pool(relay.address) as pool:
        pending = PostgresPendingExecutions(pool, count_seconds=LONG)
        for key in (1, 2):
            await pending.defer([Deferral(allocate(key).execution, "away")], most=1000)
        before = relay.requests
        await pending.defer([Deferral(allocate(3).execution, "away")], most=1000)

        assert relay.requests - before == 1


async def test_the_limit_holds_on_a_count_of_before_with_what_was_deferred_since(
    database: DatabaseAddress, allocate: Allocate
) -> None:
    async with open_pool(database) as pool:
        pending = PostgresPendingExecutions(pool, count_seconds=LONG)
        accepted = [
            await pending.defer([Deferral(allocate(key).execution, "away")], most=2) for key in (1, 2, 3, 4)
        ]

    assert accepted == [{1}, {2}, set(), set()]


async def test_another_process_s_deferrals_are_seen_with_the_next_count(
    database: DatabaseAddress, allocate: Allocate
) -> None:
    async with open_pool(database) as pool:
        ours = PostgresPendingExecutions(pool, count_seconds=0)
        theirs = PostgresPendingExecutions(pool, count_seconds=0)
        await ours.defer([Deferral(allocate(1).execution, "away")], most=2)
        await theirs.defer([Deferral(allocate(2).execution, "away")], most=2)

        assert await ours.defer([Deferral(allocate(3).execution, "away")], most=2) == set()
