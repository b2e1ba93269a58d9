"""Preparing a batch: its files are written from its claim alone, and each is recorded once it stands."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.unit.delivering import ANOTHER, World

from globeco_allocation.adapters.memory.batches import MemoryBatches
from globeco_allocation.domain import (
    HEADER,
    Batch,
    ClaimTerms,
    DeliveryStatus,
    Extent,
    FileNotWrittenError,
    FileQuantity,
    LeaseLostError,
    NewExecution,
    StoreUnavailableError,
    lane_of,
)
from globeco_allocation.domain.use_cases import PrepareBatch
from globeco_allocation.ports.batches import LaneRows

CLAIMED, WRITTEN = DeliveryStatus.CLAIMED, DeliveryStatus.WRITTEN


@pytest.fixture
def world(make_report: Callable[..., NewExecution]) -> World:
    return World(make_report)


async def test_the_files_of_a_claim_are_written_and_recorded(world: World) -> None:
    delivery = await world.written(2)
    content = world.files.contents[delivery.file_name]

    assert (delivery.status, delivery.record_count) == (WRITTEN, 2)
    assert delivery.file_name == "transactions_20260302_120100_2.csv"
    assert content == (
        HEADER
        + b"683b6b9620f302c879a5fef4,68336002fe95851f0a2aeda9,AC1,BUY,100.00000000,50.12500000,20260302\n"
        + b"683b6b9620f302c879a5fef4,68336002fe95851f0a2aeda9,AC2,BUY,100.00000000,50.12500000,20260302\n"
    )
    assert delivery.file is not None
    assert (delivery.file.byte_count, delivery.file.first_id, delivery.file.last_id) == (len(content), 1, 2)
    batch = await world.batches.get(2)
    assert batch is not None
    assert batch.prepared


async def test_a_file_is_made_by_its_batchs_terms(world: World) -> None:
    await world.keep(world.make_report(quantity=Decimal(1000), quantity_filled=Decimal(640)))

    delivery = await world.written(0, ClaimTerms(file_quantity=FileQuantity.FILLED))

    assert b",640.00000000," in world.files.contents[delivery.file_name]


async def test_an_empty_batch_has_no_files_and_is_prepared(world: World) -> None:
    work = await world.claim(0)

    await world.prepare(work)

    assert world.files.contents == {}
    assert await world.deliveries.of_batches([work.batch.id]) == ()
    assert await world.batches.take_unprepared(ANOTHER) is None


async def test_portfolios_go_to_their_lanes_and_long_lanes_into_parts(world: World) -> None:
    first, second = "A", next(one for one in "BCDEFGH" if lane_of(one, 2) != lane_of("A", 2))
    for key in range(1, 6):
        report = world.make_report(execution_service_id=key)
        await world.keep(report, portfolio=first if key % 2 else second)
    terms = ClaimTerms(lane_count=2, file_max_records=2)

    await world.written(0, terms)

    found = await world.deliveries.of_batches([2])
    ids = {
        (one.lane, one.part): [line.split(b",")[2] for line in _lines(world, one.file_name)] for one in found
    }
    assert ids == {
        (lane_of(first, 2), 0): [b"AC1", b"AC3"],
        (lane_of(first, 2), 1): [b"AC5"],
        (lane_of(second, 2), 0): [b"AC2", b"AC4"],
    }


async def test_a_file_that_cannot_be_written_stays_claimed_with_the_reason_and_is_due_again_later(
    world: World,
) -> None:
    work = await world.claim(1)
    world.files.failure = "the disk is full"

    with pytest.raises(FileNotWrittenError, match="the disk is full"):
        await world.prepare(work)

    found = await world.present()
    assert (found.status, found.file) == (CLAIMED, None)
    assert "the disk is full" in found.error
    assert await world.batches.take_unprepared(ANOTHER) is None
    world.pass_time(timedelta(seconds=5))
    world.files.failure = ""
    again = await world.batches.take_unprepared(ANOTHER)
    assert again is not None
    await world.prepare(again)
    found = await world.present()
    assert (found.status, found.error) == (WRITTEN, "")


async def test_a_preparation_goes_on_after_the_last_file_that_is_recorded(world: World) -> None:
    work = await world.claim(3, ClaimTerms(file_max_records=1))
    names = [f"transactions_20260302_120100_2_p{part}.csv" for part in range(3)]
    world.files.contents[names[1]] = b"somebody else's"
    with pytest.raises(FileNotWrittenError):
        await world.prepare(work)
    before = [one.status for one in await world.deliveries.of_batches([2])]
    del world.files.contents[names[0]]  # as after its delivery, where delivered files are removed
    del world.files.contents[names[1]]
    world.pass_time(timedelta(seconds=5))
    again = await world.batches.take_unprepared(ANOTHER)
    assert again is not None

    await world.prepare(again)

    assert before == [WRITTEN, CLAIMED, CLAIMED]
    assert [one.status for one in await world.deliveries.of_batches([2])] == [WRITTEN] * 3
    assert sorted(world.files.contents) == names[1:]


async def test_a_former_holder_records_nothing(world: World) -> None:
    work = await world.claim(1)
    world.pass_time(timedelta(minutes=1))
    successor = await world.batches.take_unprepared(ANOTHER)
    assert successor is not None

    with pytest.raises(LeaseLostError):
        await world.prepare(work)

    await world.prepare(successor)
    assert (await world.present()).status is WRITTEN


async def test_a_database_that_is_away_leaves_the_last_recorded_step(world: World) -> None:
    work = await world.claim(1)
    world.database.available = False

    with pytest.raises(StoreUnavailableError):
        await world.prepare(work)

    world.database.available = True
    await world.prepare(work)
    assert (await world.present()).status is WRITTEN


@pytest.mark.parametrize(("executions", "words"), [(2, "more executions"), (0, "gone from the database")])
async def test_rows_that_foreign_hands_changed_between_plan_and_writing_are_not_written(
    world: World, executions: int, words: str
) -> None:
    class Changed(MemoryBatches):
        @asynccontextmanager
        async def rows(self, batch: Batch, extent: Extent) -> AsyncGenerator[AsyncIterator[LaneRows]]:
            async with super().rows(batch, extent) as rows:
                yield (one async for one in rows for _ in range(executions))

    work = await world.claim(1)

    with pytest.raises(FileNotWrittenError, match=words):
        await PrepareBatch(Changed(world.database), world.deliveries, world.files)(work)

    batch = await world.batches.get(work.batch.id)
    assert batch is not None
    assert not batch.prepared


async def test_rows_of_a_lane_that_was_not_planned_are_not_written(world: World) -> None:
    class Moved(MemoryBatches):
        @asynccontextmanager
        async def rows(self, batch: Batch, extent: Extent) -> AsyncGenerator[AsyncIterator[LaneRows]]:
            async with super().rows(batch, extent) as rows:
                yield (replace(one, lane=1 - one.lane) async for one in rows)

    work = await world.claim(1, ClaimTerms(lane_count=2))

    with pytest.raises(FileNotWrittenError, match="more executions"):
        await PrepareBatch(Moved(world.database), world.deliveries, world.files)(work)
    assert world.files.contents == {}


async def test_a_file_without_a_batch_is_not_made_again(world: World) -> None:
    delivery = await world.written(1)
    del world.database.batches[delivery.batch_id]

    with pytest.raises(FileNotWrittenError, match="is gone"):
        await world.prepare.write_again(delivery)


async def test_a_file_that_was_never_written_is_not_made_again(world: World) -> None:
    work = await world.claim(1)
    world.files.failure = "full"
    with pytest.raises(FileNotWrittenError):
        await world.prepare(work)
    world.files.failure = ""

    with pytest.raises(FileNotWrittenError):
        await world.prepare.write_again(await world.present())

    assert world.files.contents == {}


def _lines(world: World, name: str) -> list[bytes]:
    return world.files.contents[name].splitlines()[1:]
