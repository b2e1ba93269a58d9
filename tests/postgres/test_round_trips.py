"""What a request of ours costs on the way to the database."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.executions import PostgresExecutions
from globeco_allocation.adapters.postgres.pool import Pool, open_pool
from globeco_allocation.domain import AllocatedExecution, ClaimTerms, Holder

Allocate = Callable[..., AllocatedExecution]

HOLDER = Holder("here")


class Relay(Protocol):
    requests: int

    @property
    def address(self) -> DatabaseAddress: ...

    async def open(self) -> None: ...


async def keep(pool: Pool, allocate: Allocate, first: int) -> None:
    await PostgresExecutions(pool).keep([allocate(key) for key in range(first, first + 100)])


async def known(pool: Pool, _allocate: Allocate, first: int) -> None:
    await PostgresExecutions(pool).known(range(first, first + 100))


async def page(pool: Pool, _allocate: Allocate, _first: int) -> None:
    await PostgresExecutions(pool).page(limit=50, offset=0)


async def claim(pool: Pool, _allocate: Allocate, _first: int) -> None:
    batches = PostgresBatches(pool)
    await batches.claim(await batches.last_start(), ClaimTerms(), HOLDER)


@pytest.mark.parametrize(
    ("use", "round_trips"),
    [(keep, 1), (known, 1), (page, 1), (claim, 2)],
    ids=["keep 100", "know 100", "page", "last start and claim"],
)
async def test_on_a_warm_connection_each_question_is_one_round_trip(
    relay: Relay,
    allocate: Allocate,
    use: Callable[[Pool, Allocate, int], Awaitable[None]],
    round_trips: int,
) -> None:
    await relay.open()
    async with open_pool(relay.address) as pool:
        await use(pool, allocate, 1)
        before = relay.requests
        await use(pool, allocate, 1_001)

        assert relay.requests - before == round_trips
