"""Sending a batch: claim, write and deliver are steps of their own, and each may be repeated."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from tests.unit.delivering import ANOTHER, World

from globeco_allocation.adapters.memory.accounting import Fault
from globeco_allocation.adapters.memory.batches import MemoryBatches
from globeco_allocation.domain import (
    FIRST_START,
    HEADER,
    ClaimTerms,
    DeliveryStatus,
    FileNotWrittenError,
    FileQuantity,
    NewExecution,
    StoreUnavailableError,
    WindowTakenError,
)
from globeco_allocation.domain.use_cases import SendBatch

MakeReport = Callable[..., NewExecution]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(make_report: MakeReport) -> World:
    return World(make_report)


async def keep(world: World, *keys: int) -> None:
    await world.keep(*(world.make_report(execution_service_id=key) for key in keys))
    world.pass_time(MINUTE)


async def test_what_became_ready_is_claimed_written_and_delivered(world: World) -> None:
    await keep(world, 1, 2)

    (delivery,) = await world.sender()()

    assert delivery.status is DeliveryStatus.DELIVERED
    assert delivery.file_name == "transactions_20260302_120100_2.csv"
    assert delivery.file is not None
    assert delivery.file.record_count == 2
    assert world.files.contents[delivery.file_name] == (
        HEADER
        + b"683b6b9620f302c879a5fef4,68336002fe95851f0a2aeda9,AC1,BUY,100.00000000,50.12500000,20260302\n"
        + b"683b6b9620f302c879a5fef4,68336002fe95851f0a2aeda9,AC2,BUY,100.00000000,50.12500000,20260302\n"
    )
    assert world.accounting.runs == [(delivery.file_name, 1)]


async def test_windows_follow_one_another_and_share_nothing(world: World) -> None:
    send = world.sender()
    await keep(world, 1)
    first = await send.claim()
    await keep(world, 2)
    second = await send.claim()
    world.pass_time(MINUTE)

    await world.work_off().until_idle()

    assert first.batch.window.previous_start == FIRST_START
    assert second.batch.window.previous_start == first.batch.window.start
    (earlier,) = await world.deliveries.of_batches([first.batch.id])
    (later,) = await world.deliveries.of_batches([second.batch.id])
    assert b",AC1," in world.files.contents[earlier.file_name]
    assert b",AC1," not in world.files.contents[later.file_name]
    assert b",AC2," in world.files.contents[later.file_name]
    assert earlier.file_name != later.file_name


async def test_a_claim_keeps_who_asked_and_how_files_are_made(world: World) -> None:
    terms = ClaimTerms(file_quantity=FileQuantity.FILLED, lane_count=4, file_max_records=7)

    work = await world.sender(terms).claim("correlation-1")

    assert work.batch.terms == ClaimTerms(
        file_quantity=FileQuantity.FILLED, lane_count=4, file_max_records=7, requested_by="correlation-1"
    )


async def test_a_file_is_made_by_its_batchs_terms_not_by_the_present_settings(world: World) -> None:
    await world.keep(world.make_report(quantity=Decimal(1000), quantity_filled=Decimal(640)))
    world.pass_time(MINUTE)
    await world.sender(ClaimTerms(file_quantity=FileQuantity.FILLED)).claim()
    world.pass_time(MINUTE)

    await world.sender(ClaimTerms(file_quantity=FileQuantity.ORDERED))()

    (delivery,) = await world.deliveries.of_batches([2])
    assert b",640.00000000," in world.files.contents[delivery.file_name]


async def test_of_two_senders_with_the_same_last_start_one_is_refused(world: World) -> None:
    class Behind(MemoryBatches):
        async def last_start(self) -> datetime:
            return FIRST_START

    slow = SendBatch(Behind(world.database), world.deliveries, world.files, world.work_off(), ClaimTerms())
    await world.sender().claim()

    with pytest.raises(WindowTakenError):
        await slow.claim()


async def test_an_empty_window_leaves_no_file_and_no_delivery(world: World) -> None:
    assert await world.sender()() == ()
    assert world.files.contents == {}
    assert world.accounting.runs == []
    assert await world.batches.take_unprepared(ANOTHER) is None


async def test_nothing_is_claimed_while_no_file_can_be_written(world: World) -> None:
    await keep(world, 1)
    world.files.failure = "the output directory is missing"

    with pytest.raises(FileNotWrittenError):
        await world.sender().claim()

    assert await world.batches.last_start() == FIRST_START


async def test_without_a_cli_the_file_stays_written(world: World) -> None:
    await keep(world, 1)

    (delivery,) = await world.sender(delivers=False)()

    assert (delivery.status, delivery.attempts) == (DeliveryStatus.WRITTEN, 0)
    assert delivery.file_name in world.files.contents


async def test_a_written_file_is_delivered_once_there_is_a_cli(world: World) -> None:
    await keep(world, 1)
    (before,) = await world.sender(delivers=False)()

    await world.sender()()

    (after,) = await world.deliveries.of_batches([2])
    assert (before.status, after.status) == (DeliveryStatus.WRITTEN, DeliveryStatus.DELIVERED)
    assert after.file == before.file
    assert after.id == before.id


async def test_a_file_that_cannot_be_written_fails_the_send_and_the_next_one_goes_on(world: World) -> None:
    await keep(world, 1)
    send = world.sender()
    work = await send.claim()
    world.files.failure = "the disk is full"
    with pytest.raises(FileNotWrittenError):
        await world.work_off().write(work)
    world.files.failure = ""
    await keep(world, 2)

    (own,) = await send()

    (left,) = await world.deliveries.of_batches([work.batch.id])
    assert (left.status, left.record_count) == (DeliveryStatus.DELIVERED, 1)
    assert (own.status, own.record_count) == (DeliveryStatus.DELIVERED, 1)


async def test_a_delivered_batch_is_not_sent_again(world: World) -> None:
    await keep(world, 1)
    send = world.sender()
    first = await send()
    world.pass_time(MINUTE)

    assert await send() == ()
    assert await world.deliveries.of_batches([2]) == first
    assert len(world.accounting.runs) == 1


async def test_a_send_whose_attempt_failed_returns_what_waits_for_the_next_one(world: World) -> None:
    await keep(world, 1)
    world.accounting.fault = Fault.SERVER_DOWN

    (delivery,) = await world.sender()()

    assert delivery.status is DeliveryStatus.DELIVERING
    assert delivery.not_before == world.clock.now() + timedelta(seconds=5)
    assert "0 of 1 records booked" in delivery.error


async def test_a_database_that_is_away_fails_the_claim_and_nothing_is_claimed(world: World) -> None:
    await keep(world, 1)
    send = world.sender()
    world.database.available = False

    with pytest.raises(StoreUnavailableError):
        await send.claim()

    world.database.available = True
    (delivery,) = await send()
    assert delivery.record_count == 1
