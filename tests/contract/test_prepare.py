"""A claimed batch gets its files, whoever writes them, and then goes on; the twin and PostgreSQL agree."""

import asyncio

import pytest
from tests.contract.stores import FILE, HOUR, ONE, OTHER, SOON, TRACE, Stores, claim, claimed, planned, shown

from globeco_allocation.domain import DeliveryStatus, DeliveryStepError
from globeco_allocation.domain.delivery import PlannedFile, WrittenFile


async def test_a_planned_file_is_a_claimed_delivery(stores: Stores) -> None:
    leased = await claim(stores, lane_count=4)
    files = [planned(leased.batch.id, lane, part) for lane, part in [(2, 0), (0, 1), (0, 0)]]
    deliveries = await stores.batches.plan(leased.lease, files)

    assert [(one.lane, one.part) for one in deliveries] == [(0, 0), (0, 1), (2, 0)]
    assert [one.id for one in deliveries] == sorted(one.id for one in deliveries)
    assert {one.file_name for one in deliveries} == {file.file_name for file in files}
    for one in deliveries:
        assert (one.status, one.batch_id, one.lane_count) == (DeliveryStatus.CLAIMED, leased.batch.id, 4)
        assert (one.record_count, one.file, one.attempts) == (3, None, 0)
        assert (one.requested_by, one.trace) == ("correlation-1", TRACE)
        assert one.created.utcoffset() is not None
    assert await stores.deliveries.of_batches([leased.batch.id]) == deliveries


async def test_planning_the_same_files_again_finds_the_same_deliveries(stores: Stores) -> None:
    leased = await claim(stores, lane_count=2)
    files = [planned(leased.batch.id, 0), planned(leased.batch.id, 1)]
    first = await stores.batches.plan(leased.lease, files)
    await stores.deliveries.written(leased.lease, first[0].id, FILE)
    again = await asyncio.gather(*(stores.batches.plan(leased.lease, files) for _ in range(4)))

    assert {tuple(one.id for one in found) for found in again} == {tuple(one.id for one in first)}
    assert {found[0].status for found in again} == {DeliveryStatus.WRITTEN}
    assert len(await stores.deliveries.of_batches([leased.batch.id])) == 2


@pytest.mark.parametrize("other", ["fewer", "more", "another name", "another size"])
async def test_a_batch_never_gets_other_files(stores: Stores, other: str) -> None:
    leased = await claim(stores, lane_count=3)
    first, second, third = (planned(leased.batch.id, lane) for lane in range(3))
    before = await stores.batches.plan(leased.lease, [first, second])
    others = {
        "fewer": [first],
        "more": [first, second, third],
        "another name": [first, PlannedFile(1, 0, "another.csv", 3)],
        "another size": [first, PlannedFile(1, 0, second.file_name, 4)],
    }

    with pytest.raises(DeliveryStepError):
        await stores.batches.plan(leased.lease, others[other])
    assert await stores.deliveries.of_batches([leased.batch.id]) == before


async def test_a_file_name_belongs_to_one_batch(stores: Stores) -> None:
    _, first = await claimed(stores)
    second = await claim(stores)
    files = [planned(second.batch.id), PlannedFile(0, 1, first.file_name, 3)]

    with pytest.raises(DeliveryStepError):
        await stores.batches.plan(second.lease, files)
    assert await stores.deliveries.of_batches([second.batch.id]) == ()


async def test_an_empty_batch_has_no_files_and_is_prepared_all_the_same(stores: Stores) -> None:
    leased = await claim(stores)
    assert await stores.batches.plan(leased.lease, []) == ()
    await stores.batches.prepared(leased.lease)
    batch = await stores.batches.get(leased.batch.id)

    assert batch is not None
    assert batch.prepared
    with pytest.raises(DeliveryStepError):
        await stores.batches.plan(leased.lease, [planned(leased.batch.id)])


async def test_a_written_file_is_recorded_and_may_be_recorded_again(stores: Stores) -> None:
    leased, delivery = await claimed(stores)
    await stores.deliveries.written(leased.lease, delivery.id, FILE)
    first = await shown(stores, delivery.id)
    stores.step_clock(SOON)
    await stores.deliveries.written(leased.lease, delivery.id, FILE)

    assert (first.status, first.file, first.record_count) == (DeliveryStatus.WRITTEN, FILE, 3)
    assert first.written is not None
    assert await shown(stores, delivery.id) == first


async def test_another_file_is_never_recorded_over_a_written_one(stores: Stores) -> None:
    leased, delivery = await claimed(stores)
    await stores.deliveries.written(leased.lease, delivery.id, FILE)

    with pytest.raises(DeliveryStepError):
        await stores.deliveries.written(leased.lease, delivery.id, WrittenFile(3, 2**40, "cd" * 32, 5, 9))
    assert (await shown(stores, delivery.id)).file == FILE


async def test_why_a_file_was_not_written_is_kept_until_it_is(stores: Stores) -> None:
    leased, delivery = await claimed(stores)
    await stores.deliveries.not_written(leased.lease, delivery.id, "no space is left")
    hindered = await shown(stores, delivery.id)
    await stores.deliveries.written(leased.lease, delivery.id, FILE)

    assert (hindered.status, hindered.error) == (DeliveryStatus.CLAIMED, "no space is left")
    assert (await shown(stores, delivery.id)).error == ""
    with pytest.raises(DeliveryStepError):
        await stores.deliveries.not_written(leased.lease, delivery.id, "too late")


async def test_a_batchs_lease_writes_no_other_batchs_deliveries(stores: Stores) -> None:
    _, first = await claimed(stores)
    second, _ = await claimed(stores)

    for delivery_id in (first.id, 99):
        with pytest.raises(DeliveryStepError):
            await stores.deliveries.written(second.lease, delivery_id, FILE)
        with pytest.raises(DeliveryStepError):
            await stores.deliveries.not_written(second.lease, delivery_id, "no space is left")
    assert await shown(stores, first.id) == first


async def test_a_batch_is_prepared_when_all_its_files_are_written(stores: Stores) -> None:
    leased, delivery = await claimed(stores)
    with pytest.raises(DeliveryStepError):
        await stores.batches.prepared(leased.lease)
    before = await stores.batches.get(leased.batch.id)
    await stores.deliveries.written(leased.lease, delivery.id, FILE)
    await stores.batches.prepared(leased.lease)
    await stores.batches.prepared(leased.lease)
    after = await stores.batches.get(leased.batch.id)

    assert before is not None
    assert after is not None
    assert (leased.batch.prepared, before.prepared, after.prepared) == (False, False, True)
    assert (await stores.batches.page(limit=1, offset=0)).batches == (after,)
    assert await stores.batches.holding(after.window.previous_start) == (after.id, after)


async def test_a_batch_that_is_written_by_somebody_is_taken_by_nobody(stores: Stores) -> None:
    await claim(stores)

    assert await stores.batches.take_unprepared(OTHER) is None


async def test_the_oldest_batch_that_nobody_writes_is_taken(stores: Stores) -> None:
    batches = [await claim(stores) for _ in range(3)]
    await stores.batches.plan(batches[0].lease, [])
    await stores.batches.prepared(batches[0].lease)
    stores.let_leases_run_out()
    taken = [await stores.batches.take_unprepared(OTHER) for _ in range(3)]

    assert [one.batch if one else None for one in taken] == [batches[1].batch, batches[2].batch, None]
    assert taken[0] is not None
    assert taken[0].lease.token > batches[2].lease.token
    assert taken[0].lease.holder == OTHER


async def test_of_those_who_take_batches_at_once_each_gets_another(stores: Stores) -> None:
    batches = [await claim(stores) for _ in range(3)]
    stores.let_leases_run_out()
    taken = await asyncio.gather(*(stores.batches.take_unprepared(OTHER) for _ in range(6)))

    assert sorted(one.batch.id for one in taken if one) == [leased.batch.id for leased in batches]


async def test_a_hindered_batch_is_taken_again_when_it_is_due(stores: Stores) -> None:
    leased = await claim(stores)
    await stores.batches.hindered(leased.lease, HOUR)
    too_early = await stores.batches.take_unprepared(OTHER)
    stores.step_clock(HOUR)
    taken = await stores.batches.take_unprepared(OTHER)

    assert too_early is None
    assert taken is not None
    assert taken.batch == leased.batch


async def test_a_hindered_batch_holds_no_other_up(stores: Stores) -> None:
    first, second = await claim(stores), await claim(stores)
    await stores.batches.hindered(first.lease, HOUR)
    stores.let_leases_run_out()
    taken = await stores.batches.take_unprepared(ONE)

    assert taken is not None
    assert taken.batch == second.batch


@pytest.mark.parametrize("batch_id", [99, 0, -1, 2**31, 10**40])
async def test_a_batch_that_is_not_there_has_no_deliveries(stores: Stores, batch_id: int) -> None:
    await claimed(stores)

    assert await stores.deliveries.of_batches([batch_id]) == ()


async def test_the_deliveries_of_several_batches_come_by_their_ids(stores: Stores) -> None:
    made = [await claimed(stores) for _ in range(4)]
    asked = [made[index][0].batch.id for index in (3, 0, 1)]
    found = await stores.deliveries.of_batches([*asked, asked[0], 10**40])

    assert [one.id for one in found] == [made[index][1].id for index in (0, 1, 3)]
    assert await stores.deliveries.of_batches([]) == ()
