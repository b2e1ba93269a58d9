"""The rows of a batch while the database or the disk is in trouble, and when their reader leaves."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import asyncpg
import psycopg
import pytest
from tests.files.rows import everything

from globeco_allocation.adapters.local_files import LocalFiles
from globeco_allocation.adapters.postgres import batch_contents
from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.bounds import Bounds
from globeco_allocation.adapters.postgres.deliveries import PostgresDeliveries
from globeco_allocation.adapters.postgres.pool import Pool, open_pool
from globeco_allocation.domain import (
    Batch,
    ClaimTerms,
    DeliveryStatus,
    FileNotWrittenError,
    Holder,
    StoreUnavailableError,
)
from globeco_allocation.domain.use_cases import PrepareBatch
from globeco_allocation.ports.batches import LeasedBatch

Session = Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]

BOUNDS = Bounds(acquire=0.5, statement=0.3, lock=5, idle=0.2, stream_statement=0.3, stream_idle=10, close=0.3)
PATIENT = replace(BOUNDS, statement=5, stream_statement=5)
PORTION = 1000
COUNT = 10 * PORTION

STORE = """
INSERT INTO execution (execution_service_id, execution_status, trade_type, destination, trade_date,
                       security_id, ticker, portfolio_id, quantity, received_timestamp, sent_timestamp,
                       average_price, ready_to_send_timestamp)
SELECT i, 'FULL', 'BUY', 'ML', '2026-03-02', 'SEC-1', 'IBM', 'P-' || i % 7, 100, now(), now(), 50, now()
  FROM generate_series(1, $1::integer) AS i
"""


class Relay(Protocol):
    """A way to the database that can be closed, or fall silent, and be opened again."""

    @property
    def address(self) -> DatabaseAddress: ...

    async def open(self) -> None: ...

    def fall_silent(self) -> None: ...


@pytest.fixture(autouse=True)
def short_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_contents, "_IDS_AT_ONCE", PORTION)


@pytest.fixture
async def work(database: DatabaseAddress) -> LeasedBatch:
    """A claimed batch of ten portions."""
    async with open_pool(database) as pool:
        await pool.fetch(STORE, COUNT)
        batches = PostgresBatches(pool)
        return await batches.claim(await batches.last_start(), ClaimTerms(), Holder("here"))


@pytest.fixture
async def pool(database: DatabaseAddress) -> AsyncGenerator[Pool]:
    async with open_pool(database, bounds=PATIENT) as pool:
        yield pool


@contextmanager
def within(seconds: float) -> Generator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


@pytest.fixture(autouse=True)
async def no_task_is_left() -> AsyncGenerator[None]:
    yield
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def read(
    pool: Pool, batch: Batch, at_the_first: Callable[[], object] = lambda: None, pause: float = 0
) -> int:
    batches, count = PostgresBatches(pool), 0
    async with batches.rows(batch, await batches.extent(batch)) as rows:
        async for some in rows:
            if count == 0:
                at_the_first()
                await asyncio.sleep(pause)
            count += some.rows.record_count
    return count


async def test_rows_whose_sessions_the_server_ended_are_missed_at_once_and_read_again(
    database: DatabaseAddress, admin: psycopg.Connection, pool: Pool, work: LeasedBatch
) -> None:
    def end_all_sessions() -> None:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE datname = %s",
            (database.name,),
        )

    with within(2), pytest.raises(StoreUnavailableError):
        await read(pool, work.batch, end_all_sessions)
    for _ in range(5):  # each connection that it had may be found broken once
        try:
            await pool.ping()
            break
        except StoreUnavailableError:
            continue

    assert await read(pool, work.batch) == COUNT


async def test_a_server_that_says_no_more_is_waited_for_no_longer_than_allowed(
    relay: Relay, work: LeasedBatch
) -> None:
    await relay.open()
    async with open_pool(relay.address, bounds=BOUNDS) as pool:
        with within(4), pytest.raises(StoreUnavailableError):
            await read(pool, work.batch, relay.fall_silent)


async def test_a_portion_that_takes_too_long_is_given_up(database: DatabaseAddress) -> None:
    async with open_pool(database, max_size=1, bounds=BOUNDS) as impatient:
        with within(1), pytest.raises(StoreUnavailableError):
            await impatient.copy("SELECT pg_sleep(3)")
        with within(1), pytest.raises(StoreUnavailableError):
            await impatient.read("SELECT pg_sleep(3)")

        await impatient.ping()


@dataclass(frozen=True)
class Copy:
    """A COPY that was asked for."""

    sql: str
    arguments: tuple[object, ...]
    settings: dict[str, str]


def watched(monkeypatch: pytest.MonkeyPatch) -> list[Copy]:
    """Note every COPY from now on."""
    copies: list[Copy] = []
    copy = Pool.copy

    async def noting(pool: Pool, sql: str, *arguments: object, **settings: str) -> list[bytes]:
        copies.append(Copy(sql, arguments, settings))
        return await copy(pool, sql, *arguments, **settings)

    monkeypatch.setattr(Pool, "copy", noting)
    return copies


async def test_a_slow_disk_holds_up_nothing_in_the_database(
    monkeypatch: pytest.MonkeyPatch, pool: Pool, work: LeasedBatch, session: Session
) -> None:
    copies = watched(monkeypatch)
    batches = PostgresBatches(pool)
    extent = await batches.extent(work.batch)
    async with session() as other, batches.rows(work.batch, extent) as rows, asyncio.timeout(5):
        await anext(rows)
        await until_none_is(other, "state <> 'idle' AND pid <> pg_backend_pid()")
        ahead = len(copies)
        rest = [some.rows.record_count async for some in rows]

    assert ahead == 1 + batch_contents._PORTIONS_AHEAD  # pyright: ignore[reportPrivateUsage]
    assert PORTION + sum(rest) == COUNT


async def test_a_reader_may_take_longer_than_a_transaction_may_stand_idle(
    database: DatabaseAddress, work: LeasedBatch
) -> None:
    async with open_pool(database, bounds=replace(PATIENT, stream_idle=0.2)) as pool:
        assert await read(pool, work.batch, pause=0.7) == COUNT


async def until_none_is(session: asyncpg.Connection, state: str) -> None:
    """Wait until no session is in this state."""
    query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {state}"
    async with asyncio.timeout(5):
        while await session.fetchval(query):  # noqa: ASYNC110 (it is not ours to set an event)
            await asyncio.sleep(0.01)


async def until_waiting(session: asyncpg.Connection) -> None:
    """Wait until another session waits for our lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with asyncio.timeout(5):
        while not await session.fetchval(query):  # noqa: ASYNC110 (it is not ours to set an event)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["break", "error", "cancel"])
async def test_who_leaves_early_waits_for_nothing_and_leaves_the_pool_whole(
    database: DatabaseAddress, work: LeasedBatch, session: Session, how: str
) -> None:
    async with open_pool(database, max_size=2, bounds=PATIENT) as pool, session() as other:
        batches = PostgresBatches(pool)
        extent = await batches.extent(work.batch)
        leaving = asyncio.Event()

        async def read_some() -> None:
            async with batches.rows(work.batch, extent) as rows:
                await anext(rows)
                await until_none_is(other, "state <> 'idle' AND pid <> pg_backend_pid()")
                await other.execute("BEGIN; LOCK TABLE execution IN ACCESS EXCLUSIVE MODE")
                await anext(rows)  # which was there; the portion behind it waits
                await until_waiting(other)
                leaving.set()
                if how == "error":
                    raise OSError("disk full")
                if how == "cancel":
                    await asyncio.sleep(60)

        reading = asyncio.create_task(read_some())
        await asyncio.wait_for(leaving.wait(), 5)
        with within(1):
            if how == "cancel":
                reading.cancel()
            await asyncio.wait([reading])

        assert reading.cancelled() or isinstance(reading.exception(), OSError | None)
        await asyncio.gather(*(pool.ping() for _ in range(4)))
        await other.execute("ROLLBACK")
        assert await read(pool, work.batch) == COUNT


async def test_a_full_disk_ends_the_reading_and_the_batch_is_written_later(
    pool: Pool, work: LeasedBatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches, deliveries = PostgresBatches(pool), PostgresDeliveries(pool)
    prepare = PrepareBatch(batches, deliveries, LocalFiles(tmp_path))

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", _no_space)
        with pytest.raises(FileNotWrittenError, match="no space is left"):
            await prepare(work)
    assert everything(tmp_path) == []
    await prepare(work)

    (delivery,) = await deliveries.of_batches([work.batch.id])
    assert (delivery.status, delivery.record_count) == (DeliveryStatus.WRITTEN, COUNT)
    assert await prepare.checksum(delivery) == (delivery.file.checksum if delivery.file else None)


def _no_space(_: int) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("portion", [PORTION, COUNT], ids=["long", "short"])
async def test_a_long_batch_is_read_along_the_primary_key_before_there_are_statistics(
    monkeypatch: pytest.MonkeyPatch, pool: Pool, work: LeasedBatch, session: Session, portion: int
) -> None:
    monkeypatch.setattr(batch_contents, "_IDS_AT_ONCE", portion)
    copies = watched(monkeypatch)
    assert await read(pool, work.batch) == COUNT

    async with session() as other:
        await other.execute("BEGIN")
        for name, value in copies[-1].settings.items():
            await other.execute(f"SET LOCAL {name} = {value}")
        plan = await other.fetch("EXPLAIN " + copies[-1].sql, *copies[-1].arguments)
    steps = "\n".join(row["QUERY PLAN"] for row in plan)

    assert len(copies) == COUNT // portion
    assert ("ready_to_send_timestamp_ndx" in steps) is (portion == COUNT)
    assert ("Sort" in steps) is (portion == COUNT)
