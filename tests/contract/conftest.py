"""The stores of one database, in memory, in PostgreSQL, and there behind a pooler, for the same tests."""

from collections.abc import AsyncGenerator

import pytest
from tests.contract.stores import Stores, opened_pool

from globeco_allocation.adapters.memory.activity import MemoryActivity
from globeco_allocation.adapters.memory.backlog import MemoryBacklog
from globeco_allocation.adapters.memory.batches import MemoryBatches
from globeco_allocation.adapters.memory.clock import MemoryClock
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.deliveries import MemoryDeliveries
from globeco_allocation.adapters.memory.executions import MemoryExecutions
from globeco_allocation.adapters.memory.leases import MemoryLeases
from globeco_allocation.adapters.memory.output_directory import MemoryOutputDirectory
from globeco_allocation.adapters.memory.pending import MemoryPendingExecutions
from globeco_allocation.adapters.memory.resolutions import MemoryResolutions
from globeco_allocation.adapters.postgres.activity import PostgresActivity
from globeco_allocation.adapters.postgres.backlog import PostgresBacklog
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.deliveries import PostgresDeliveries
from globeco_allocation.adapters.postgres.executions import PostgresExecutions
from globeco_allocation.adapters.postgres.leases import PostgresLeases
from globeco_allocation.adapters.postgres.output_directory import PostgresOutputDirectory
from globeco_allocation.adapters.postgres.pending import PostgresPendingExecutions
from globeco_allocation.adapters.postgres.resolutions import PostgresResolutions


@pytest.fixture(params=["memory", "postgres", "pooler"])
async def stores(request: pytest.FixtureRequest) -> AsyncGenerator[Stores]:
    """The stores of a fresh database, whose clock can be stepped."""
    if request.param == "memory":
        clock = MemoryClock()
        database = MemoryDatabase(clock)
        pending = MemoryPendingExecutions(database)

        yield Stores(
            MemoryExecutions(database),
            MemoryBatches(database),
            MemoryDeliveries(database),
            MemoryLeases(database),
            MemoryResolutions(database),
            MemoryOutputDirectory(database),
            MemoryActivity(database),
            pending,
            MemoryBacklog(database, pending),
            clock.step,
        )
    else:
        # First, for it is seen only by connections opened later, and as long as SQL says clock_timestamp().
        step_clock = request.getfixturevalue("step_database_clock")
        async with opened_pool(request) as pool:
            yield Stores(
                PostgresExecutions(pool),
                PostgresBatches(pool),
                PostgresDeliveries(pool),
                PostgresLeases(pool),
                PostgresResolutions(pool),
                PostgresOutputDirectory(pool),
                PostgresActivity(pool),
                PostgresPendingExecutions(pool, count_seconds=0),
                PostgresBacklog(pool),
                step_clock,
            )
