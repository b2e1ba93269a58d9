"""Replicas that cannot work, databases that are away, and how much of it is told."""

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict
from tests.dispatch.cluster import QUICK, Cluster, until

from globeco_allocation.adapters.memory.files import MemoryFiles
from globeco_allocation.domain.delivery import DeliveryStatus
from globeco_allocation.domain.errors import CliNotStartedError, StoreUnavailableError
from globeco_allocation.entrypoints import logs


def of(lines: Sequence[EventDict], *events: str) -> list[object]:
    return [one["event"] for one in lines if one["event"] in events]


@pytest.mark.parametrize("part", ["files", "accounting"])
async def test_a_replica_that_cannot_work_leaves_it_alone_says_so_once_and_heals(
    cluster: Cluster, part: str
) -> None:
    await cluster.keep()
    cluster.deliveries.looks = 0
    await cluster.left_written()
    if part == "files":
        cluster.files.failure = "the directory is read-only"
    else:
        cluster.accounting.unusable = "no lock can be held here"
    with capture_logs() as lines:
        async with cluster.replica(QUICK) as replica:
            await until(lambda: cluster.files.checks > 10)
            looks, fit, told = cluster.deliveries.looks, replica.metric("fit_to_deliver"), list(lines)
            hindrance = replica.dispatcher.hindrance
            cluster.files.failure = cluster.accounting.unusable = ""
            await until(cluster.all_delivered)
            fit_again = replica.metric("fit_to_deliver")

    assert (looks, fit, fit_again) == (0, 0, 1)
    assert of(told, logs.REPLICA_DOES_NOT_DELIVER) == [logs.REPLICA_DOES_NOT_DELIVER]
    assert "read-only" in hindrance or "no lock" in hindrance
    assert replica.dispatcher.hindrance == ""
    assert of(lines[len(told) :], logs.REPLICA_DOES_NOT_DELIVER, logs.REPLICA_DELIVERS) == [
        logs.REPLICA_DELIVERS
    ]


async def test_another_replica_takes_over_from_one_that_cannot_work(cluster: Cluster) -> None:
    class NoAccounting:
        """This machine alone cannot run the CLI."""

        async def check(self) -> None:
            raise CliNotStartedError("no lock can be held here")

    usable = cluster.accounting
    cluster.accounting = NoAccounting()  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    async with cluster.replica(QUICK) as unfit:
        cluster.accounting = usable
        await cluster.keep()
        report = await unfit.sends.send("a test", wait_seconds=0.6)
        async with cluster.replica(QUICK):
            await until(cluster.all_delivered)

    assert report.status == "processing"
    assert report.message == (
        "The file is written. This replica delivers nothing for now: no lock can be held here."
    )


async def test_an_outage_of_the_database_is_told_once_and_the_work_goes_on(cluster: Cluster) -> None:
    await cluster.keep()
    await cluster.left_written()
    looks = 0

    def count_looks() -> bool:
        nonlocal looks
        looks += 1
        return True

    cluster.database.available = False
    with capture_logs() as lines:
        async with cluster.replica(QUICK, may_begin=count_looks):
            await until(lambda: looks > 20)
            told = list(lines)
            cluster.database.available = True
            await until(cluster.all_delivered)

    assert [one["event"] for one in told] == [logs.DISPATCH_HELD_UP]
    assert of(lines, logs.DISPATCH_HELD_UP, logs.DISPATCH_GOES_ON) == [
        logs.DISPATCH_HELD_UP,
        logs.DISPATCH_GOES_ON,
    ]


async def test_a_database_that_goes_away_while_a_run_goes_on_costs_no_second_run(cluster: Cluster) -> None:
    cluster.accounting.gate.clear()
    async with cluster.replica(QUICK) as replica:
        await cluster.keep()
        await cluster.left_written()
        await until(lambda: cluster.accounting.runs)
        cluster.database.available = False
        cluster.accounting.gate.set()
        await until(lambda: replica.metric('dispatch_steps_total{result="store_away",step="deliver"}'))
        cluster.database.available = True
        cluster.let_leases_run_out()
        await until(cluster.all_delivered)

    assert len(cluster.accounting.runs) == 1
    assert cluster.accounting.booked_twice == set()


async def test_a_step_that_the_database_breaks_off_is_not_repeated_without_a_pause(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster
) -> None:
    """One statement fails while the others do not: each poll tries once more."""
    failed = 0

    async def plan(*_: object) -> object:
        nonlocal failed
        failed += 1
        raise StoreUnavailableError("the statement took too long")

    monkeypatch.setattr(cluster.batches, "plan", plan)
    await cluster.keep()
    async with cluster.replica() as replica:  # which polls once an hour
        replica.dispatcher.write(await replica.send_batch.claim("a test"))
        await until(lambda: replica.metric('dispatch_steps_total{result="store_away",step="write"}'))
        async with cluster.replica(QUICK):
            await until(lambda: failed > 1)  # the lease was given back

        assert replica.metric('dispatch_steps_total{result="store_away",step="write"}') == 1


async def test_a_disk_that_fills_up_in_the_middle_is_told_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster
) -> None:
    monkeypatch.setattr(MemoryFiles, "check", _pass)
    await cluster.keep()
    with capture_logs() as lines:
        async with cluster.replica() as replica:
            work = await replica.send_batch.claim("a test")
            cluster.files.failure = "no space is left"
            replica.dispatcher.write(work)
            await until(lambda: replica.metric('dispatch_steps_total{result="held_up",step="write"}'))

    (delivery,) = await cluster.of_batch(work.batch.id)
    told = [one for one in lines if one["event"] == logs.FILE_NOT_WRITTEN]
    assert delivery.status is DeliveryStatus.CLAIMED
    assert [one["reason"] for one in told] == [delivery.error]
    assert "no space is left" in delivery.error


async def _pass(_: MemoryFiles) -> None:
    pass
