"""What is due is worked off, whoever began it, in order and side by side."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from tests.dispatch.cluster import NO_POLLS, QUICK, Cluster, Replica, several, until

from globeco_allocation.adapters.memory.accounting import Fault, MemoryAccounting
from globeco_allocation.domain.accounting_run import AccountingRun, RunOrder
from globeco_allocation.domain.delivery import DeliveryStatus, PlannedFile
from globeco_allocation.domain.errors import DeliveryStepError
from globeco_allocation.domain.lane import lane_of
from globeco_allocation.domain.lease import Holder, Lease
from globeco_allocation.domain.retry import RetryTerms
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.send_report import SendStatus
from globeco_allocation.ports.accounting import RunPermit
from globeco_allocation.ports.batches import LeasedBatch
from globeco_allocation.ports.deliveries import LeasedDelivery

PORTFOLIOS = [f"P-{number}" for number in range(12)]


async def claim_and_write(cluster: Cluster, replica: Replica) -> LeasedBatch:
    """What a send does, without waiting for anything."""
    await cluster.keep()
    work = await replica.send_batch.claim("a test")
    replica.dispatcher.write(work)
    return work


async def test_a_send_is_written_and_delivered_without_any_poll(cluster: Cluster) -> None:
    async with cluster.replica(NO_POLLS) as replica:
        await until(lambda: replica.metric("fit_to_deliver"))  # it has looked, and rests for an hour now
        await cluster.keep()
        looks = cluster.deliveries.looks
        async with asyncio.timeout(5):
            report = await replica.sends.send("a test", wait_seconds=3600)

    assert report.status is SendStatus.SUCCESS
    assert cluster.deliveries.looks - looks <= 3  # after the file, after the run; one more may be on its way


async def test_no_step_is_missed_while_a_sender_looks(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster
) -> None:
    """A look that a step overtakes must not end in a rest: the sender is woken by steps, not by the clock."""
    monkeypatch.setattr("globeco_allocation.entrypoints.sends._LOOK_SECONDS", 3600)
    of_batches = cluster.deliveries.of_batches
    async with cluster.replica() as replica:

        async def slow_look(batch_ids: tuple[int, ...]) -> object:
            found = await of_batches(batch_ids)
            if not cluster.all_delivered():
                await until(cluster.all_delivered)  # all steps are taken during this one look
            return found

        monkeypatch.setattr(cluster.deliveries, "of_batches", slow_look)
        await cluster.keep()
        async with asyncio.timeout(5):
            report = await replica.sends.send("a test", wait_seconds=3600)

    assert report.status is SendStatus.SUCCESS


async def test_a_batch_that_is_written_between_two_looks_does_not_pass_for_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster
) -> None:
    """A sender looks at the batch and at its deliveries; all is planned and written in between."""
    looks = 0
    may_be_planned = asyncio.Event()
    get, of_batches, plan = cluster.batches.get, cluster.deliveries.of_batches, cluster.batches.plan

    async def first_or_later(look: Coroutine[Any, Any, object]) -> object:
        nonlocal looks
        looks += 1
        if looks > 1:
            may_be_planned.set()
            await until(cluster.all_delivered)
        return await look

    async def late_plan(lease: Lease, files: Sequence[PlannedFile]) -> object:
        await may_be_planned.wait()
        return await plan(lease, files)

    async def look_at_batch(batch_id: int) -> object:
        return await first_or_later(get(batch_id))

    async def look_at_deliveries(batch_ids: Sequence[int]) -> object:
        return await first_or_later(of_batches(batch_ids))

    monkeypatch.setattr(cluster.batches, "plan", late_plan)
    monkeypatch.setattr(cluster.batches, "get", look_at_batch)
    monkeypatch.setattr(cluster.deliveries, "of_batches", look_at_deliveries)
    await cluster.keep()
    async with cluster.replica() as replica:
        report = await replica.sends.send("a test", wait_seconds=10)

    assert report.status is SendStatus.SUCCESS
    assert report.processed_count == 1


async def test_a_batch_that_a_dead_process_claimed_is_written_and_delivered(cluster: Cluster) -> None:
    await cluster.keep()
    batch_id = await cluster.left_claimed()
    async with cluster.replica(QUICK):
        await cluster.looked_in_vain()
        before = cluster.statuses()
        cluster.let_leases_run_out()
        await until(cluster.all_delivered)

    assert before == []
    assert cluster.statuses(batch_id) == [DeliveryStatus.DELIVERED]


async def test_a_file_that_a_dead_process_wrote_is_delivered_at_once(cluster: Cluster) -> None:
    await cluster.keep()
    await cluster.left_written()
    async with cluster.replica():
        await until(cluster.all_delivered)


async def test_a_delivery_of_a_dead_process_is_carried_on_once_its_lease_has_run_out(
    cluster: Cluster,
) -> None:
    await cluster.keep()
    await cluster.left_written()
    taken = await cluster.left_taken()
    async with cluster.replica(QUICK):
        await cluster.looked_in_vain()
        runs_before = list(cluster.accounting.runs)
        cluster.let_leases_run_out()
        await until(cluster.all_delivered)

    assert runs_before == []
    assert cluster.accounting.runs == [(taken.file_name, 1)]


async def test_an_abandoned_batch_is_in_turn_however_much_of_our_own_there_is_to_write(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster
) -> None:
    await cluster.keep()
    abandoned = await cluster.left_claimed()
    cluster.let_leases_run_out()
    order: list[int] = []
    plan = cluster.batches.plan
    async with cluster.replica() as replica:

        async def plan_and_claim_more(lease: Lease, files: Sequence[PlannedFile]) -> object:
            order.append(lease.id)
            if len(order) < 50 and abandoned not in order:
                await claim_and_write(cluster, replica)  # the queue of our own never runs dry
            return await plan(lease, files)

        monkeypatch.setattr(cluster.batches, "plan", plan_and_claim_more)
        await claim_and_write(cluster, replica)  # nothing was looked for yet
        await until(lambda: abandoned in order)
        await until(cluster.all_delivered)

    assert order[0] != abandoned
    assert len(order) < 50


async def test_lanes_are_delivered_side_by_side_up_to_their_number() -> None:
    cluster = Cluster(several(lanes=3))
    cluster.accounting.gate.clear()
    async with cluster.replica() as replica:
        for _ in range(2):
            await cluster.keep(*PORTFOLIOS)
            replica.dispatcher.write(await replica.send_batch.claim("a test"))
        await until(lambda: len(cluster.accounting.runs) == 3)
        lanes_at_first = {span.lane for span in cluster.accounting.spans.values()}
        cluster.accounting.gate.set()
        await until(lambda: len(cluster.statuses()) == 6 and cluster.all_delivered())

    assert {lane_of(one, 3) for one in PORTFOLIOS} == {0, 1, 2}
    assert lanes_at_first == {0, 1, 2}
    assert cluster.accounting.overlaps == []


async def test_a_replica_carries_on_no_more_deliveries_than_it_has_lanes() -> None:
    """A batch that was claimed with more lanes is delivered one lane after the other."""
    cluster = Cluster(several(lanes=3))
    await cluster.keep(*PORTFOLIOS)
    await cluster.left_written()
    cluster.terms = several(lanes=1)
    cluster.accounting.gate.clear()
    async with cluster.replica(QUICK):
        await until(lambda: cluster.accounting.runs)
        looks = cluster.deliveries.looks
        cluster.accounting.gate.set()
        await until(cluster.all_delivered)

    most = max(
        sum(one.begin <= other.begin < (one.end or 0) for one in cluster.accounting.spans.values())
        for other in cluster.accounting.spans.values()
    )
    assert looks == 1
    assert most == 1


async def test_parts_of_a_lane_follow_one_another() -> None:
    cluster = Cluster(several(file_max_records=2))
    await cluster.keep(*PORTFOLIOS[:5])
    await cluster.left_written()
    async with cluster.replica():
        await until(lambda: len(cluster.statuses()) == 3 and cluster.all_delivered())

    assert [name[-7:] for name, _ in cluster.accounting.runs] == ["_p0.csv", "_p1.csv", "_p2.csv"]
    assert cluster.accounting.overlaps == []


async def test_two_replicas_never_deliver_the_same_file() -> None:
    cluster = Cluster(several(lanes=3))
    async with cluster.replica(QUICK) as one, cluster.replica(QUICK) as other:
        for number in range(10):
            await cluster.keep(*PORTFOLIOS)
            replica = (one, other)[number % 2]
            replica.dispatcher.write(await replica.send_batch.claim("a test"))
        await until(lambda: len(cluster.statuses()) == 30 and cluster.all_delivered())

    assert len(cluster.accounting.runs) == len(set(cluster.accounting.runs)) == 30
    assert cluster.accounting.overlaps == []
    assert cluster.accounting.booked_twice == set()


async def test_files_are_written_by_one_writer_at_a_time(cluster: Cluster) -> None:
    async with cluster.replica() as replica:
        for _ in range(5):
            await claim_and_write(cluster, replica)
        waiting = replica.dispatcher.to_write
        await until(lambda: len(cluster.statuses()) == 5 and cluster.all_delivered())

    assert waiting == 5
    assert cluster.files.most_open_drafts == 1


async def test_a_failed_attempt_is_repeated_when_it_is_due_and_not_before(cluster: Cluster) -> None:
    cluster.accounting.fault = Fault.SERVER_DOWN
    await cluster.keep()
    await cluster.left_written()
    async with cluster.replica(QUICK):
        await until(lambda: cluster.accounting.runs)
        cluster.accounting.fault = Fault.NONE
        await cluster.looked_in_vain()
        runs_too_early = len(cluster.accounting.runs)
        cluster.clock.step(timedelta(seconds=5))
        await until(cluster.all_delivered)

    assert runs_too_early == 1
    assert [attempt for _, attempt in cluster.accounting.runs] == [1, 2]


async def test_after_its_last_attempt_a_delivery_has_failed_and_the_next_batch_goes_on() -> None:
    cluster = Cluster(retry=RetryTerms(attempts=2, first_delay=timedelta(0)))
    cluster.accounting.fault = Fault.EXIT_1
    await cluster.keep()
    first = await cluster.left_written()
    async with cluster.replica(QUICK) as replica:
        with capture_logs() as lines:
            await until(lambda: cluster.statuses(first) == [DeliveryStatus.FAILED])
        cluster.accounting.fault = Fault.NONE
        work = await claim_and_write(cluster, replica)
        await until(lambda: cluster.statuses(work.batch.id) == [DeliveryStatus.DELIVERED])

    assert [one["event"] for one in lines if "again_in" in one] == [logs.ATTEMPT_FAILED]
    assert [one["log_level"] for one in lines if one["event"] == logs.DELIVERY_ENDED] == ["error"]
    assert cluster.statuses(first) == [DeliveryStatus.FAILED]


async def test_a_run_that_cannot_be_followed_is_asked_for_again_with_the_same_attempt(
    cluster: Cluster,
) -> None:
    cluster.accounting.fault = Fault.NOT_FOLLOWED
    await cluster.keep()
    batch_id = await cluster.left_written()
    with capture_logs() as lines:
        async with cluster.replica(QUICK) as replica:
            await until(lambda: replica.metric('dispatch_steps_total{result="held_up",step="deliver"}'))
            cluster.accounting.fault = Fault.NONE
            await cluster.looked_in_vain()
            (held_up,) = await cluster.of_batch(batch_id)
            cluster.clock.step(timedelta(seconds=5))
            await until(cluster.all_delivered)

    told = [one for one in lines if one["event"] == logs.ATTEMPT_HELD_UP]
    assert "cannot be followed" in held_up.error
    assert [one["reason"] for one in told] == [held_up.error]
    assert [attempt for _, attempt in cluster.accounting.runs] == [1]


async def test_a_file_that_cannot_be_written_is_tried_again_when_it_can(cluster: Cluster) -> None:
    await cluster.keep()
    batch_id = await cluster.left_claimed()
    cluster.let_leases_run_out()
    async with cluster.replica(QUICK):
        cluster.files.failure = "no space is left"
        await until(lambda: cluster.files.checks > 5)
        before = cluster.statuses(batch_id)
        cluster.files.failure = ""
        await until(lambda: cluster.statuses(batch_id))
        cluster.clock.step(timedelta(seconds=5))
        await until(cluster.all_delivered)

    assert set(before) <= {DeliveryStatus.CLAIMED}


async def test_before_it_may_begin_the_database_is_left_alone(cluster: Cluster) -> None:
    await cluster.keep()
    await cluster.left_written()
    answers = [False, False, False, True]
    looks: list[int] = []

    def may_begin() -> bool:
        looks.append(cluster.deliveries.looks)
        return answers.pop(0) if answers else True

    async with cluster.replica(QUICK, may_begin=may_begin):
        await until(cluster.all_delivered)

    assert looks[:4] == [0, 0, 0, 0]


async def test_a_fault_of_ours_is_logged_and_does_not_end_the_work(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster
) -> None:
    take = cluster.deliveries.take
    faults = 3

    async def broken_take(holder: Holder) -> LeasedDelivery | None:
        nonlocal faults
        if faults:
            faults -= 1
            raise RuntimeError("out of order")
        return await take(holder)

    monkeypatch.setattr(cluster.deliveries, "take", broken_take)
    await cluster.keep()
    await cluster.left_written()
    with capture_logs() as lines:
        async with cluster.replica(QUICK):
            await until(cluster.all_delivered)

    told = [one for one in lines if one["event"] == logs.DISPATCH_FAILED]
    assert [one["exc_info"] for one in told] == [True] * 3


async def test_after_a_fault_of_ours_the_work_rests_whatever_wakes_it(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster
) -> None:
    looks = 0

    async def broken_take(_: Holder) -> LeasedDelivery | None:
        nonlocal looks
        looks += 1
        raise RuntimeError("out of order")

    monkeypatch.setattr(cluster.deliveries, "take", broken_take)
    with capture_logs() as lines:
        async with cluster.replica(replace(QUICK, fault=3600)) as replica:
            await until(lambda: looks)
            for _ in range(3):
                work = await claim_and_write(cluster, replica)
                await until(lambda: cluster.statuses(work.batch.id) == [DeliveryStatus.WRITTEN])  # noqa: B023

    assert looks == 1
    assert [one["event"] for one in lines if one["log_level"] == "error"] == [logs.DISPATCH_FAILED]


@pytest.mark.parametrize("error", [RuntimeError("out of order"), DeliveryStepError("it has other files")])
async def test_a_step_that_fails_by_our_fault_is_put_off_and_not_repeated_without_end(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster, error: Exception
) -> None:
    plan = cluster.batches.plan
    failed = 0

    async def broken_plan(*_: object) -> object:
        nonlocal failed
        failed += 1
        raise error

    monkeypatch.setattr(cluster.batches, "plan", broken_plan)
    await cluster.keep()
    batch_id = await cluster.left_claimed()
    cluster.let_leases_run_out()
    with capture_logs(processors=[merge_contextvars]) as lines:
        async with cluster.replica(QUICK):
            await until(lambda: failed)
            await cluster.looked_in_vain()
            failed_by_then = failed
            monkeypatch.setattr(cluster.batches, "plan", plan)
            cluster.clock.step(timedelta(seconds=30))
            await until(cluster.all_delivered)

    told = [one for one in lines if one["event"] == logs.STEP_FAILED]
    assert failed_by_then == 1
    assert [one["batch_id"] for one in told] == [batch_id]
    assert [bool(one.get("exc_info")) for one in told] == [isinstance(error, RuntimeError)]


async def test_a_delivery_that_fails_by_our_fault_says_so_and_holds_up_no_other_lane(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(several(lanes=3))
    rejected = cluster.deliveries.rejected
    await cluster.keep(*PORTFOLIOS)
    batch_id = await cluster.left_written()
    broken = (await cluster.of_batch(batch_id))[0]

    async def broken_for_one(lease: Lease, *args: object, **more: object) -> None:
        if lease.id == broken.id:
            raise RuntimeError("SELECT secret FROM /var/lib")
        await rejected(lease, *args, **more)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(cluster.deliveries, "rejected", broken_for_one)
    async with cluster.replica(QUICK) as replica:
        await until(lambda: cluster.statuses().count(DeliveryStatus.DELIVERED) == 2)
        await until(lambda: replica.metric('dispatch_steps_total{result="failed",step="deliver"}'))
        await cluster.looked_in_vain()
        held_up = await cluster.deliveries.get(broken.id)
        failed = replica.metric('dispatch_steps_total{result="failed",step="deliver"}')
        monkeypatch.undo()
        cluster.clock.step(timedelta(seconds=30))
        await until(cluster.all_delivered)

    assert failed == 1
    assert held_up is not None
    assert "the service failed" in held_up.error
    assert "secret" not in held_up.error


async def test_a_collision_stops_all_delivery_and_is_told_once(cluster: Cluster) -> None:
    cluster.accounting.booked["AC1"] = ("somebody else's",)
    async with cluster.replica(QUICK) as replica:
        with capture_logs() as lines:
            first = await claim_and_write(cluster, replica)
            await until(lambda: cluster.statuses(first.batch.id) == [DeliveryStatus.FAILED])
            second = await claim_and_write(cluster, replica)
            await until(lambda: cluster.statuses(second.batch.id) == [DeliveryStatus.WRITTEN])
            await cluster.looked_in_vain()
        stopped = cluster.statuses(second.batch.id)
        await cluster.resolutions.clear_stop("an empty database", "a test")
        await until(lambda: cluster.statuses(second.batch.id) == [DeliveryStatus.DELIVERED])

    assert [one["log_level"] for one in lines if one["event"] == logs.COLLISION] == ["error"]
    assert stopped == [DeliveryStatus.WRITTEN]
    assert replica.metric("source_id_collisions_total") == 1


async def test_without_a_cli_files_are_written_and_no_delivery_is_looked_for() -> None:
    cluster = Cluster(with_cli=False)
    async with cluster.replica() as replica:
        await claim_and_write(cluster, replica)
        await until(lambda: cluster.statuses() == [DeliveryStatus.WRITTEN])

    assert cluster.deliveries.looks == 0


async def test_steps_are_counted_by_what_came_of_them(cluster: Cluster) -> None:
    async with cluster.replica() as replica:
        await claim_and_write(cluster, replica)
        await until(cluster.all_delivered)

    assert replica.metric('dispatch_steps_total{result="done",step="write"}') == 1
    assert replica.metric('dispatch_steps_total{result="done",step="deliver"}') == 1
    assert replica.metric('delivery_attempts_total{runner="subprocess",status="delivered"}') == 1


async def test_a_run_without_counts_is_no_failure_before_another_one_has_confirmed_it(
    cluster: Cluster,
) -> None:
    class WithoutCounts(MemoryAccounting):
        """Tells as little as a Kubernetes Job: its exit code and its error file."""

        async def run(self, order: RunOrder, permit: RunPermit) -> AccountingRun:
            return replace(await super().run(order, permit), counts=None)

    cluster.accounting = WithoutCounts(cluster.files.contents)
    with capture_logs() as lines:
        async with cluster.replica() as replica:
            await claim_and_write(cluster, replica)
            await until(cluster.all_delivered)

    assert [one["event"] for one in lines if one["log_level"] != "info"] == []
    assert logs.ATTEMPT_TO_BE_CONFIRMED in [one["event"] for one in lines]
    assert replica.metric('delivery_attempts_total{runner="subprocess",status="failed"}') == 0
    assert replica.metric('delivery_attempts_total{runner="subprocess",status="to_be_confirmed"}') == 1
    assert replica.metric('delivery_attempts_total{runner="subprocess",status="delivered"}') == 1
