"""Working off what is due, whoever began it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.unit.delivering import ANOTHER, PATIENCE, ScriptedCli, World

from globeco_allocation.adapters.memory.accounting import Fault
from globeco_allocation.domain import ClaimTerms, DeliveryStatus, FileNotWrittenError, NewExecution

DELIVERED, WRITTEN = DeliveryStatus.DELIVERED, DeliveryStatus.WRITTEN


@pytest.fixture
def world(make_report: Callable[..., NewExecution]) -> World:
    return World(make_report)


async def statuses(world: World) -> list[DeliveryStatus]:
    return [one.status for one in await world.deliveries.of_batches([2, 3])]


async def test_everything_that_is_due_is_written_and_delivered(world: World) -> None:
    await world.claim(3, ClaimTerms(file_max_records=2))
    await world.claim(1)
    world.pass_time(timedelta(minutes=1))

    await world.work_off().until_idle()

    assert await statuses(world) == [DELIVERED] * 3
    assert [name for name, _ in world.accounting.runs] == [
        "transactions_20260302_120100_2_p0.csv",
        "transactions_20260302_120100_2_p1.csv",
        "transactions_20260302_120200_3.csv",
    ]


async def test_what_somebody_works_on_is_left_to_them(world: World) -> None:
    await world.claim(1)
    work_off = world.work_off()

    await work_off.until_idle()

    assert await work_off.take_batch() is None
    assert await statuses(world) == []


async def test_leases_are_given_back_at_once(world: World) -> None:
    await world.claim(1)
    world.pass_time(timedelta(minutes=1))
    world.accounting.fault = Fault.SERVER_DOWN

    await world.work_off().until_idle()

    world.pass_time(timedelta(seconds=5))
    assert (await world.take(ANOTHER)).delivery.attempt == 2


async def test_idle_means_that_nothing_is_due_now_not_that_all_has_ended(world: World) -> None:
    await world.written(1)
    world.accounting.fault = Fault.SERVER_DOWN

    await world.work_off().until_idle()

    assert await statuses(world) == [DeliveryStatus.DELIVERING]
    assert len(world.accounting.runs) == 1


async def test_without_a_cli_files_stay_written_until_there_is_one(world: World) -> None:
    await world.claim(1)
    world.pass_time(timedelta(minutes=1))
    without = world.work_off(delivers=False)

    await without.until_idle()

    assert await statuses(world) == [WRITTEN]
    assert await without.take_delivery() is None
    assert await without.deliver(await world.take(ANOTHER)) is None
    world.pass_time(timedelta(minutes=1))
    await world.work_off().until_idle()
    assert await statuses(world) == [DELIVERED]


async def test_batches_are_written_one_after_the_other(world: World) -> None:
    first, second = await world.claim(1), await world.claim(1)
    work_off = world.work_off()

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(work_off.write(first), work_off.write(second))

    assert await statuses(world) == [WRITTEN] * 2


async def test_a_batch_that_cannot_be_written_is_not_due_at_once(world: World) -> None:
    await world.claim(1)
    world.pass_time(timedelta(minutes=1))
    world.files.failure = "the disk is full"
    work_off = world.work_off()

    with pytest.raises(FileNotWrittenError):
        await work_off.until_idle()

    assert await work_off.take_batch() is None


async def test_a_fault_of_ours_puts_the_delivery_off_and_stands_there_without_its_text(
    world: World,
) -> None:
    await world.written(1)
    work_off = world.work_off(ScriptedCli([ZeroDivisionError("secret")]))

    with pytest.raises(ZeroDivisionError):
        await work_off.until_idle()

    found = await world.present()
    assert (found.status, found.attempts) == (WRITTEN, 0)
    assert "secret" not in found.error
    assert found.error
    assert await work_off.take_delivery() is None
    world.pass_time(timedelta(seconds=30))
    assert await work_off.take_delivery() is not None


async def test_a_cancelled_delivery_can_be_taken_by_another_one_at_once(world: World) -> None:
    await world.written(1)
    world.accounting.gate.clear()
    work_off = world.work_off()
    under_way = asyncio.create_task(work_off.deliver(await world.take()))
    async with asyncio.timeout(PATIENCE):
        await world.deliveries.run_begun.wait()
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way

    work = await world.take(ANOTHER)

    assert (work.delivery.attempt, work.delivery.under_way) == (1, True)
    world.accounting.gate.set()
