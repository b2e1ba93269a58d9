"""A process full of creators and senders, for the test of the window guarantee.

``python window_traffic.py '<address as JSON>' <seconds> <first key>`` prints, as JSON, the executions that
are kept and what each sender read of the window that it had claimed.
"""

import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg

from globeco_allocation.adapters.postgres.address import DatabaseAddress, Pooler, SslMode
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.bounds import Bounds, session_settings
from globeco_allocation.adapters.postgres.execution_rows import to_columns
from globeco_allocation.adapters.postgres.executions import PostgresExecutions
from globeco_allocation.adapters.postgres.pool import open_pool
from globeco_allocation.domain import (
    AllocatedExecution,
    ClaimTerms,
    Holder,
    NewExecution,
    StoreUnavailableError,
    WindowTakenError,
)

KEEP = "SELECT id FROM keep_executions($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17)"
CREATORS = 3
SLOW_CREATORS = 2
SENDERS = 2
SHARED_KEYS = 200


def allocated(key: int) -> AllocatedExecution:
    moment = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    report = NewExecution(
        execution_service_id=key,
        execution_status="FULL",
        trade_type="BUY",
        destination="ML",
        security_id="S1",
        ticker="IBM",
        quantity=Decimal(1),
        received_timestamp=moment,
        sent_timestamp=moment,
        average_price=Decimal(1),
    )
    return AllocatedExecution(report, "P1")


async def create(executions: PostgresExecutions, keys: Iterator[int], until: float) -> list[int]:
    """Keep executions, some of which the other process keeps as well."""
    kept: list[int] = []
    while time.monotonic() < until:
        asked = {next(keys) for _ in range(random.randint(1, 5))} | {random.randint(1, SHARED_KEYS)}  # noqa: S311
        try:
            kept += await executions.keep([allocated(key) for key in asked])
        except StoreUnavailableError:
            kept += await executions.keep([allocated(key) for key in asked])
    return kept


async def create_slowly(address: DatabaseAddress, keys: Iterator[int], until: float) -> list[int]:
    """Keep executions in transactions that take their time between the stamp and the commit."""
    kept: list[int] = []
    connection = await asyncpg.connect(
        host=address.host,
        port=address.port,
        database=address.name,
        user=address.user,
        password=address.password,
        statement_cache_size=100 if address.pooler == Pooler.NONE else 0,
        server_settings=session_settings(Bounds(), pooler=address.pooler),
    )
    try:
        while time.monotonic() < until:
            key = next(keys)
            async with connection.transaction(isolation="read_committed"):
                await connection.fetch(KEEP, *to_columns([allocated(key)]))
                await asyncio.sleep(random.random() / 50)  # noqa: S311
            kept.append(key)
    finally:
        connection.terminate()
    return kept


async def send(batches: PostgresBatches, until: float) -> dict[int, list[int]]:
    """Claim windows, and read each at once as for its file."""
    read: dict[int, list[int]] = {}
    while time.monotonic() < until:
        last_start = await batches.last_start()
        await asyncio.sleep(random.random() / 50)  # noqa: S311
        try:
            batch = (await batches.claim(last_start, ClaimTerms(), Holder("here"))).batch
        except (WindowTakenError, StoreUnavailableError):
            continue
        async with batches.executions(batch) as executions:
            read[batch.id] = [execution.execution_service_id async for execution in executions]
    return read


async def main(address: DatabaseAddress, seconds: float, first_key: int) -> None:
    """Let them all run for some seconds, then say what they did."""
    until = time.monotonic() + seconds
    keys = itertools.count(first_key)
    async with open_pool(address, max_size=CREATORS + SENDERS) as pool, asyncio.TaskGroup() as tasks:
        executions, batches = PostgresExecutions(pool), PostgresBatches(pool)
        creators = [tasks.create_task(create(executions, keys, until)) for _ in range(CREATORS)]
        creators += [tasks.create_task(create_slowly(address, keys, until)) for _ in range(SLOW_CREATORS)]
        senders = [tasks.create_task(send(batches, until)) for _ in range(SENDERS)]
    kept = [key for creator in creators for key in creator.result()]
    read = {batch: keys for sender in senders for batch, keys in sender.result().items()}
    json.dump({"kept": kept, "read": read}, sys.stdout)


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    told |= {"pooler": Pooler(told["pooler"]), "ssl_mode": SslMode(told["ssl_mode"])}
    asyncio.run(main(DatabaseAddress(**told), float(sys.argv[2]), int(sys.argv[3])))
