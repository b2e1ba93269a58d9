"""A batch is counted, and its executions are the rows of its files; the twin and PostgreSQL agree."""

from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest
from tests.contract.stores import ONE, Stores

from globeco_allocation.adapters.postgres import batch_contents
from globeco_allocation.domain import (
    AllocatedExecution,
    Batch,
    ClaimTerms,
    Execution,
    Extent,
    FileQuantity,
    lane_of,
    render,
    row_formatter,
)
from globeco_allocation.ports.batches import Batches, LaneRows

Allocate = Callable[..., AllocatedExecution]

A, B = "A", next(one for one in "BCDEFGH" if lane_of(one, 2) != lane_of("A", 2))


@pytest.fixture(autouse=True)
def short_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a few rows at a time, as if windows were long."""
    monkeypatch.setattr(batch_contents, "_IDS_AT_ONCE", 100)


async def batch_of(
    stores: Stores, executions: Sequence[AllocatedExecution], terms: ClaimTerms | None = None
) -> Batch:
    await stores.executions.keep(executions)
    terms = terms or ClaimTerms()
    return (await stores.batches.claim(await stores.batches.last_start(), terms, ONE)).batch


async def rows_in(batches: Batches, batch: Batch) -> list[LaneRows]:
    async with batches.rows(batch, await batches.extent(batch)) as rows:
        return [some async for some in rows]


async def executions_in(batches: Batches, batch: Batch) -> list[Execution]:
    async with batches.executions(batch) as executions:
        return [one async for one in executions]


async def test_a_batch_is_counted_by_its_lanes(stores: Stores, allocate: Allocate) -> None:
    await batch_of(stores, [allocate(1, A)])
    kept = [allocate(key, A if key % 3 else B) for key in range(2, 302)]
    batch = await batch_of(stores, kept, ClaimTerms(lane_count=2))
    await stores.executions.keep([allocate(400, A)])

    extent = await stores.batches.extent(batch)

    assert extent == Extent({lane_of(A, 2): 200, lane_of(B, 2): 100}, first_id=2, last_id=301)


async def test_a_batch_of_one_lane_is_counted_as_a_whole(stores: Stores, allocate: Allocate) -> None:
    batch = await batch_of(stores, [allocate(key, f"P-{key}") for key in range(1, 302)])

    assert await stores.batches.extent(batch) == Extent({0: 301}, first_id=1, last_id=301)


@pytest.mark.parametrize("lane_count", [1, 4])
async def test_an_empty_batch_has_no_rows(stores: Stores, allocate: Allocate, lane_count: int) -> None:
    await batch_of(stores, [allocate(1)])
    batch = await batch_of(stores, [], ClaimTerms(lane_count=lane_count))

    assert await stores.batches.extent(batch) == Extent({})
    assert await rows_in(stores.batches, batch) == []


@pytest.mark.parametrize("lane_count", [1, 2])
@pytest.mark.parametrize("file_max_records", [1, 40, 2_000, 10_000])
async def test_the_rows_of_a_lane_are_its_executions_part_by_part(
    stores: Stores, allocate: Allocate, lane_count: int, file_max_records: int
) -> None:
    terms = ClaimTerms(lane_count=lane_count, file_max_records=file_max_records)
    batch = await batch_of(stores, [allocate(key, A if key % 3 else B) for key in range(1, 3_001)], terms)
    lanes: dict[int, list[Execution]] = {}
    for one in await executions_in(stores.batches, batch):
        lanes.setdefault(lane_of(one.portfolio_id or "", lane_count), []).append(one)

    rows = await rows_in(stores.batches, batch)

    for lane, executions in lanes.items():
        first = 0
        for some in (one.rows for one in rows if one.lane == lane):
            end = first + some.record_count
            assert some == render(executions[first:end], row_formatter(FileQuantity.ORDERED))
            assert first // file_max_records == (end - 1) // file_max_records
            first = end
        assert first == len(executions)


@pytest.mark.parametrize("quantity", FileQuantity)
async def test_rows_have_the_quantity_of_the_batchs_terms(
    stores: Stores, allocate: Allocate, quantity: FileQuantity
) -> None:
    execution = allocate(1, quantity=Decimal(1000), quantity_filled=Decimal(640))
    batch = await batch_of(stores, [execution], ClaimTerms(file_quantity=quantity))

    (rows,) = await rows_in(stores.batches, batch)

    assert rows.rows.text.split(b",")[4] == (
        b"1000.00000000" if quantity is FileQuantity.ORDERED else b"640.00000000"
    )


@pytest.mark.parametrize("lane_count", [1, 2])
async def test_a_line_feed_in_a_field_ends_no_row(
    stores: Stores, allocate: Allocate, lane_count: int
) -> None:
    odd = ['a\n"\nb', '"', '\n,"', '""\n', "plain"]
    kept = [allocate(key, odd[key % 5], security_id=odd[key % 3]) for key in range(1, 251)]
    batch = await batch_of(stores, kept, ClaimTerms(lane_count=lane_count, file_max_records=7))

    rows = await rows_in(stores.batches, batch)

    assert sum(some.rows.record_count for some in rows) == 250
    assert {some.rows.record_count for some in rows} <= set(range(1, 8))


async def test_a_reader_may_leave_early_and_begin_again(stores: Stores, allocate: Allocate) -> None:
    batch = await batch_of(stores, [allocate(key) for key in range(1, 501)])
    extent = await stores.batches.extent(batch)

    for _ in range(12):  # more often than there are connections
        async with stores.batches.rows(batch, extent) as rows:
            assert (await anext(rows)).rows.first_id == 1
    assert sum(some.rows.record_count for some in await rows_in(stores.batches, batch)) == 500


async def test_two_batches_are_read_side_by_side(stores: Stores, allocate: Allocate) -> None:
    first = await batch_of(stores, [allocate(key) for key in range(1, 501)])
    second = await batch_of(stores, [allocate(key) for key in range(501, 1_001)])
    batches = stores.batches

    async with (
        batches.rows(first, await batches.extent(first)) as left,
        batches.rows(second, await batches.extent(second)) as right,
    ):
        ids = [(await anext(left)).rows.first_id, (await anext(right)).rows.first_id]

    assert ids == [1, 501]


async def test_a_readers_own_error_passes_through(stores: Stores, allocate: Allocate) -> None:
    batch = await batch_of(stores, [allocate(key) for key in range(1, 501)])
    extent = await stores.batches.extent(batch)

    async def write_onto_a_full_disk() -> None:
        async with stores.batches.rows(batch, extent) as rows:
            async for _ in rows:
                raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await write_onto_a_full_disk()
    assert sum(some.rows.record_count for some in await rows_in(stores.batches, batch)) == 500
