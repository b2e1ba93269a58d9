"""Sending a batch: claim, write and deliver are steps of their own, and each may be repeated."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from globeco_allocation.adapters.memory.batches import MemoryBatches
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.deliveries import MemoryDeliveries
from globeco_allocation.adapters.memory.executions import MemoryExecutions
from globeco_allocation.domain import (
    FIRST_START,
    HEADER,
    AccountingRun,
    AllocatedExecution,
    ClaimTerms,
    DeliveryStatus,
    ErrorRow,
    Execution,
    FileNotWrittenError,
    FileQuantity,
    NewExecution,
    PrintedCounts,
    StoreUnavailableError,
    WindowTakenError,
    WrittenFile,
)
from globeco_allocation.domain.use_cases import DeliverFile, SendBatch

MakeReport = Callable[..., NewExecution]

PORTFOLIO = "683b6b9620f302c879a5fef4"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class SettableClock:
    """Shows the time it is told."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time


class FilesInADict:
    """Files by name; like a directory it keeps the same file and refuses another under its name."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.writes = 0
        self.full = False

    async def check(self) -> None:
        pass

    async def write(
        self,
        name: str,
        header: bytes,
        executions: AsyncIterator[Execution],
        row: Callable[[Execution], bytes],
    ) -> WrittenFile:
        self.writes += 1
        if self.full:
            raise FileNotWrittenError("the output directory is full")
        rows = [row(one) async for one in executions]
        content = header + b"".join(rows)
        if self.contents.setdefault(name, content) != content:
            raise FileNotWrittenError(f"another file is named {name}")
        return WrittenFile(len(rows), len(content), hashlib.sha256(content).hexdigest())

    async def remove(self, name: str) -> None:
        self.contents.pop(name, None)


class AcceptingCli:
    """Books every record of every file."""

    def __init__(self, files: FilesInADict) -> None:
        self._files = files
        self.runs: list[str] = []

    @asynccontextmanager
    async def turn(self) -> "AsyncGenerator[AcceptingCli]":
        yield self

    async def run(self, file_name: str, attempt: int) -> AccountingRun:
        del attempt
        self.runs.append(file_name)
        records = self._files.contents[file_name].count(b"\n") - 1
        return AccountingRun(0, PrintedCounts(records, records, 0))

    async def error_rows(self, file_name: str) -> AsyncIterator[ErrorRow]:
        for row in ():
            yield ErrorRow(file_name, row)


class World:
    """A service over the twins, and what a test does with it."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.database = MemoryDatabase(self.clock)
        self.executions = MemoryExecutions(self.database)
        self.batches = MemoryBatches(self.database)
        self.deliveries = MemoryDeliveries(self.database)
        self.files = FilesInADict()
        self.cli = AcceptingCli(self.files)

    def sender(self, *, cli: bool = True, quantity: FileQuantity = FileQuantity.ORDERED) -> SendBatch:
        deliver = DeliverFile(self.deliveries, self.cli, self.files) if cli else None
        return SendBatch(
            self.batches, self.deliveries, self.files, deliver, ClaimTerms(file_quantity=quantity)
        )

    async def keep(self, *reports: NewExecution) -> None:
        await self.executions.keep([AllocatedExecution(report, PORTFOLIO) for report in reports])

    def pass_time(self) -> None:
        self.clock.time += timedelta(minutes=1)


@pytest.fixture
def world() -> World:
    return World()


async def test_what_became_ready_is_claimed_written_and_delivered(
    world: World, make_report: MakeReport
) -> None:
    await world.keep(make_report(execution_service_id=1), make_report(execution_service_id=2))
    world.pass_time()
    send = world.sender()

    (delivery,) = await send.carry_out(await send.claim())

    assert delivery.status is DeliveryStatus.DELIVERED
    assert delivery.file_name == "transactions_20260302_120100_2.csv"
    assert delivery.file is not None
    assert delivery.file.record_count == 2
    assert world.files.contents[delivery.file_name] == (
        HEADER
        + b"683b6b9620f302c879a5fef4,68336002fe95851f0a2aeda9,AC1,BUY,100.00000000,50.12500000,20260302\n"
        + b"683b6b9620f302c879a5fef4,68336002fe95851f0a2aeda9,AC2,BUY,100.00000000,50.12500000,20260302\n"
    )
    assert world.cli.runs == [delivery.file_name]


async def test_windows_follow_one_another_and_share_nothing(world: World, make_report: MakeReport) -> None:
    send = world.sender()
    await world.keep(make_report(execution_service_id=1))
    first = await send.claim()
    await world.keep(make_report(execution_service_id=2))
    second = await send.claim()

    (earlier,) = await send.carry_out(first)
    (later,) = await send.carry_out(second)

    assert first.window.previous_start == FIRST_START
    assert second.window.previous_start == first.window.start
    assert b",AC1," in world.files.contents[earlier.file_name]
    assert b",AC1," not in world.files.contents[later.file_name]
    assert b",AC2," in world.files.contents[later.file_name]
    assert earlier.file_name != later.file_name


async def test_a_claim_keeps_who_asked_and_how_files_are_made(world: World) -> None:
    batch = await world.sender(quantity=FileQuantity.FILLED).claim("correlation-1")

    assert batch.terms == ClaimTerms(file_quantity=FileQuantity.FILLED, requested_by="correlation-1")


async def test_a_file_is_made_by_its_batchs_terms_not_by_the_present_settings(
    world: World, make_report: MakeReport
) -> None:
    await world.keep(make_report(quantity=Decimal(1000), quantity_filled=Decimal(640)))
    batch = await world.sender(quantity=FileQuantity.FILLED).claim()

    (delivery,) = await world.sender(quantity=FileQuantity.ORDERED).carry_out(batch)

    assert b",640.00000000," in world.files.contents[delivery.file_name]


async def test_of_two_senders_with_the_same_last_start_one_is_refused(world: World) -> None:
    class Behind(MemoryBatches):
        async def last_start(self) -> datetime:
            return FIRST_START

    slow = SendBatch(Behind(world.database), world.deliveries, world.files, None, ClaimTerms())
    await world.sender().claim()

    with pytest.raises(WindowTakenError):
        await slow.claim()


async def test_an_empty_window_leaves_no_file_and_no_delivery(world: World) -> None:
    send = world.sender()

    batch = await send.claim()

    assert await send.carry_out(batch) == ()
    assert world.files.writes == 0
    assert world.cli.runs == []
    assert await world.deliveries.of_batch(batch.id) == ()


async def test_without_a_cli_the_file_stays_written(world: World, make_report: MakeReport) -> None:
    await world.keep(make_report())
    send = world.sender(cli=False)

    (delivery,) = await send.carry_out(await send.claim())

    assert (delivery.status, delivery.attempts) == (DeliveryStatus.WRITTEN, 0)
    assert delivery.file_name in world.files.contents


async def test_a_written_file_is_delivered_once_there_is_a_cli(world: World, make_report: MakeReport) -> None:
    await world.keep(make_report())
    batch = await world.sender().claim()
    (before,) = await world.sender(cli=False).carry_out(batch)

    (after,) = await world.sender().carry_out(batch)

    assert (before.status, after.status) == (DeliveryStatus.WRITTEN, DeliveryStatus.DELIVERED)
    assert after.file == before.file
    assert after.id == before.id


async def test_a_file_that_cannot_be_written_leaves_the_delivery_claimed(
    world: World, make_report: MakeReport
) -> None:
    await world.keep(make_report())
    send = world.sender()
    batch = await send.claim()
    world.files.full = True

    with pytest.raises(FileNotWrittenError):
        await send.carry_out(batch)

    (delivery,) = await world.deliveries.of_batch(batch.id)
    assert (delivery.status, delivery.file) == (DeliveryStatus.CLAIMED, None)
    assert world.cli.runs == []


async def test_carrying_out_again_goes_on_where_it_stopped(world: World, make_report: MakeReport) -> None:
    await world.keep(make_report())
    send = world.sender()
    batch = await send.claim()
    world.files.full = True
    with pytest.raises(FileNotWrittenError):
        await send.carry_out(batch)
    world.files.full = False
    await world.keep(make_report(execution_service_id=28))

    (delivery,) = await send.carry_out(batch)

    assert delivery.status is DeliveryStatus.DELIVERED
    assert delivery.file is not None
    assert delivery.file.record_count == 1


async def test_a_delivered_batch_is_not_sent_again(world: World, make_report: MakeReport) -> None:
    await world.keep(make_report())
    send = world.sender()
    batch = await send.claim()
    first = await send.carry_out(batch)

    again = await send.carry_out(batch)

    assert again == first
    assert len(world.cli.runs) == 1
    assert world.files.writes == 1


async def test_a_delivery_that_was_begun_is_left_to_its_run(world: World, make_report: MakeReport) -> None:
    await world.keep(make_report())
    batch = await world.sender().claim()
    (delivery,) = await world.sender(cli=False).carry_out(batch)
    await world.deliveries.started(delivery.id)

    (again,) = await world.sender().carry_out(batch)

    assert (again.status, again.attempts) == (DeliveryStatus.DELIVERING, 1)
    assert world.cli.runs == []


async def test_a_database_that_is_away_fails_the_claim_and_nothing_is_claimed(
    world: World, make_report: MakeReport
) -> None:
    await world.keep(make_report())
    send = world.sender()
    world.database.available = False

    with pytest.raises(StoreUnavailableError):
        await send.claim()

    world.database.available = True
    (delivery,) = await send.carry_out(await send.claim())
    assert delivery.file is not None
    assert delivery.file.record_count == 1
