"""The end of a replica: runs are left alone, and others go on at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs
from tests.dispatch.cluster import QUICK, Cluster, several, until

from globeco_allocation.adapters.memory.files import MemoryDraft
from globeco_allocation.domain.delivery import DeliveryStatus
from globeco_allocation.domain.lease import Holder
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.sends import SendRefusedError
from globeco_allocation.ports.deliveries import LeasedDelivery


async def test_a_run_is_left_alone_and_its_successor_waits_for_no_lease(cluster: Cluster) -> None:
    cluster.accounting.gate.clear()
    await cluster.keep()
    await cluster.left_written()
    async with asyncio.timeout(5):
        async with cluster.replica():
            await until(lambda: cluster.accounting.runs)
        async with cluster.replica():  # the clock stands still: no lease has run out
            cluster.accounting.gate.set()
            await until(cluster.all_delivered)

    assert [attempt for _, attempt in cluster.accounting.runs] == [1]


async def test_what_is_leased_in_the_last_moment_is_given_back(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster
) -> None:
    """The database answers late: what it leased must not stay leased to a process that is gone."""
    await cluster.keep()
    await cluster.left_written()
    take = cluster.deliveries.take
    may_answer, asked = asyncio.Event(), asyncio.Event()

    async def late_take(holder: Holder) -> LeasedDelivery | None:
        taken = await take(holder)
        asked.set()
        await may_answer.wait()
        return taken

    monkeypatch.setattr(cluster.deliveries, "take", late_take)
    async with cluster.replica():
        await asked.wait()
        asyncio.get_running_loop().call_later(0.01, may_answer.set)
    monkeypatch.undo()
    async with cluster.replica():
        await until(cluster.all_delivered)


async def test_a_database_that_does_not_answer_holds_up_the_end_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster
) -> None:
    asked = asyncio.Event()

    async def never(_: Holder) -> LeasedDelivery | None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(cluster.deliveries, "take", never)
    async with asyncio.timeout(5):
        async with cluster.replica(grace_seconds=0.05):
            await asked.wait()


@pytest.mark.parametrize("grace", [1.0, 0.0], ids=["enough", "too little"])
async def test_a_file_that_is_being_written_gets_its_grace(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster, grace: float
) -> None:
    begun, may_go_on = asyncio.Event(), asyncio.Event()
    draft = cluster.files.draft

    @asynccontextmanager
    async def slow_draft(name: str, header: bytes) -> AsyncGenerator[MemoryDraft]:
        async with draft(name, header) as one:
            begun.set()
            await may_go_on.wait()
            yield one

    monkeypatch.setattr(cluster.files, "draft", slow_draft)
    await cluster.keep()
    async with cluster.replica(grace_seconds=grace) as replica:
        replica.dispatcher.write(await replica.send_batch.claim("a test"))
        await begun.wait()
        if grace:
            asyncio.get_running_loop().call_later(0.01, may_go_on.set)
    at_the_end = cluster.statuses()
    may_go_on.set()
    async with cluster.replica():  # the clock stands still: the lease was given back
        await until(cluster.all_delivered)

    assert at_the_end == [DeliveryStatus.WRITTEN if grace else DeliveryStatus.CLAIMED]
    assert cluster.files.open_drafts == 0


async def test_no_step_is_told_as_a_failure_at_the_end() -> None:
    cluster = Cluster(several(lanes=3))
    cluster.accounting.gate.clear()
    await cluster.keep(*(f"P-{number}" for number in range(12)))
    await cluster.left_written()
    with capture_logs() as lines:
        async with cluster.replica(QUICK) as replica:
            await until(lambda: len(cluster.accounting.runs) == 3)
    cluster.accounting.gate.set()

    assert {one["event"] for one in lines} == {logs.ATTEMPT_TAKEN}
    assert replica.metric('dispatch_steps_total{result="left",step="deliver"}') == 3


async def test_after_the_end_nothing_is_taken_any_more(cluster: Cluster) -> None:
    async with cluster.replica(QUICK) as replica:
        await cluster.looked_in_vain()
    looks = cluster.deliveries.looks
    await cluster.keep()
    await cluster.left_written()
    replica.dispatcher.wake()
    with pytest.raises(SendRefusedError):
        await replica.sends.send("a test", wait_seconds=1)

    assert cluster.deliveries.looks == looks
    assert cluster.statuses() == [DeliveryStatus.WRITTEN]
