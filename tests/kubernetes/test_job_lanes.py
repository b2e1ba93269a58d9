"""Runs that may touch the same portfolios follow one another; the others go on side by side."""

import asyncio

import msgspec
import pytest
from tests.kubernetes.conftest import JobBody
from tests.kubernetes.job_runs import JobRuns, Permit, order_of
from tests.kubernetes.pods import Pod, until_told_deaf

from globeco_allocation.adapters.kubernetes_job.spec import job
from globeco_allocation.domain.accounting_run import AccountingRun, RunOrder
from globeco_allocation.domain.errors import RunNotFollowedError

SUCCEEDED = AccountingRun(0, None)


async def test_the_next_run_of_a_lane_waits_for_the_earlier_ones_end(runs: JobRuns) -> None:
    first, second = order_of(1), order_of(2)
    async with runs.running(first) as earlier:
        permit = Permit()
        later = asyncio.ensure_future(runs.run(second, permit))
        await runs.kubernetes.cluster.until(lambda: len(runs.kubernetes.watches.open) == 2)
        begun_meanwhile = permit.begun
        runs.kubernetes.cluster.succeed(first.name)
        await earlier
        runs.succeeds_when_ready(second)

        assert await later == SUCCEEDED
    assert begun_meanwhile == 0, "a permit is asked for right before the start"
    runs.kubernetes.assert_lanes_kept()


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
async def test_a_deleted_run_keeps_its_lane_for_its_grace_period(runs: JobRuns, policy: str) -> None:
    first, second = order_of(1), order_of(2)
    cluster = runs.kubernetes.cluster
    cluster.handler = until_told_deaf
    async with runs.running(first):
        later = asyncio.ensure_future(runs.run(second))
        await cluster.until(lambda: len(runs.kubernetes.watches.open) == 2)
        cluster.delete("globeco", first.name, policy)
        await cluster.until_ready(second.name)
        cluster.succeed(second.name)

        assert await later == SUCCEEDED
    runs.kubernetes.assert_lanes_kept()


async def test_a_run_past_its_deadline_keeps_its_lane_until_its_process_has_ended(runs: JobRuns) -> None:
    first, second = order_of(1), order_of(2)
    cluster = runs.kubernetes.cluster
    cluster.handler = until_told_deaf
    async with runs.running(first):
        later = asyncio.ensure_future(runs.run(second))
        await cluster.until(lambda: len(runs.kubernetes.watches.open) == 2)
        cluster.pass_deadline(first.name)
        await cluster.until_ready(second.name)
        cluster.succeed(second.name)

        assert await later == SUCCEEDED
    runs.kubernetes.assert_lanes_kept()


async def test_lanes_of_one_count_go_on_side_by_side(runs: JobRuns) -> None:
    orders = [order_of(1, lane=lane, lane_count=3) for lane in range(3)]
    tasks = [asyncio.ensure_future(runs.run(order)) for order in orders]
    for order in orders:
        await runs.kubernetes.cluster.until_ready(order.name)
    for order in orders:
        runs.kubernetes.cluster.succeed(order.name)

    assert await asyncio.gather(*tasks) == [SUCCEEDED] * 3
    runs.kubernetes.assert_lanes_kept()


async def test_a_new_lane_count_waits_for_every_lane_of_the_old_one(runs: JobRuns) -> None:
    old = [order_of(1, lane=lane, lane_count=2) for lane in range(2)]
    new = order_of(2, lane=5, lane_count=8)
    tasks = [asyncio.ensure_future(runs.run(order)) for order in old]
    for order in old:
        await runs.kubernetes.cluster.until_ready(order.name)
    tasks.append(asyncio.ensure_future(runs.run(new)))
    await runs.kubernetes.cluster.until(lambda: len(runs.kubernetes.watches.open) == 3)
    runs.succeeds_when_ready(*old, new)

    assert await asyncio.gather(*tasks) == [SUCCEEDED] * 3
    runs.kubernetes.assert_lanes_kept()


async def test_orders_of_one_lane_that_come_together_take_turns(runs: JobRuns) -> None:
    async def work(_: Pod) -> int:
        await asyncio.sleep(0.05)
        return 0

    runs.kubernetes.cluster.handler = work
    orders = [order_of(number) for number in range(5)]
    for order in orders:
        runs.has_file(order)
    async with runs.runner() as cli:
        ended = await asyncio.gather(*(cli.run(order, Permit()) for order in orders))

    assert ended == [SUCCEEDED] * 5
    runs.kubernetes.assert_lanes_kept()


async def test_one_of_our_jobs_that_lost_its_labels_is_waited_for(runs: JobRuns) -> None:
    stray, order = order_of(1, lane=0, lane_count=2), order_of(2, lane=1, lane_count=2)
    async with runs.running(stray):

        def lose_label(job: dict[str, dict[str, dict[str, str]]]) -> None:
            del job["metadata"]["labels"]["globeco-allocation/lane"]

        runs.kubernetes.store.change("globeco", stray.name, runs.uid(stray.name), lose_label)
        later = asyncio.ensure_future(runs.run(order))
        await runs.kubernetes.cluster.until(lambda: len(runs.kubernetes.watches.open) == 2)
        runs.succeeds_when_ready(stray, order)

        assert await later == SUCCEEDED
    first, second = runs.kubernetes.cluster.spans.all

    assert not first.overlaps(second)


async def test_an_attempt_is_not_begun_behind_a_later_one(runs: JobRuns) -> None:
    later = order_of(attempt=10)
    runs.succeeds_when_ready(later)
    await runs.run(later)

    with pytest.raises(RunNotFollowedError, match="a later attempt was begun"):
        await runs.run(order_of(attempt=9))
    assert len(runs.kubernetes.store.created) == 1


async def test_jobs_of_others_are_not_waited_for(runs: JobRuns, job_body: JobBody) -> None:
    double, order = runs.kubernetes, order_of()
    double.cluster.created(double.store.create("globeco", job_body("of-others"), manager="kubectl"))
    runs.succeeds_when_ready(order)

    assert await runs.run(order) == SUCCEEDED


async def test_a_busy_lane_is_not_waited_for_without_end(runs: JobRuns) -> None:
    runs.kubernetes.cluster.second = 1000.0
    async with runs.running(order_of(1)):
        with pytest.raises(RunNotFollowedError):
            await runs.run(order_of(2), timeout_seconds=1, grace_seconds=0)

    assert [span.name for span in runs.kubernetes.cluster.spans.all] == [order_of(1).name]


async def test_many_jobs_of_the_past_are_looked_through(runs: JobRuns) -> None:
    cluster = runs.kubernetes.cluster
    cluster.handler = end_at_once
    for number in range(120):
        await leave_finished(runs, order_of(number))
    cluster.handler = until_told_deaf
    earlier, later = order_of(9998), order_of(9999)
    async with runs.running(earlier):
        task = asyncio.ensure_future(runs.run(later))
        runs.succeeds_when_ready(earlier, later)

        assert await task == SUCCEEDED
    assert any("continue" in request.query for request in runs.kubernetes.requests_to("list"))
    runs.kubernetes.assert_lanes_kept()


async def end_at_once(_: Pod) -> int:
    return 0


async def leave_finished(runs: JobRuns, order: RunOrder) -> None:
    body = msgspec.to_builtins(job(order, runs.template))
    runs.kubernetes.cluster.created(runs.kubernetes.store.create("globeco", body, manager="test"))
    await runs.kubernetes.cluster.until_finished(order.name)
