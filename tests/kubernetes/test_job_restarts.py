"""A service that dies at any call: its successor finds the Job, or starts it once."""

import asyncio
from dataclasses import replace

import pytest
from tests.kubernetes.faults import HangAfter
from tests.kubernetes.job_runs import JobRuns, Permit, order_of

from globeco_allocation.domain.accounting_run import AccountingRun, RunOrder

FIRST, SECOND = order_of(1), order_of(2)
SUCCEEDED = AccountingRun(0, None)
CALLS = 12
"""Get, list, watch and get of the earlier run; list, create, watches and gets of its own; and some more."""


@pytest.mark.parametrize("answered", [False, True], ids=["asked", "answered"])
@pytest.mark.parametrize("number", range(1, CALLS + 1))
async def test_a_successor_goes_on_after_a_death_at_any_call(
    runs: JobRuns, number: int, answered: bool
) -> None:
    double = runs.kubernetes
    async with runs.running(FIRST) as earlier:
        await double.cluster.until(lambda: bool(double.watches.open))
        earlier.cancel()  # it has no parent any more, and runs on
        await asyncio.wait({earlier})
        before = len(double.requests)
        driven = asyncio.ensure_future(end_both(runs, before))
        double.latency = 0.02
        uid = await die_at_call(runs, before + number, answered=answered)
        double.latency = 0.0

        assert await runs.run(replace(SECOND, uid=uid)) == SUCCEEDED
        await driven
    double.assert_one_job_an_attempt()
    double.assert_lanes_kept()
    assert [job["metadata"]["name"] for job in double.store.created] == [FIRST.name, SECOND.name]


@pytest.mark.parametrize("known", [False, True], ids=["uid-unknown", "uid-known"])
async def test_a_job_whose_creator_died_before_the_answer_is_found(runs: JobRuns, known: bool) -> None:
    double = runs.kubernetes
    double.faults.next("create", HangAfter())
    dying = asyncio.ensure_future(runs.run(FIRST))
    await double.cluster.until_ready(FIRST.name)
    dying.cancel()
    await asyncio.wait({dying})
    permit = Permit()
    runs.succeeds_when_ready(FIRST)
    run = await runs.run(replace(FIRST, uid=runs.uid(FIRST.name) if known else ""), permit)

    assert run == SUCCEEDED
    assert permit.begun == 0
    assert permit.uids == ([] if known else [runs.uid(FIRST.name)])
    double.assert_one_job_an_attempt()


async def test_two_owners_of_one_order_wait_for_the_same_job(runs: JobRuns) -> None:
    async def both_are_about_to_start() -> None:
        await barrier.wait()

    barrier = asyncio.Barrier(2)
    owners = [asyncio.ensure_future(runs.run(FIRST, Permit(both_are_about_to_start))) for _ in range(2)]
    runs.succeeds_when_ready(FIRST)

    assert await asyncio.gather(*owners) == [SUCCEEDED] * 2
    assert sorted(request.status for request in runs.kubernetes.requests_to("create")) == [201, 409]
    runs.kubernetes.assert_one_job_an_attempt()


async def die_at_call(runs: JobRuns, number: int, *, answered: bool) -> str:
    """Run the second order until that many requests have come, and leave; what was noted as its uid."""
    double, permit = runs.kubernetes, Permit()

    def come() -> bool:
        if dying.done():
            return True
        if len(double.requests) < number:
            return False
        request = double.requests[number - 1]
        return not answered or request.status != 0 or (request.verb == "watch" and bool(double.watches.open))

    dying = asyncio.ensure_future(runs.run(SECOND, permit))
    await double.cluster.until(come)
    dying.cancel()
    await asyncio.wait({dying})
    return permit.uids[-1] if permit.uids else ""


async def end_both(runs: JobRuns, before: int) -> None:
    """Let the first run end once the second one waits for it, and then the second."""
    await runs.kubernetes.cluster.until(lambda: len(runs.kubernetes.requests) >= before + 3)
    runs.kubernetes.cluster.succeed(FIRST.name)
    await ended_well(runs, SECOND)


async def ended_well(runs: JobRuns, order: RunOrder) -> None:
    await runs.kubernetes.cluster.until_ready(order.name)
    await runs.kubernetes.cluster.until(lambda: bool(runs.kubernetes.watches.open))
    runs.kubernetes.cluster.succeed(order.name)
