"""A successor follows whoever worked on something, who cannot write over it; twin and PostgreSQL agree."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from tests.contract.stores import (
    DELIVERED,
    FILE,
    HOUR,
    ONE,
    OTHER,
    Stores,
    begin,
    claim,
    claimed,
    planned,
    queue,
    reject,
    settle,
    shown,
    take,
    takes_nothing,
)

from globeco_allocation.domain.delivery import Knowledge, Settlement, WrittenFile
from globeco_allocation.domain.errors import LeaseLostError
from globeco_allocation.domain.lease import Holder, Lease, Leased

PATIENT = Holder("patient", HOUR)
ALMOST = timedelta(minutes=59)
TICK = timedelta(microseconds=1)

SETTLEMENT = Settlement(outcome=DELIVERED, knowledge=Knowledge(1), tries=1)
OTHER_FILE = WrittenFile(3, 2**40, "cd" * 32, 5, 9)

Step = Callable[[Stores, Lease], Awaitable[object]]

DELIVERY_STEPS: dict[str, Step] = {
    "renew": lambda stores, lease: stores.leases.renew(lease),
    "begun": lambda stores, lease: stores.deliveries.begun(lease, 1),
    "identified": lambda stores, lease: stores.deliveries.identified(lease, 1, "uid-late"),
    "hindered": lambda stores, lease: stores.deliveries.hindered(lease, "late", HOUR),
    "rejected": lambda stores, lease: stores.deliveries.rejected(lease, 1, [reject(9)], first=True),
    "settled": lambda stores, lease: stores.deliveries.settled(lease, 1, SETTLEMENT),
}


async def everything(stores: Stores, delivery_id: int) -> object:
    return (
        await shown(stores, delivery_id),
        await stores.deliveries.rejects(delivery_id, limit=9),
        await stores.batches.page(limit=9, offset=0),
        await stores.deliveries.stop(),
    )


@pytest.mark.parametrize("step", DELIVERY_STEPS)
async def test_who_was_succeeded_writes_nothing_more_of_a_delivery(stores: Stores, step: str) -> None:
    (delivery,) = await queue(stores)
    late = await begin(stores, ONE)
    stores.let_leases_run_out()
    successor = await take(stores, OTHER)
    await stores.deliveries.rejected(successor.lease, 1, [reject(1)], first=True)
    before = await everything(stores, delivery.id)

    with pytest.raises(LeaseLostError):
        await DELIVERY_STEPS[step](stores, late.lease)
    assert await everything(stores, delivery.id) == before
    assert await takes_nothing(stores), "the successor's lease holds"


@pytest.mark.parametrize("step", DELIVERY_STEPS)
async def test_who_was_succeeded_before_it_began_writes_nothing(stores: Stores, step: str) -> None:
    (delivery,) = await queue(stores)
    late = await take(stores, ONE)
    stores.let_leases_run_out()
    await take(stores, OTHER)

    with pytest.raises(LeaseLostError):
        await DELIVERY_STEPS[step](stores, late.lease)
    assert await shown(stores, delivery.id) == delivery


BATCH_STEPS: dict[str, Callable[[Stores, Lease, int], Awaitable[object]]] = {
    "renew": lambda stores, lease, _: stores.leases.renew(lease),
    "plan": lambda stores, lease, _: stores.batches.plan(lease, [planned(lease.id)]),
    "written": lambda stores, lease, key: stores.deliveries.written(lease, key, FILE),
    "written otherwise": lambda stores, lease, key: stores.deliveries.written(lease, key, OTHER_FILE),
    "not written": lambda stores, lease, key: stores.deliveries.not_written(lease, key, "late"),
    "prepared": lambda stores, lease, _: stores.batches.prepared(lease),
    "hindered": lambda stores, lease, _: stores.batches.hindered(lease, HOUR),
}


@pytest.mark.parametrize("written", [False, True], ids=["claimed", "written"])
@pytest.mark.parametrize("step", BATCH_STEPS)
async def test_who_was_succeeded_writes_nothing_more_of_a_batch(
    stores: Stores, step: str, written: bool
) -> None:
    late, delivery = await claimed(stores)
    stores.let_leases_run_out()
    successor = await stores.batches.take_unprepared(OTHER)
    assert successor is not None
    if written:
        await stores.deliveries.written(successor.lease, delivery.id, FILE)
    before = await everything(stores, delivery.id)

    with pytest.raises(LeaseLostError):
        await BATCH_STEPS[step](stores, late.lease, delivery.id)
    assert await everything(stores, delivery.id) == before
    assert await stores.batches.take_unprepared(ONE) is None, "the successor's lease holds"


async def test_each_lease_has_a_higher_token_than_all_before_it(stores: Stores) -> None:
    leases = [(await claim(stores)).lease, (await claim(stores)).lease]
    stores.let_leases_run_out()
    for _ in range(2):
        leased = await stores.batches.take_unprepared(OTHER)
        assert leased is not None
        leases.append(leased.lease)
        await stores.batches.prepared(leased.lease)
    await queue(stores)
    for _ in range(3):
        leases.append((await take(stores)).lease)
        stores.let_leases_run_out()

    tokens = [lease.token for lease in leases]
    assert tokens == sorted(set(tokens))
    assert {lease.of for lease in leases} == {Leased.BATCH, Leased.DELIVERY}


async def test_a_lease_holds_for_its_holders_time_and_no_longer(stores: Stores) -> None:
    await queue(stores)
    await take(stores, PATIENT)
    stores.let_leases_run_out()
    assert await takes_nothing(stores)
    stores.step_clock(HOUR)

    assert not await takes_nothing(stores)


async def test_a_heartbeat_keeps_a_lease(stores: Stores) -> None:
    await queue(stores)
    taken = await take(stores, PATIENT)
    for _ in range(3):
        stores.step_clock(ALMOST)
        await stores.leases.renew(taken.lease)
    stores.step_clock(ALMOST)
    assert await takes_nothing(stores)
    stores.step_clock(HOUR)

    assert not await takes_nothing(stores)


async def test_a_heartbeat_keeps_a_batch(stores: Stores) -> None:
    leased = await claim(stores, holder=PATIENT)
    stores.step_clock(ALMOST)
    await stores.leases.renew(leased.lease)
    stores.step_clock(ALMOST)

    assert await stores.batches.take_unprepared(OTHER) is None


async def test_a_lease_that_ran_out_is_renewed_as_long_as_nobody_took_it(stores: Stores) -> None:
    await queue(stores)
    taken = await take(stores)
    stores.step_clock(HOUR)
    await stores.leases.renew(taken.lease)

    assert await takes_nothing(stores)


async def test_a_step_under_a_lease_that_ran_out_counts_as_long_as_nobody_took_it(stores: Stores) -> None:
    (delivery,) = await queue(stores)
    begun = await begin(stores)
    stores.step_clock(HOUR)
    await settle(stores, begun, DELIVERED)

    assert (await shown(stores, delivery.id)).outcome == DELIVERED


async def test_what_is_given_back_is_taken_at_once(stores: Stores) -> None:
    (delivery,) = await queue(stores)
    begun = await begin(stores)
    await stores.leases.release(begun.lease)
    await stores.leases.release(begun.lease)
    successor = await take(stores, OTHER)

    assert successor.delivery.id == delivery.id
    assert successor.lease.token > begun.lease.token
    assert successor.delivery == begun.delivery, "it goes on with the attempt under way"


async def test_a_batch_given_back_is_taken_at_once(stores: Stores) -> None:
    leased = await claim(stores)
    await stores.leases.release(leased.lease)
    successor = await stores.batches.take_unprepared(OTHER)

    assert successor is not None
    assert successor.batch == leased.batch


async def test_what_was_given_back_stays_so_when_a_heartbeat_comes_late(stores: Stores) -> None:
    await queue(stores)
    taken = await take(stores)
    await stores.leases.release(taken.lease)
    await stores.leases.renew(taken.lease)

    assert not await takes_nothing(stores)


async def test_who_was_succeeded_gives_nothing_back(stores: Stores) -> None:
    await queue(stores)
    late = await take(stores)
    stores.let_leases_run_out()
    await take(stores, OTHER)
    await stores.leases.release(late.lease)

    assert await takes_nothing(stores)


async def test_settling_gives_the_lease_back(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    await settle(stores, begun, DELIVERED, retry_in=TICK)
    stores.step_clock(TICK)

    assert (await take(stores, OTHER)).delivery.attempt == 2


async def test_of_those_who_succeed_at_once_one_does(stores: Stores) -> None:
    await queue(stores)
    await begin(stores)
    stores.let_leases_run_out()
    taken = await asyncio.gather(*(stores.deliveries.take(OTHER) for _ in range(6)))

    assert sum(one is not None for one in taken) == 1


@pytest.mark.parametrize("of", Leased)
async def test_a_lease_on_what_is_not_there_is_lost(stores: Stores, of: Leased) -> None:
    lease = Lease(of, 99, 1, ONE)
    await stores.leases.release(lease)

    with pytest.raises(LeaseLostError):
        await stores.leases.renew(lease)


async def test_a_lease_on_one_kind_of_thing_is_none_on_another_of_the_same_id(stores: Stores) -> None:
    written = await queue(stores, (0, 0), (1, 0), lane_count=2)
    batch_id = written[0].batch_id
    assert batch_id == written[1].id
    stores.let_leases_run_out()
    taken = [await take(stores), await take(stores)][1].lease
    leased = await claim(stores)
    wrong = Lease(Leased.BATCH, batch_id, taken.token, ONE)

    with pytest.raises(LeaseLostError):
        await stores.leases.renew(wrong)
    with pytest.raises(LeaseLostError):
        await stores.batches.hindered(taken, HOUR)
    with pytest.raises(LeaseLostError):
        await stores.deliveries.begun(Lease(Leased.DELIVERY, written[1].id, leased.lease.token, ONE), 1)
    assert await stores.deliveries.of_batches([batch_id]) == tuple(written)
