"""What was not accepted is known by name, of the attempt that tells; the twin and PostgreSQL agree."""

from tests.contract.stores import (
    DELIVERED,
    FAILED,
    OTHER,
    PARTIAL,
    SOON,
    Stores,
    begin,
    end_next,
    queue,
    reject,
    settle,
    take,
)

from globeco_allocation.domain import RecordVerdict, Reject
from globeco_allocation.domain.delivery import Knowledge
from globeco_allocation.ports.deliveries import LeasedDelivery


async def record(stores: Stores, begun: LeasedDelivery, *numbers: int, first: bool = True) -> None:
    rejects = [reject(number) for number in numbers]
    await stores.deliveries.rejected(begun.lease, begun.delivery.attempts, rejects, first=first)


async def listed(stores: Stores, delivery_id: int) -> list[str]:
    return [one.source_id for one in await stores.deliveries.rejects(delivery_id, limit=100)]


async def of_attempt(stores: Stores, delivery_id: int, attempt: int) -> list[str]:
    async with stores.deliveries.rejects_of_attempt(delivery_id, attempt) as rejects:
        return [one.source_id async for one in rejects]


async def next_attempt(stores: Stores, begun: LeasedDelivery, knowledge: Knowledge) -> LeasedDelivery:
    await settle(stores, begun, FAILED, knowledge=knowledge, retry_in=SOON)
    stores.step_clock(SOON)
    return await begin(stores)


async def test_rejects_come_back_as_they_were_up_to_the_limit(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    every = [Reject(f"AC{number}", verdict, "東京") for number, verdict in enumerate(RecordVerdict, 1)]
    await stores.deliveries.rejected(begun.lease, 1, every[4:], first=True)
    await stores.deliveries.rejected(begun.lease, 1, every[:2], first=False)
    await stores.deliveries.rejected(begun.lease, 1, [], first=False)
    found = await stores.deliveries.rejects(begun.delivery.id, limit=100)

    assert found == (*every[4:], *every[:2])
    assert await stores.deliveries.rejects(begun.delivery.id, limit=2) == found[:2]
    assert await stores.deliveries.rejects(begun.delivery.id, limit=0) == ()


async def test_a_successor_begins_the_list_anew(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    await record(stores, begun, 1, 2, 3)
    stores.let_leases_run_out()
    successor = await take(stores, OTHER)
    await record(stores, successor, 1)
    await record(stores, successor, 4, first=False)

    assert await listed(stores, begun.delivery.id) == ["AC1", "AC4"]


async def test_a_successor_that_finds_none_empties_the_list(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    await record(stores, begun, 1, 2, 3)
    await record(stores, begun)

    assert await listed(stores, begun.delivery.id) == []


async def test_rejects_are_those_of_the_attempt_begun_last(stores: Stores) -> None:
    await queue(stores)
    first = await begin(stores)
    await record(stores, first, 1)
    second = await next_attempt(stores, first, Knowledge(1))
    await record(stores, second, 2)

    assert await listed(stores, second.delivery.id) == ["AC2"]


async def test_until_an_attempt_tells_of_rejects_the_earlier_ones_are_shown(stores: Stores) -> None:
    await queue(stores)
    first = await begin(stores)
    await record(stores, first, 1)
    second = await next_attempt(stores, first, Knowledge(1))
    while_under_way = await listed(stores, first.delivery.id)
    third = await next_attempt(stores, second, Knowledge(1, cut_offs=1))

    assert while_under_way == ["AC1"]
    assert await listed(stores, third.delivery.id) == ["AC1"]


async def test_an_attempt_that_told_of_none_clears_the_list(stores: Stores) -> None:
    await queue(stores)
    first = await begin(stores)
    await record(stores, first, 1)
    second = await next_attempt(stores, first, Knowledge(1))
    await settle(stores, second, DELIVERED, knowledge=Knowledge(2))

    assert await listed(stores, second.delivery.id) == []
    assert await stores.deliveries.reject_of(second.delivery.id, "AC1") is None


async def test_rejects_that_nothing_is_to_be_learnt_from_are_shown_all_the_same(stores: Stores) -> None:
    await queue(stores)
    first = await begin(stores)
    await record(stores, first, 1)
    second = await next_attempt(stores, first, Knowledge(1))
    await record(stores, second, 2)
    await settle(stores, second, FAILED, knowledge=Knowledge(1, cut_offs=1))

    assert await listed(stores, second.delivery.id) == ["AC2"]
    assert await of_attempt(stores, second.delivery.id, 1) == ["AC1"]
    assert await of_attempt(stores, second.delivery.id, 2) == ["AC2"]


async def test_what_is_known_of_the_records_outlives_a_resend(stores: Stores) -> None:
    await queue(stores)
    ended = await end_next(stores, PARTIAL, reject(1), reject(2))
    await stores.deliveries.resend(ended.batch_id, "operator")
    begun = await begin(stores)

    assert begun.delivery.attempts == 2
    assert await of_attempt(stores, ended.id, begun.delivery.knowledge.attempt) == ["AC1", "AC2"]
    assert await listed(stores, ended.id) == ["AC1", "AC2"]


async def test_one_record_is_looked_up_where_the_list_is(stores: Stores) -> None:
    await queue(stores)
    first = await begin(stores)
    await record(stores, first, 1, 2)
    before = await stores.deliveries.reject_of(first.delivery.id, "AC2")
    second = await next_attempt(stores, first, Knowledge(1))
    await record(stores, second, 3)

    assert before == reject(2)
    assert await stores.deliveries.reject_of(first.delivery.id, "AC3") == reject(3)
    assert await stores.deliveries.reject_of(first.delivery.id, "AC2") is None
    assert await stores.deliveries.reject_of(first.delivery.id, "AC\0") is None


async def test_every_reject_of_an_attempt_is_streamed(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    for start in range(1, 5_001, 500):
        await record(stores, begun, *range(start, start + 500), first=start == 1)
    streamed = await of_attempt(stores, begun.delivery.id, 1)

    assert streamed == [f"AC{number}" for number in range(1, 5_001)]
    assert await of_attempt(stores, begun.delivery.id, 2) == []
    for _ in range(12):  # more often than there are connections
        async with stores.deliveries.rejects_of_attempt(begun.delivery.id, 1) as rejects:
            assert await anext(rejects) == reject(1)


async def test_no_deliverys_rejects_are_anothers(stores: Stores) -> None:
    await queue(stores, (0, 0), (1, 0), lane_count=2)
    first, second = await begin(stores), await begin(stores)
    await record(stores, first, 1)
    await record(stores, second, 2)

    assert await listed(stores, first.delivery.id) == ["AC1"]
    assert await stores.deliveries.reject_of(first.delivery.id, "AC2") is None


async def test_words_of_others_that_no_text_column_can_hold_are_kept_readable(stores: Stores) -> None:
    await queue(stores)
    begun = await begin(stores)
    odd = Reject("a\0", RecordVerdict.UNKNOWN, f"a\0b{chr(0xD800)}c")
    await stores.deliveries.rejected(begun.lease, 1, [odd], first=True)

    assert await stores.deliveries.rejects(begun.delivery.id, limit=1) == (
        Reject("a\ufffd", RecordVerdict.UNKNOWN, "a\ufffdb?c"),
    )
