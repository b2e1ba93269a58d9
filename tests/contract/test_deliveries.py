"""A delivery is recorded step by step, and only in the allowed order; the twin and PostgreSQL agree."""

import asyncio
from datetime import timedelta
from typing import Protocol

import pytest

from globeco_allocation.domain import (
    ClaimTerms,
    DeliveryStatus,
    DeliveryStepError,
    Outcome,
    RecordVerdict,
    Reject,
    WrittenFile,
)
from globeco_allocation.ports.batches import Batches
from globeco_allocation.ports.deliveries import Deliveries

FILE = WrittenFile(record_count=3, byte_count=2**40, checksum="ab" * 32)
DELIVERED = Outcome(DeliveryStatus.DELIVERED, 3, 0, 0, exit_code=0)
PARTIAL = Outcome(DeliveryStatus.PARTIAL, 2, 1, 0, exit_code=0, error="2 of 3 records booked")
FAILED = Outcome(DeliveryStatus.FAILED, 0, 0, 3, exit_code=None, error="killed past its time limit")


class Stores(Protocol):
    @property
    def batches(self) -> Batches: ...

    @property
    def deliveries(self) -> Deliveries: ...


async def claim_batch(stores: Stores) -> int:
    return (await stores.batches.claim(await stores.batches.last_start(), ClaimTerms())).id


async def claimed(stores: Stores) -> int:
    batch_id = await claim_batch(stores)
    return (await stores.deliveries.claimed(batch_id, f"transactions_{batch_id}.csv")).id


async def written(stores: Stores) -> int:
    delivery_id = await claimed(stores)
    await stores.deliveries.written(delivery_id, FILE)
    return delivery_id


async def delivering(stores: Stores) -> int:
    delivery_id = await written(stores)
    assert await stores.deliveries.started(delivery_id) == 1
    return delivery_id


async def test_a_delivery_goes_from_claimed_to_its_end(stores: Stores) -> None:
    batch_id = await claim_batch(stores)
    delivery = await stores.deliveries.claimed(batch_id, "a.csv")
    seen = [delivery]
    await stores.deliveries.written(delivery.id, FILE)
    seen += await stores.deliveries.of_batch(batch_id)
    attempt = await stores.deliveries.started(delivery.id)
    seen += await stores.deliveries.of_batch(batch_id)
    await stores.deliveries.settled(delivery.id, PARTIAL)
    seen += await stores.deliveries.of_batch(batch_id)

    assert attempt == 1
    assert [one.status for one in seen] == ["claimed", "written", "delivering", "partial"]
    assert [one.file for one in seen] == [None, FILE, FILE, FILE]
    assert [one.attempts for one in seen] == [0, 0, 1, 1]
    assert [one.outcome for one in seen] == [None, None, None, PARTIAL]
    assert {(one.id, one.batch_id, one.file_name) for one in seen} == {(delivery.id, batch_id, "a.csv")}
    assert delivery.created.utcoffset() == timedelta(0)


async def test_claiming_a_file_again_finds_the_same_delivery(stores: Stores) -> None:
    batch_id = await claim_batch(stores)
    first = await stores.deliveries.claimed(batch_id, "a.csv")
    await stores.deliveries.written(first.id, FILE)

    again = await asyncio.gather(*(stores.deliveries.claimed(batch_id, "a.csv") for _ in range(4)))

    assert {(one.id, one.status) for one in again} == {(first.id, DeliveryStatus.WRITTEN)}


async def test_those_who_claim_a_file_at_once_find_one_delivery(stores: Stores) -> None:
    batch_id = await claim_batch(stores)

    found = await asyncio.gather(*(stores.deliveries.claimed(batch_id, "a.csv") for _ in range(6)))

    assert len({one.id for one in found}) == 1
    assert len(await stores.deliveries.of_batch(batch_id)) == 1


async def test_a_file_name_belongs_to_one_batch(stores: Stores) -> None:
    first, second = await claim_batch(stores), await claim_batch(stores)
    await stores.deliveries.claimed(first, "a.csv")

    with pytest.raises(DeliveryStepError):
        await stores.deliveries.claimed(second, "a.csv")
    assert await stores.deliveries.of_batch(second) == ()


@pytest.mark.parametrize("outcome", [DELIVERED, PARTIAL, FAILED], ids=lambda one: one.status)
async def test_an_outcome_comes_back_as_it_was_settled(stores: Stores, outcome: Outcome) -> None:
    delivery_id = await delivering(stores)
    await stores.deliveries.settled(delivery_id, outcome)
    batch_id = await last_batch_id(stores)

    assert [one.outcome for one in await stores.deliveries.of_batch(batch_id)] == [outcome]


async def test_writing_and_settling_may_be_recorded_again(stores: Stores) -> None:
    delivery_id = await claimed(stores)
    await stores.deliveries.written(delivery_id, FILE)
    await stores.deliveries.written(delivery_id, FILE)
    await stores.deliveries.started(delivery_id)
    await stores.deliveries.settled(delivery_id, FAILED)
    await stores.deliveries.settled(delivery_id, FAILED)

    with pytest.raises(DeliveryStepError):
        await stores.deliveries.settled(delivery_id, DELIVERED)


async def test_another_file_is_never_recorded_over_a_written_one(stores: Stores) -> None:
    delivery_id = await written(stores)

    with pytest.raises(DeliveryStepError):
        await stores.deliveries.written(delivery_id, WrittenFile(3, 2**40, "cd" * 32))


@pytest.mark.parametrize("outcome", [DELIVERED, PARTIAL], ids=lambda one: one.status)
async def test_what_was_judged_for_good_is_not_started_again(stores: Stores, outcome: Outcome) -> None:
    delivery_id = await delivering(stores)
    await stores.deliveries.settled(delivery_id, outcome)

    with pytest.raises(DeliveryStepError):
        await stores.deliveries.started(delivery_id)


async def test_a_failed_delivery_is_started_again_as_its_next_attempt(stores: Stores) -> None:
    delivery_id = await delivering(stores)
    await stores.deliveries.settled(delivery_id, FAILED)

    assert await stores.deliveries.started(delivery_id) == 2
    (delivery,) = await stores.deliveries.of_batch(await last_batch_id(stores))
    assert delivery.outcome is None
    await stores.deliveries.settled(delivery_id, DELIVERED)


async def test_of_those_who_start_a_delivery_at_once_one_may(stores: Stores) -> None:
    delivery_id = await written(stores)

    answers = await asyncio.gather(
        *(stores.deliveries.started(delivery_id) for _ in range(5)), return_exceptions=True
    )

    assert [answer for answer in answers if not isinstance(answer, DeliveryStepError)] == [1]


async def test_steps_out_of_order_are_refused_and_change_nothing(stores: Stores) -> None:
    delivery_id = await claimed(stores)

    with pytest.raises(DeliveryStepError):
        await stores.deliveries.started(delivery_id)
    with pytest.raises(DeliveryStepError):
        await stores.deliveries.settled(delivery_id, DELIVERED)
    with pytest.raises(DeliveryStepError):
        await stores.deliveries.rejected(delivery_id, 0, [reject(1)])
    (delivery,) = await stores.deliveries.of_batch(await last_batch_id(stores))
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.CLAIMED, 0)


async def test_a_delivery_that_is_not_there_takes_no_step(stores: Stores) -> None:
    with pytest.raises(DeliveryStepError):
        await stores.deliveries.written(99, FILE)
    with pytest.raises(DeliveryStepError):
        await stores.deliveries.started(99)
    with pytest.raises(DeliveryStepError):
        await stores.deliveries.settled(99, DELIVERED)
    with pytest.raises(DeliveryStepError):
        await stores.deliveries.rejected(99, 1, [reject(1)])
    assert await stores.deliveries.rejects(99, limit=5) == ()


async def test_rejects_come_back_in_their_order_up_to_the_limit(stores: Stores) -> None:
    delivery_id = await delivering(stores)
    await stores.deliveries.rejected(delivery_id, 1, [reject(3), reject(1)])
    await stores.deliveries.rejected(delivery_id, 1, [reject(2)])

    assert await stores.deliveries.rejects(delivery_id, limit=10) == (reject(3), reject(1), reject(2))
    assert await stores.deliveries.rejects(delivery_id, limit=2) == (reject(3), reject(1))


async def test_rejects_are_those_of_the_last_attempt(stores: Stores) -> None:
    delivery_id = await delivering(stores)
    await stores.deliveries.rejected(delivery_id, 1, [reject(1)])
    await stores.deliveries.settled(delivery_id, FAILED)
    attempt = await stores.deliveries.started(delivery_id)
    await stores.deliveries.rejected(delivery_id, attempt, [reject(2)])

    assert await stores.deliveries.rejects(delivery_id, limit=10) == (reject(2),)
    with pytest.raises(DeliveryStepError):
        await stores.deliveries.rejected(delivery_id, 1, [reject(3)])


async def test_words_that_no_text_column_can_hold_are_kept_readable(stores: Stores) -> None:
    delivery_id = await delivering(stores)
    await stores.deliveries.rejected(
        delivery_id, 1, [Reject("", RecordVerdict.UNKNOWN, f"a\0b{chr(0xD800)}c")]
    )

    assert await stores.deliveries.rejects(delivery_id, limit=1) == (
        Reject("", RecordVerdict.UNKNOWN, "a\ufffdb?c"),
    )


@pytest.mark.parametrize("batch_id", [99, 0, -1, 2**31, 10**40])
async def test_a_batch_that_is_not_there_has_no_deliveries(stores: Stores, batch_id: int) -> None:
    assert await stores.deliveries.of_batch(batch_id) == ()


def reject(number: int) -> Reject:
    return Reject(f"AC{number}", RecordVerdict.REFUSED, f"price: {number} is too high, 東京")


async def last_batch_id(stores: Stores) -> int:
    return (await claim_batch(stores)) - 1


async def test_why_a_step_could_not_be_taken_is_kept_until_it_is(stores: Stores) -> None:
    batch_id = await claim_batch(stores)
    delivery = await stores.deliveries.claimed(batch_id, "a.csv")
    await stores.deliveries.hindered(delivery.id, "no space is left")
    (hindered,) = await stores.deliveries.of_batch(batch_id)
    await stores.deliveries.written(delivery.id, FILE)
    (written_now,) = await stores.deliveries.of_batch(batch_id)

    assert (hindered.status, hindered.error) == (DeliveryStatus.CLAIMED, "no space is left")
    assert (written_now.status, written_now.error) == (DeliveryStatus.WRITTEN, "")


async def test_the_error_of_an_ended_delivery_is_its_outcomes(stores: Stores) -> None:
    batch_id = await claim_batch(stores)
    delivery = await stores.deliveries.claimed(batch_id, "a.csv")
    await stores.deliveries.written(delivery.id, FILE)
    await stores.deliveries.hindered(delivery.id, "no turn")
    await stores.deliveries.started(delivery.id)
    (begun,) = await stores.deliveries.of_batch(batch_id)
    await stores.deliveries.settled(delivery.id, PARTIAL)
    (ended,) = await stores.deliveries.of_batch(batch_id)

    assert (begun.error, ended.error) == ("", PARTIAL.error)
    with pytest.raises(DeliveryStepError):
        await stores.deliveries.hindered(delivery.id, "too late")
