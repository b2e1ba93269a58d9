"""Every execution of a batch is in exactly one file, each portfolio in one lane, however it is cut up."""

import asyncio
import csv
import io
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from globeco_allocation.adapters.memory.batches import MemoryBatches
from globeco_allocation.adapters.memory.clock import MemoryClock
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.deliveries import MemoryDeliveries
from globeco_allocation.adapters.memory.executions import MemoryExecutions
from globeco_allocation.adapters.memory.files import MemoryDraft, MemoryFiles
from globeco_allocation.domain import (
    AllocatedExecution,
    Batch,
    ClaimTerms,
    Delivery,
    DeliveryStatus,
    Extent,
    Holder,
    Lease,
    NewExecution,
    PlannedFile,
    RenderedRows,
    WrittenFile,
    lane_of,
    source_id,
)
from globeco_allocation.domain.use_cases import PrepareBatch
from globeco_allocation.ports.batches import LaneRows, LeasedBatch

PORTFOLIOS = ["A", "B", "C", "D", "E", "with, a comma", 'and "quotes"', "\N{GREEK SMALL LETTER PI}"]
MOMENT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


class InterruptedHereError(Exception):
    """The process ends at this moment."""


@dataclass
class Moments:
    """Ends the process at the moment of this number, which stands before or after a call of a port."""

    until_the_end: int = 0

    def one(self) -> None:
        self.until_the_end -= 1
        if self.until_the_end == 0:
            raise InterruptedHereError


class FragileBatches(MemoryBatches):
    def __init__(self, database: MemoryDatabase, moments: Moments) -> None:
        super().__init__(database)
        self._moments = moments

    async def extent(self, batch: Batch) -> Extent:
        self._moments.one()
        return await super().extent(batch)

    @asynccontextmanager
    async def rows(self, batch: Batch, extent: Extent) -> AsyncGenerator[AsyncIterator[LaneRows]]:
        self._moments.one()
        async with super().rows(batch, extent) as rows:
            yield rows

    async def plan(self, lease: Lease, files: Sequence[PlannedFile]) -> tuple[Delivery, ...]:
        self._moments.one()
        deliveries = await super().plan(lease, files)
        self._moments.one()
        return deliveries

    async def prepared(self, lease: Lease) -> None:
        self._moments.one()
        await super().prepared(lease)
        self._moments.one()


class FragileDeliveries(MemoryDeliveries):
    def __init__(self, database: MemoryDatabase, moments: Moments) -> None:
        super().__init__(database)
        self._moments = moments

    async def written(self, batch_lease: Lease, delivery_id: int, file: WrittenFile) -> None:
        self._moments.one()
        await super().written(batch_lease, delivery_id, file)
        self._moments.one()


class FragileDraft(MemoryDraft):
    moments: Moments

    async def append(self, rows: RenderedRows) -> None:
        self.moments.one()
        await super().append(rows)

    async def publish(self, ending: Callable[[WrittenFile], bytes] | None = None) -> WrittenFile:
        self.moments.one()
        file = await super().publish(ending)
        self.moments.one()
        return file


class FragileFiles(MemoryFiles):
    def __init__(self, moments: Moments) -> None:
        super().__init__()
        self._moments = moments

    @asynccontextmanager
    async def draft(self, name: str, header: bytes) -> AsyncGenerator[FragileDraft]:
        self._moments.one()
        draft = FragileDraft(self, name, header)
        draft.moments = self._moments
        yield draft


class World:
    """A batch of executions that are in these portfolios, one for each."""

    def __init__(self, portfolios: Sequence[str], terms: ClaimTerms) -> None:
        self.clock = MemoryClock(MOMENT)
        self.database = MemoryDatabase(self.clock)
        self.moments = Moments()
        self.batches = FragileBatches(self.database, self.moments)
        self.deliveries = FragileDeliveries(self.database, self.moments)
        self.files = FragileFiles(self.moments)
        self.prepare = PrepareBatch(self.batches, self.deliveries, self.files)
        self._portfolios = portfolios
        self._terms = terms

    async def claim(self) -> LeasedBatch:
        allocated = [
            AllocatedExecution(_report(key), portfolio) for key, portfolio in enumerate(self._portfolios, 1)
        ]
        await MemoryExecutions(self.database).keep(allocated)
        last_start = await self.batches.last_start()
        return await self.batches.claim(last_start, self._terms, Holder("one"))

    async def prepared(self) -> tuple[Delivery, ...]:
        """Claim and prepare the batch."""
        work = await self.claim()
        await self.prepare(work)
        return await self.deliveries.of_batches([work.batch.id])

    def rows(self, delivery: Delivery) -> list[dict[str, str]]:
        text = self.files.contents[delivery.file_name].decode()
        return list(csv.DictReader(io.StringIO(text, newline="")))


def _report(key: int) -> NewExecution:
    return NewExecution(
        execution_service_id=key,
        execution_status="FULL",
        trade_type="BUY",
        destination="ML",
        security_id="68336002fe95851f0a2aeda9",
        ticker="IBM",
        quantity=Decimal(key),
        received_timestamp=MOMENT,
        sent_timestamp=MOMENT,
        quantity_filled=Decimal(key),
        average_price=Decimal("50.125"),
    )


portfolio_lists = st.lists(st.sampled_from(PORTFOLIOS), max_size=25)
all_terms = st.builds(ClaimTerms, lane_count=st.integers(1, 8), file_max_records=st.integers(1, 7))


@given(portfolio_lists, all_terms)
def test_every_execution_is_in_exactly_one_file_and_every_portfolio_in_one_lane(
    portfolios: list[str], terms: ClaimTerms
) -> None:
    world = World(portfolios, terms)
    deliveries = asyncio.run(world.prepared())
    rows = {one.file_name: world.rows(one) for one in deliveries}
    sent = Counter((row["source_id"], row["portfolio_id"]) for each in rows.values() for row in each)

    assert sent == Counter((source_id(key), portfolio) for key, portfolio in enumerate(portfolios, 1))
    assert set(rows) == set(world.files.contents)
    assert len(rows) == len(deliveries)  # no two have one name
    for one in deliveries:
        ids = [int(row["source_id"].removeprefix("AC")) for row in rows[one.file_name]]
        assert ids == sorted(ids)
        assert 1 <= len(ids) <= terms.file_max_records
        assert {lane_of(row["portfolio_id"], terms.lane_count) for row in rows[one.file_name]} == {one.lane}
        assert one.lane_count == terms.lane_count
        assert one.status is DeliveryStatus.WRITTEN
        assert one.file is not None
        assert (one.file.first_id, one.file.last_id) == (ids[0], ids[-1])
        assert one.record_count == one.file.record_count == len(ids)


@given(portfolio_lists, all_terms)
def test_only_the_last_part_of_a_lane_is_short_and_parts_go_on_where_the_one_before_ended(
    portfolios: list[str], terms: ClaimTerms
) -> None:
    deliveries = asyncio.run(World(portfolios, terms).prepared())
    for one, following in pairwise(deliveries):
        if following.lane == one.lane:
            assert following.part == one.part + 1
            assert one.record_count == terms.file_max_records
            assert one.file is not None
            assert following.file is not None
            assert one.file.last_id < following.file.first_id
        else:
            assert (following.lane > one.lane, following.part) == (True, 0)


@given(portfolio_lists, all_terms)
def test_a_file_that_is_gone_is_made_again_byte_for_byte(portfolios: list[str], terms: ClaimTerms) -> None:
    async def scenario() -> None:
        world = World(portfolios, terms)
        deliveries = await world.prepared()
        before = dict(world.files.contents)
        checksums = [await world.prepare.checksum(one) for one in deliveries]
        world.files.contents.clear()
        for one in deliveries:
            await world.prepare.write_again(one)

        assert checksums == [one.file.checksum for one in deliveries if one.file]
        assert world.files.contents == before

    asyncio.run(scenario())


@given(portfolio_lists, all_terms, st.integers(1, 60), st.integers(1, 60))
def test_a_preparation_that_was_interrupted_ends_in_the_same_files(
    portfolios: list[str], terms: ClaimTerms, first: int, second: int
) -> None:
    async def scenario() -> None:
        undisturbed, world = World(portfolios, terms), World(portfolios, terms)
        expected = await undisturbed.prepared()
        work: LeasedBatch | None = await world.claim()
        for moment in (first, second, 0):
            world.moments.until_the_end = moment
            try:
                if work is not None:
                    await world.prepare(work)
            except InterruptedHereError:
                pass
            world.moments.until_the_end = 0
            world.clock.step(timedelta(hours=1))
            work = await world.batches.take_unprepared(Holder("another"))
        deliveries = await world.deliveries.of_batches([expected[0].batch_id] if expected else [])

        assert work is None
        assert world.files.contents == undisturbed.files.contents
        assert [_as_planned(one) for one in deliveries] == [_as_planned(one) for one in expected]

    asyncio.run(scenario())


@pytest.mark.parametrize("lane_count", [1, 3])
def test_more_executions_than_are_read_at_once_are_spread_all_the_same(lane_count: int) -> None:
    portfolios = [PORTFOLIOS[key * key % 7] for key in range(2500)]

    async def scenario() -> None:
        world = World(portfolios, ClaimTerms(lane_count=lane_count, file_max_records=333))
        deliveries = await world.prepared()
        before = dict(world.files.contents)
        sent = [row["source_id"] for one in deliveries for row in world.rows(one)]
        world.files.contents.clear()
        for one in deliveries:
            await world.prepare.write_again(one)

        assert sorted(sent) == sorted(source_id(key) for key in range(1, 2501))
        assert world.files.contents == before

    asyncio.run(scenario())


def _as_planned(one: Delivery) -> Delivery:
    return replace(one, created=MOMENT, written=MOMENT)
