"""The Job of an attempt: what it is, and that there is one, whatever becomes of the call that creates it."""

import asyncio
from typing import Any

import pytest
from tests.kubernetes.conftest import JobBody
from tests.kubernetes.faults import (
    CutBefore,
    Delay,
    Hang,
    HangAfter,
    Late,
    LoseAnswer,
    ServerFailed,
    TooManyRequests,
)
from tests.kubernetes.job_runs import JobRuns, Permit, order_of
from tests.kubernetes.pods import until_told_deaf
from tests.kubernetes.statuses import Json
from tests.kubernetes.validation import restricted_violations

from globeco_allocation.adapters.kubernetes_job.template import server_variables
from globeco_allocation.domain.accounting_run import AccountingRun
from globeco_allocation.domain.errors import (
    CliNotStartedError,
    LeaseLostError,
    RunNotFollowedError,
    StoreUnavailableError,
)

ORDER = order_of()


async def test_a_job_that_completes_is_a_run_with_exit_code_0(runs: JobRuns) -> None:
    permit = Permit()
    runs.succeeds_when_ready(ORDER)
    run = await runs.run(ORDER, permit)

    assert run == AccountingRun(0, None)
    assert (permit.begun, permit.uids) == (1, [runs.uid(ORDER.name)])


async def test_a_job_gives_the_cli_its_file_and_a_verdict_for_every_row(runs: JobRuns) -> None:
    async with runs.running(ORDER):
        pod = runs.kubernetes.cluster.pod(ORDER.name)

    assert pod.arguments == [
        *("process", "--file", f"/data/{ORDER.file_name}"),
        *("--output-dir", "/data", "--batch-size", "1", "--skip-sort"),
    ]
    assert pod.mounts == {"/data": "files"}


async def test_a_job_says_how_kubernetes_is_to_treat_it(runs: JobRuns) -> None:
    async with runs.running(ORDER):
        spec = created(runs)["spec"]

    assert (spec["backoffLimit"], spec["template"]["spec"]["restartPolicy"]) == (0, "Never")
    assert spec["activeDeadlineSeconds"] == 30
    assert spec["template"]["spec"]["activeDeadlineSeconds"] > 30
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["ttlSecondsAfterFinished"] == 24 * 60 * 60


async def test_a_jobs_pod_may_do_nothing_but_its_work(runs: JobRuns) -> None:
    async with runs.running(ORDER):
        pod = created(runs)["spec"]["template"]["spec"]

    assert restricted_violations(created(runs)) == []
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsUser"] == 1001
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["containers"][0]["resources"]["limits"]["memory"] == "256Mi"


async def test_a_job_is_labelled_and_tells_people_where_it_comes_from(runs: JobRuns) -> None:
    order = order_of(8, lane=2, lane_count=4, attempt=3)
    async with runs.running(order):
        about = created(runs)["metadata"]

    assert about["name"] == "allocation-20260302-160000-8-l2-a3"
    assert about["labels"] == {
        "app.kubernetes.io/name": "globeco-allocation",
        "app.kubernetes.io/managed-by": "globeco-allocation-service",
        "app.kubernetes.io/component": "accounting-cli",
        "globeco-allocation/batch": "8",
        "globeco-allocation/lane": "2",
        "globeco-allocation/lanes": "4",
        "globeco-allocation/part": "0",
        "globeco-allocation/attempt": "3",
    }
    assert about["annotations"] == {
        "globeco-allocation/file": order.file_name,
        "globeco-allocation/correlation-id": "a-correlation",
    }


async def test_a_job_has_the_account_the_variables_and_the_group_it_is_given(runs: JobRuns) -> None:
    variables = server_variables({"GLOBECO_PA_SERVER_HOST": "accounting", "DB_PASSWORD": "secret"})
    driven = runs.succeeds_when_ready(ORDER)
    await runs.run(ORDER, service_account="loader", fs_group=2000, variables=variables)
    await driven
    pod = created(runs)["spec"]["template"]["spec"]

    assert pod["serviceAccountName"] == "loader"
    assert pod["securityContext"]["fsGroup"] == 2000
    assert pod["containers"][0]["env"] == [{"name": "GLOBECO_PA_SERVER_HOST", "value": "accounting"}]


async def test_an_order_that_is_asked_for_twice_at_once_is_one_job(runs: JobRuns) -> None:
    async with runs.runner() as cli:
        runs.has_file(ORDER)
        runs.succeeds_when_ready(ORDER)
        both = await asyncio.gather(cli.run(ORDER, Permit()), cli.run(ORDER, Permit()))

    assert both == [AccountingRun(0, None)] * 2
    assert len(runs.kubernetes.store.created) == 1


async def test_an_ended_run_is_told_of_again(runs: JobRuns) -> None:
    runs.succeeds_when_ready(ORDER)
    await runs.run(ORDER)
    permit = Permit()
    again = await runs.run(ORDER, permit)

    assert again == AccountingRun(0, None)
    assert (permit.begun, len(runs.kubernetes.store.created)) == (0, 1)


async def test_a_name_that_is_taken_meanwhile_is_found(runs: JobRuns) -> None:
    async def let_another_owner_be_faster() -> None:
        permit.on_begin = None
        others.append(asyncio.ensure_future(runs.run(ORDER)))
        await runs.kubernetes.cluster.until_ready(ORDER.name)

    others: list[asyncio.Task[AccountingRun]] = []
    permit = Permit(let_another_owner_be_faster)
    run = asyncio.ensure_future(runs.run(ORDER, permit))
    await runs.kubernetes.cluster.until(lambda: bool(permit.uids))
    runs.kubernetes.cluster.succeed(ORDER.name)

    assert await run == await others[0] == AccountingRun(0, None)
    assert 409 in [request.status for request in runs.kubernetes.requests_to("create")]
    runs.kubernetes.assert_one_job_an_attempt()


@pytest.mark.parametrize("lost", [LoseAnswer(), HangAfter(), ServerFailed(), Late(0.7)])
async def test_a_job_whose_answer_is_lost_is_not_created_twice(
    runs: JobRuns, lost: LoseAnswer | HangAfter | ServerFailed | Late
) -> None:
    runs.kubernetes.faults.next("create", lost)
    runs.succeeds_when_ready(ORDER)
    run = await runs.run(ORDER)
    await asyncio.sleep(0.5 if isinstance(lost, Late) else 0)  # until the late request has come to its turn

    assert run == AccountingRun(0, None)
    runs.kubernetes.assert_one_job_an_attempt()


@pytest.mark.parametrize("fault", [CutBefore(), Hang(), ServerFailed(html=True), TooManyRequests(0)])
async def test_a_job_that_was_not_created_is_tried_again(
    runs: JobRuns, fault: CutBefore | Hang | ServerFailed | TooManyRequests
) -> None:
    runs.kubernetes.faults.next("create", fault)
    runs.succeeds_when_ready(ORDER)
    permit = Permit()
    run = await runs.run(ORDER, permit)

    assert run == AccountingRun(0, None)
    assert permit.begun == 2  # each start has to be permitted


async def test_no_answer_at_all_never_means_that_nothing_was_started(runs: JobRuns) -> None:
    runs.kubernetes.faults.always("create", Hang())

    with pytest.raises(RunNotFollowedError, match=r"whether the Job .* was created"):
        await runs.run(ORDER)


async def test_a_refusal_behind_a_lost_answer_does_not_mean_it_either(runs: JobRuns) -> None:
    runs.kubernetes.faults.next("create", Hang())

    async def lose_the_right_to_create() -> None:
        if permit.begun == 2:
            runs.kubernetes.permitted.remove("create")

    permit = Permit(lose_the_right_to_create)

    with pytest.raises(RunNotFollowedError, match=r"whether the Job .* was created"):
        await runs.run(ORDER, permit)


@pytest.mark.parametrize("code", [400, 403, 404, 422])
async def test_a_refused_job_was_not_started_and_says_why(runs: JobRuns, code: int) -> None:
    changes: dict[str, Any] = {}
    if code == 403:
        runs.kubernetes.permitted.remove("create")
    elif code == 404:
        runs.kubernetes.store.namespaces.clear()
    else:
        changes = {"limits": {"memory": "lots"}} if code == 400 else {"image": ""}
    reason = {400: "BadRequest", 403: "Forbidden", 404: "no such namespace", 422: "Invalid"}[code]

    with pytest.raises(CliNotStartedError, match=reason) as caught:
        await runs.run(ORDER, **changes)

    assert "nothing was sent" in str(caught.value)
    assert "serviceaccount" not in str(caught.value)
    assert runs.kubernetes.store.created == []


async def test_anothers_job_of_our_name_is_left_alone(runs: JobRuns, job_body: JobBody) -> None:
    double = runs.kubernetes
    foreign = double.store.create("globeco", job_body(ORDER.name), manager="kubectl")
    double.cluster.created(foreign)

    with pytest.raises(CliNotStartedError, match=f"another's Job has the name {ORDER.name}"):
        await runs.run(ORDER)

    assert runs.verbs() == ["get"]


async def test_anothers_job_that_took_our_name_meanwhile_is_left_alone(
    runs: JobRuns, job_body: JobBody
) -> None:
    async def take_the_name() -> None:
        double.cluster.created(double.store.create("globeco", job_body(ORDER.name), manager="kubectl"))

    double = runs.kubernetes

    with pytest.raises(CliNotStartedError, match="another's Job"):
        await runs.run(ORDER, Permit(take_the_name))


async def test_a_job_that_vanishes_behind_its_name_keeps_the_next_waiting(
    runs: JobRuns,
) -> None:
    async def let_another_owner_be_faster() -> None:
        permit.on_begin = None
        others.append(asyncio.ensure_future(runs.run(ORDER)))
        await cluster.until_ready(ORDER.name)
        double.faults.next("get", Delay(0.3))
        others.append(asyncio.ensure_future(delete_when_refused()))

    async def delete_when_refused() -> None:
        await cluster.until(lambda: any(request.status == 409 for request in double.requests_to("create")))
        cluster.delete("globeco", ORDER.name, "Background")

    double, cluster, others = runs.kubernetes, runs.kubernetes.cluster, list[asyncio.Task[object]]()
    cluster.handler = until_told_deaf
    permit = Permit(let_another_owner_be_faster)
    with pytest.raises(RunNotFollowedError, match="it was deleted just now"):
        await runs.run(ORDER, permit)
    ended = cluster.life(ORDER.name).ended.is_set()
    await asyncio.gather(*others)

    assert ended, "whoever asks again starts nothing beside it"


async def test_without_a_permit_no_job_is_created(runs: JobRuns) -> None:
    async def refuse() -> None:
        raise LeaseLostError("the lease has passed on")

    with pytest.raises(LeaseLostError):
        await runs.run(ORDER, Permit(refuse))

    assert runs.kubernetes.store.created == []


async def test_a_job_is_followed_though_its_uid_was_not_stored(runs: JobRuns) -> None:
    runs.succeeds_when_ready(ORDER)

    assert await runs.run(ORDER, Permit(loss=StoreUnavailableError("away"))) == AccountingRun(0, None)


async def test_a_job_that_another_one_goes_on_with_is_left_to_it(runs: JobRuns) -> None:
    with pytest.raises(LeaseLostError):
        await runs.run(ORDER, Permit(loss=LeaseLostError("the lease has passed on")))

    assert not runs.kubernetes.cluster.life(ORDER.name).ended.is_set()


async def test_cancelling_leaves_the_job_running(runs: JobRuns) -> None:
    async with runs.running(ORDER) as task:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert not runs.kubernetes.cluster.life(ORDER.name).ended.is_set()
    assert "delete" not in runs.verbs()


def created(runs: JobRuns) -> Json:
    (one,) = runs.kubernetes.store.created
    return one
