"""The lines of manifests hold the same executions as the files; the twin and PostgreSQL agree to the byte."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.contract.stores import ONE, Stores

from globeco_allocation.adapters.postgres import batch_contents
from globeco_allocation.domain import AllocatedExecution, Batch, ClaimTerms, lane_of
from globeco_allocation.domain.manifest import manifest_row

Allocate = Callable[..., AllocatedExecution]

A, B = "A", next(one for one in "BCDEFGH" if lane_of(one, 2) != lane_of("A", 2))


@pytest.fixture(autouse=True)
def short_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a few rows at a time, as if windows were long."""
    monkeypatch.setattr(batch_contents, "_IDS_AT_ONCE", 100)


async def batch_of(stores: Stores, executions: Sequence[AllocatedExecution], terms: ClaimTerms) -> Batch:
    await stores.executions.keep(executions)
    return (await stores.batches.claim(await stores.batches.last_start(), terms, ONE)).batch


async def lanes_in(stores: Stores, batch: Batch) -> dict[int, bytes]:
    lanes: dict[int, bytes] = {}
    async with stores.batches.manifest_rows(batch, await stores.batches.extent(batch)) as rows:
        async for some in rows:
            lanes[some.lane] = lanes.get(some.lane, b"") + some.rows.text
    return lanes


@pytest.mark.parametrize("lane_count", [1, 2])
@pytest.mark.parametrize("file_max_records", [7, 10_000])
async def test_every_column_is_written_exactly(
    stores: Stores, allocate: Allocate, lane_count: int, file_max_records: int
) -> None:
    odd = ['a\n"\nb', '"', '\n,"', "東京", "plain", '""\n']
    kept = [
        allocate(
            key,
            A if key % 3 else B,
            ticker=odd[key % 6],
            security_id=odd[key % 5],
            limit_price=Decimal("0.00000001") if key % 2 else None,
            quantity=Decimal("9999999999.12345678"),
            last_fill_timestamp=datetime(2026, 3, 2, 15, 0, 0, key * 10, tzinfo=UTC) if key % 4 else None,
            received_timestamp=datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        )
        for key in range(1, 251)
    ]
    terms = ClaimTerms(lane_count=lane_count, file_max_records=file_max_records)
    batch = await batch_of(stores, kept, terms)

    lanes = await lanes_in(stores, batch)

    expected: dict[int, bytes] = {}
    async with stores.batches.executions(batch) as executions:
        async for one in executions:
            lane = lane_of(one.portfolio_id or "", lane_count)
            expected[lane] = expected.get(lane, b"") + manifest_row(one)
    assert lanes == expected
    assert len(lanes) == lane_count


@pytest.mark.parametrize("lane_count", [1, 2])
async def test_no_rows_of_two_parts_come_together(
    stores: Stores, allocate: Allocate, lane_count: int
) -> None:
    terms = ClaimTerms(lane_count=lane_count, file_max_records=40)
    batch = await batch_of(stores, [allocate(key, A if key % 3 else B) for key in range(1, 301)], terms)

    lanes: dict[int, int] = {}
    async with stores.batches.manifest_rows(batch, await stores.batches.extent(batch)) as rows:
        async for some in rows:
            first = lanes.get(some.lane, 0)
            end = lanes[some.lane] = first + some.rows.record_count
            assert first // 40 == (end - 1) // 40
    assert sum(lanes.values()) == 300


async def test_an_empty_batch_has_no_lines(stores: Stores) -> None:
    assert await lanes_in(stores, await batch_of(stores, [], ClaimTerms())) == {}
