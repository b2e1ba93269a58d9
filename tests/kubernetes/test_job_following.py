"""Waiting for a Job's end: watches that break off, and the ways in which Jobs end badly."""

import asyncio

import pytest
from lightkube.types import CascadeType
from tests.kubernetes.faults import CutBefore, PlainNotFound, ServerFailed, TooManyRequests
from tests.kubernetes.job_runs import JobRuns, Permit, order_of
from tests.kubernetes.pods import until_told_deaf
from tests.kubernetes.watching import Command

from globeco_allocation.domain.accounting_run import AccountingRun
from globeco_allocation.domain.errors import RunNotFollowedError

ORDER = order_of()
SUCCEEDED = AccountingRun(0, None)


@pytest.mark.parametrize("command", ["end", "drop", "cut", "expire"])
async def test_a_watch_that_breaks_off_is_resumed(runs: JobRuns, command: Command) -> None:
    async with runs.running(ORDER) as task:
        for _ in range(3):
            await runs.kubernetes.cluster.until(lambda: runs.kubernetes.watches.tell(command) > 0)
            await runs.kubernetes.cluster.until(lambda: not runs.kubernetes.watches.open)
        await runs.kubernetes.cluster.until(lambda: bool(runs.kubernetes.watches.open))
        runs.kubernetes.cluster.succeed(ORDER.name)

        assert await task == SUCCEEDED


@pytest.mark.parametrize("command", ["end", "drop"])
async def test_an_end_that_no_watch_shows_is_read(runs: JobRuns, command: Command) -> None:
    async with runs.running(ORDER) as task:
        await runs.kubernetes.cluster.until(lambda: bool(runs.kubernetes.watches.open))
        runs.kubernetes.faults.always("watch", CutBefore())
        runs.kubernetes.watches.tell(command)
        runs.kubernetes.cluster.succeed(ORDER.name)

        assert await task == SUCCEEDED


@pytest.mark.parametrize("gone_as_status", [False, True])
async def test_a_version_that_is_forgotten_is_read_anew(runs: JobRuns, gone_as_status: bool) -> None:
    double = runs.kubernetes
    double.watches.gone_as_status = gone_as_status
    async with runs.running(ORDER) as task:
        await double.cluster.until(lambda: bool(double.watches.open))
        double.expire()  # and every version that the Job itself names stays forgotten
        await double.cluster.until(lambda: len(double.requests_to("watch")) >= 3)
        await double.cluster.until(lambda: bool(double.watches.open))
        watched = len(double.requests_to("watch"))
        await asyncio.sleep(0.3)
        quiet = len(double.requests_to("watch")) == watched
        double.cluster.succeed(ORDER.name)

        assert await task == SUCCEEDED
    assert quiet, "the watch from the fresh version holds"


async def test_a_server_that_ends_each_watch_at_once_is_not_asked_without_a_pause(runs: JobRuns) -> None:
    double = runs.kubernetes
    async with runs.running(ORDER) as task:
        until = asyncio.get_running_loop().time() + 1.0
        while asyncio.get_running_loop().time() < until:
            double.watches.tell("end")
            await asyncio.sleep(0.001)
        asked = len(double.requests_to("watch"))
        double.cluster.succeed(ORDER.name)

        assert await task == SUCCEEDED
    assert asked < 40


async def test_the_job_is_read_again_however_long_a_watch_lasts(runs: JobRuns) -> None:
    runs.patience = type(runs.patience)(watch=0.2, shortest_pause=0.01, longest_pause=0.1)
    async with runs.running(ORDER) as task:
        await runs.kubernetes.cluster.until(lambda: runs.verbs().count("get") >= 3)
        runs.kubernetes.cluster.succeed(ORDER.name)

        assert await task == SUCCEEDED
    assert {request.query["timeoutSeconds"] for request in runs.kubernetes.requests_to("watch")} == {"1"}


@pytest.mark.parametrize("fault", [PlainNotFound(), TooManyRequests(0), ServerFailed(html=True), CutBefore()])
async def test_an_answer_that_tells_nothing_is_asked_for_again(
    runs: JobRuns, fault: PlainNotFound | TooManyRequests | ServerFailed | CutBefore
) -> None:
    async with runs.running(ORDER) as task:
        for verb in ("watch", "get"):
            runs.kubernetes.faults.next(verb, fault, times=2)
        runs.kubernetes.watches.tell("drop")
        await runs.kubernetes.cluster.until(lambda: bool(runs.kubernetes.watches.open))
        runs.kubernetes.cluster.succeed(ORDER.name)

        assert await task == SUCCEEDED


async def test_a_process_that_fails_is_a_run_that_was_cut_off(runs: JobRuns) -> None:
    async with runs.running(ORDER) as task:
        runs.kubernetes.cluster.fail(ORDER.name)
        run = await task

    assert run == AccountingRun(None, None, f"the Job {ORDER.name} failed (BackoffLimitExceeded)")
    assert not run.completed


async def test_a_job_past_its_deadline_has_ended_only_with_its_process(runs: JobRuns) -> None:
    cluster = runs.kubernetes.cluster
    cluster.handler = until_told_deaf
    async with runs.running(ORDER) as task:
        cluster.pass_deadline(ORDER.name)
        run = await task
        ended = cluster.life(ORDER.name).ended.is_set()

    assert ended
    assert run == AccountingRun(None, None, f"the Job {ORDER.name} was ended past its 30 s", timed_out=True)


@pytest.mark.parametrize("missing", ["image", "claim", "account"])
async def test_a_pod_that_never_becomes_ready_ends_with_what_was_seen(runs: JobRuns, missing: str) -> None:
    cluster = runs.kubernetes.cluster
    match missing:
        case "image":
            cluster.unpullable.add(runs.template.image)
        case "claim":
            cluster.claims = {}
        case _:
            cluster.service_accounts = set()
    task = asyncio.ensure_future(runs.run(ORDER))
    await cluster.until_created(ORDER.name)
    await cluster.until(lambda: bool(runs.kubernetes.watches.open))
    cluster.pass_deadline(ORDER.name)
    run = await task

    assert run.timed_out
    assert "its pod never became ready" in run.complaint


@pytest.mark.parametrize("cascade", [CascadeType.BACKGROUND, CascadeType.FOREGROUND])
async def test_a_job_that_is_deleted_is_a_run_that_was_cut_off_once_its_process_has_ended(
    runs: JobRuns, cascade: CascadeType
) -> None:
    cluster = runs.kubernetes.cluster
    cluster.handler = until_told_deaf
    async with runs.running(ORDER) as task:
        cluster.delete("globeco", ORDER.name, cascade.value)
        run = await task
        ended = cluster.life(ORDER.name).ended.is_set()

    assert ended, "its process had its grace period"
    assert run == AccountingRun(None, None, f"the Job {ORDER.name} was deleted")


async def test_a_deletion_that_no_watch_shows_is_read(runs: JobRuns) -> None:
    double = runs.kubernetes
    async with runs.running(ORDER) as task:
        await double.cluster.until(lambda: bool(double.watches.open))
        double.faults.always("watch", CutBefore())
        double.watches.tell("drop")
        double.cluster.delete("globeco", ORDER.name, "Background")

        assert (await task).complaint == f"the Job {ORDER.name} was deleted"


async def test_a_job_that_is_deleted_without_its_pod_has_all_its_time_to_end(runs: JobRuns) -> None:
    runs.template = type(runs.template)(image="cli:1", claim="files", timeout_seconds=1, grace_seconds=0)
    async with runs.running(ORDER) as task:
        runs.kubernetes.cluster.delete("globeco", ORDER.name, None)
        await runs.kubernetes.cluster.until(lambda: not runs.kubernetes.store.all(lambda _: True))
        done, _ = await asyncio.wait({task}, timeout=0.7)

        assert not done, "the orphaned pod may still run"
        assert (await task).complaint == f"the Job {ORDER.name} was deleted"


async def test_a_job_that_was_deleted_before_anyone_looked_is_not_started_again(runs: JobRuns) -> None:
    permit = Permit()
    async with runs.running(ORDER, permit):
        await runs.kubernetes.cluster.until(lambda: bool(permit.uids))
    runs.kubernetes.cluster.delete("globeco", ORDER.name, "Background")
    known = type(ORDER)(batch_id=ORDER.batch_id, attempt=1, file_name=ORDER.file_name, uid=permit.uids[0])
    run = await runs.run(known, Permit())

    assert run == AccountingRun(None, None, f"the Job {ORDER.name} was deleted")
    assert len(runs.kubernetes.store.created) == 1


async def test_a_job_that_was_replaced_under_its_name_is_not_taken_for_the_run(runs: JobRuns) -> None:
    async with runs.running(ORDER):
        pass
    known = type(ORDER)(batch_id=ORDER.batch_id, attempt=1, file_name=ORDER.file_name, uid="another-uid")
    run = await runs.run(known)

    assert run == AccountingRun(None, None, f"the Job {ORDER.name} was deleted")


async def test_a_finished_job_that_is_deleted_while_it_is_read_has_still_finished(runs: JobRuns) -> None:
    async with runs.running(ORDER) as task:
        await runs.kubernetes.cluster.until(lambda: bool(runs.kubernetes.watches.open))
        runs.kubernetes.cluster.succeed(ORDER.name)
        await runs.kubernetes.cluster.until_finished(ORDER.name)
        runs.kubernetes.cluster.pass_time_to_live(ORDER.name)

        assert await task == SUCCEEDED


async def test_a_job_that_kubernetes_does_not_end_is_not_waited_for_without_end(runs: JobRuns) -> None:
    runs.kubernetes.cluster.second = 1000.0  # its deadline never comes
    with pytest.raises(RunNotFollowedError, match="did not end in time"):
        await runs.run(ORDER, timeout_seconds=1, grace_seconds=0)
