"""A pool tells how its connections are used, and who got none."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.bounds import Bounds
from globeco_allocation.adapters.postgres.pool import open_pool
from globeco_allocation.domain.errors import StoreUnavailableError

QUICK = Bounds(acquire=0.2)


async def test_held_connections_waiting_callers_and_those_who_got_none_are_counted(
    database: DatabaseAddress,
) -> None:
    async with open_pool(database, max_size=2, bounds=QUICK) as pool, AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(pool.held())
        third = asyncio.create_task(pool.fetch("SELECT 1"))
        async with asyncio.timeout(10):
            while not pool.counts.waiting:  # noqa: ASYNC110 (nobody sets an event)
                await asyncio.sleep(0)
        counts = pool.counts
        assert (counts.open, counts.idle, counts.most, counts.waiting) == (2, 0, 2, 1)

        with pytest.raises(StoreUnavailableError):
            await third
        assert (pool.counts.waiting, pool.counts.acquired, pool.counts.failures) == (0, 2, 1)
        assert pool.counts.acquire_seconds >= QUICK.acquire


async def test_whom_the_server_refuses_is_counted_too(database: DatabaseAddress) -> None:
    async with open_pool(replace(database, name="no_such_database"), bounds=QUICK) as pool:
        with pytest.raises(StoreUnavailableError):
            await pool.fetch("SELECT 1")

        assert (pool.counts.waiting, pool.counts.failures) == (0, 1)
