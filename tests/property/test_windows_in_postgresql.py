"""The same machine on PostgreSQL: a creator under way is a connection with its transaction open."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
from hypothesis import HealthCheck, Phase, settings

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.bounds import Bounds
from globeco_allocation.adapters.postgres.execution_rows import to_columns
from globeco_allocation.adapters.postgres.pool import open_pool
from globeco_allocation.adapters.postgres.translation import translated
from globeco_allocation.domain import AllocatedExecution, Batch, ClaimTerms, Holder, StoreUnavailableError

Allocate = Callable[..., AllocatedExecution]
Explore = Callable[[Callable[[], "PostgresWindows"], settings], None]

KEYS_OF_A_RUN = 30
KEEP = "SELECT is_new FROM keep_executions($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17)"

HOW = settings(
    max_examples=20,
    stateful_step_count=35,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # time goes on in there: a failure does not shrink
    suppress_health_check=[HealthCheck.too_slow],
)


@dataclass(eq=False)
class PostgresCreator:
    loop: asyncio.Runner
    connection: asyncpg.Connection
    key: int
    is_new: bool

    def commit(self) -> None:
        self.loop.run(self._end("COMMIT"))

    def abort(self) -> None:
        self.loop.run(self._end("ROLLBACK"))

    async def _end(self, how: str) -> None:
        await self.connection.execute(how)
        await self.connection.close()


@dataclass
class PostgresWindows:
    loop: asyncio.Runner
    address: DatabaseAddress
    batches: PostgresBatches
    allocate: Allocate
    step_clock: Callable[[timedelta], None]
    keys: range

    def begin_keep(self, key: int) -> PostgresCreator:
        return self.loop.run(self._begin_keep(key))

    def last_start(self) -> datetime:
        return self.loop.run(self.batches.last_start())

    def claim(self, last_start: datetime) -> Batch:
        return self.loop.run(self.batches.claim(last_start, ClaimTerms(), Holder("here"))).batch

    def keys_in(self, batch: Batch) -> list[int]:
        return self.loop.run(self._keys_in(batch))

    async def _begin_keep(self, key: int) -> PostgresCreator:
        address = self.address
        connection = await asyncpg.connect(
            host=address.host,
            port=address.port,
            database=address.name,
            user=address.user,
            password=address.password,
            server_settings={"lock_timeout": "50ms"},
        )
        try:
            with translated():
                await connection.execute("BEGIN")
                (row,) = await connection.fetch(KEEP, *to_columns([self.allocate(key)]))
        except StoreUnavailableError:
            await connection.close()
            raise
        return PostgresCreator(self.loop, connection, key, row["is_new"])

    async def _keys_in(self, batch: Batch) -> list[int]:
        async with self.batches.executions(batch) as executions:
            return [execution.execution_service_id async for execution in executions]


@contextmanager
def open_batches(address: DatabaseAddress) -> Generator[tuple[asyncio.Runner, PostgresBatches]]:
    with asyncio.Runner() as loop:
        stack = AsyncExitStack()
        pool = loop.run(stack.enter_async_context(open_pool(address, bounds=Bounds(lock=0.05))))
        try:
            yield loop, PostgresBatches(pool)
        finally:
            loop.run(stack.aclose())


def test_in_postgresql_each_execution_is_in_one_window(
    database: DatabaseAddress,
    step_database_clock: Callable[[timedelta], None],
    allocate: Allocate,
    explore: Explore,
) -> None:
    # All runs share the database: each has executions of its own, and goes on from the last window.
    first_keys = iter(range(1, 2**31 - KEYS_OF_A_RUN, KEYS_OF_A_RUN))
    with open_batches(database) as (loop, batches):

        def make_windows() -> PostgresWindows:
            first = next(first_keys)
            keys = range(first, first + KEYS_OF_A_RUN)
            return PostgresWindows(loop, database, batches, allocate, step_database_clock, keys)

        explore(make_windows, HOW)
