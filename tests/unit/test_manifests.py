"""Manifests stand beside files, before them, and describe exactly what is in them."""

import csv
import hashlib
import io
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.files.rows import executions
from tests.unit.delivering import World

from globeco_allocation.domain import (
    Batch,
    ClaimTerms,
    DeliveryStatus,
    Execution,
    FileNotWrittenError,
    FileQuantity,
    NewExecution,
    Window,
    lane_of,
    render,
    row_formatter,
)
from globeco_allocation.domain.delivery import (
    Knowledge,
    Outcome,
    PlannedFile,
    Settlement,
    WrittenFile,
)
from globeco_allocation.domain.manifest import manifest_beginning, manifest_end, manifest_name, manifest_row
from globeco_allocation.domain.manifest_reading import ManifestFaultError, ManifestReader
from globeco_allocation.domain.transaction_file import HEADER, file_name
from globeco_allocation.domain.use_cases import PrepareBatch

NOT_SENT = Settlement(
    outcome=Outcome(DeliveryStatus.FAILED, 0, 0, 3, None, "refused"),
    knowledge=Knowledge(),
    retry_in=timedelta(0),
    tries=1,
)


@pytest.fixture
def world(make_report: Callable[..., NewExecution]) -> World:
    world = World(make_report)
    world.prepare = PrepareBatch(world.batches, world.deliveries, world.files, manifests=True)
    return world


def read(name: str, content: bytes) -> WrittenFile:
    """Read a manifest, and tell what its file is."""
    lines = list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))
    reader = ManifestReader(name)
    reader.begin(lines[:2])
    reader.executions(lines[2:])
    *_, last = content.splitlines(keepends=True)
    return reader.end(hashlib.sha256(content.removesuffix(last)).hexdigest())


async def test_each_file_has_a_manifest_that_tells_what_it_is(world: World) -> None:
    work = await world.claim(7, ClaimTerms(file_max_records=3))
    await world.prepare(work)

    deliveries = await world.deliveries.of_batches([work.batch.id])
    assert len(deliveries) == 3
    for one in deliveries:
        name = manifest_name(one.file_name)
        assert read(name, world.files.contents[name]) == one.file
    assert len(world.files.contents) == 6


async def test_a_file_without_its_manifest_is_not_written(world: World) -> None:
    work = await world.claim(2)
    name = manifest_name(file_name(work.batch))
    world.files.contents[name] = b"of somebody else"

    with pytest.raises(FileNotWrittenError, match="another one with other content has its name"):
        await world.prepare(work)

    (delivery,) = await world.deliveries.of_batches([work.batch.id])
    assert delivery.status is DeliveryStatus.CLAIMED
    assert name in delivery.error
    assert list(world.files.contents) == [name]


async def test_a_manifest_made_again_is_the_same(world: World) -> None:
    work = await world.claim(3)
    await world.prepare(work)
    before = dict(world.files.contents)
    (delivery,) = await world.deliveries.of_batches([work.batch.id])
    del world.files.contents[manifest_name(delivery.file_name)]
    await world.prepare.make_sure_of_the_manifest(delivery)

    assert world.files.contents == before


async def test_a_file_from_before_the_setting_gets_its_manifest_before_it_is_sent(world: World) -> None:
    plain = PrepareBatch(world.batches, world.deliveries, world.files)
    work = await world.claim(3)
    await plain(work)
    (delivery,) = await world.deliveries.of_batches([work.batch.id])
    await plain.make_sure_of_the_manifest(delivery)
    assert len(world.files.contents) == 1

    taken = await world.deliveries.take(work.lease.holder)
    assert taken is not None
    await world.deliver()(taken)

    name = manifest_name(delivery.file_name)
    assert read(name, world.files.contents[name]) == delivery.file


async def test_a_file_is_not_sent_again_beside_a_manifest_that_was_changed(world: World) -> None:
    work = await world.claim(3)
    await world.prepare(work)
    (delivery,) = await world.deliveries.of_batches([work.batch.id])
    name = manifest_name(delivery.file_name)
    taken = await world.deliveries.take(work.lease.holder)
    assert taken is not None
    await world.deliveries.begun(taken.lease, 1)
    await world.deliveries.settled(taken.lease, 1, NOT_SENT)
    world.files.contents[name] += b"changed"
    again = await world.deliveries.take(work.lease.holder)
    assert again is not None

    assert await world.deliver()(again) is None

    hindered = await world.deliveries.get(delivery.id)
    assert hindered is not None
    assert hindered.attempts == 1
    assert f"the file {name} was not written: another one with other content" in hindered.error


async def test_cleaning_up_leaves_the_manifest(world: World) -> None:
    work = await world.claim(3)
    await world.prepare(work)
    (delivery,) = await world.deliveries.of_batches([work.batch.id])
    taken = await world.deliveries.take(work.lease.holder)
    assert taken is not None
    await world.deliver(remove_delivered=True)(taken)

    assert list(world.files.contents) == [manifest_name(delivery.file_name)]


def manifest_of(some: Sequence[Execution], terms: ClaimTerms) -> tuple[str, bytes]:
    """Return the name and content of a manifest of these."""
    ready = [one.ready_to_send_timestamp for one in some if one.ready_to_send_timestamp]
    batch = Batch(7, Window(min(ready), max(ready) + timedelta(seconds=1)), terms)
    planned = PlannedFile(0, 0, file_name(batch), len(some))
    content = manifest_beginning(batch, planned) + b"".join(map(manifest_row, some))
    facts = WrittenFile(len(some), len(content), hashlib.sha256(content).hexdigest(), 1, 1)
    return manifest_name(planned.file_name), content + manifest_end(facts)


@given(count=st.integers(1, 8), quantity=st.sampled_from(FileQuantity), at=st.floats(0, 1))
def test_the_file_made_from_a_manifest_is_the_file_and_no_cut_goes_unseen(
    count: int, quantity: FileQuantity, at: float
) -> None:
    some = executions(count)
    name, content = manifest_of(some, ClaimTerms(file_quantity=quantity))

    rows = render(some, row_formatter(quantity))
    assert read(name, content).byte_count == len(HEADER) + len(rows.text)
    with pytest.raises((ManifestFaultError, csv.Error)):
        read(name, content[: int(at * (len(content) - 2))])


def test_an_execution_of_another_lane_is_a_fault() -> None:
    portfolio = executions(1)[0].portfolio_id or ""
    other = next(count for count in range(2, 9) if lane_of(portfolio, count))
    name, content = manifest_of(executions(1), ClaimTerms())

    with pytest.raises(ManifestFaultError, match=r"its file's name is not its batch's|not of its lane"):
        read(name, content.replace(b",1,1,100000,", f",1,{other},100000,".encode()))
