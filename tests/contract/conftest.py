"""The three stores of one database, once in memory and once in PostgreSQL, for the same tests."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from globeco_allocation.adapters.memory.batches import MemoryBatches
from globeco_allocation.adapters.memory.clock import MemoryClock
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.deliveries import MemoryDeliveries
from globeco_allocation.adapters.memory.executions import MemoryExecutions
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.deliveries import PostgresDeliveries
from globeco_allocation.adapters.postgres.executions import PostgresExecutions
from globeco_allocation.adapters.postgres.pool import open_pool
from globeco_allocation.ports.batches import Batches
from globeco_allocation.ports.deliveries import Deliveries
from globeco_allocation.ports.executions import Executions


@dataclass(frozen=True)
class Stores:
    """The stores of a fresh database, and its clock."""

    executions: Executions
    batches: Batches
    deliveries: Deliveries
    step_clock: Callable[[timedelta], None]


@pytest.fixture(params=["memory", "postgres"])
async def stores(request: pytest.FixtureRequest) -> AsyncGenerator[Stores]:
    if request.param == "memory":
        clock = MemoryClock()
        database = MemoryDatabase(clock)

        yield Stores(
            MemoryExecutions(database), MemoryBatches(database), MemoryDeliveries(database), clock.step
        )
    else:
        step_clock = request.getfixturevalue("step_database_clock")
        async with open_pool(request.getfixturevalue("database")) as pool:
            yield Stores(
                PostgresExecutions(pool), PostgresBatches(pool), PostgresDeliveries(pool), step_clock
            )
