"""What the cluster does with a Job, and what one sees of it."""

import asyncio
from pathlib import Path

import pytest
from lightkube import AsyncClient, KubeConfig
from lightkube.resources.batch_v1 import Job
from lightkube.types import CascadeType
from tests.kubernetes.api_double import LANE, LANES, NAMESPACE, KubernetesDouble
from tests.kubernetes.calling import Events, collect, conditions, job, refused, version, watch
from tests.kubernetes.conftest import JobBody
from tests.kubernetes.pods import Pod, simulated_accounting, until_told_deaf
from tests.kubernetes.validation import restricted_violations
from tests.simulated.workplace import HEADER


async def test_a_job_succeeds_in_two_steps(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    made = await client.create(job(job_body("one")))
    await kubernetes.cluster.until_ready("one")
    events: Events = []
    watching = asyncio.ensure_future(collect(events, watch(client, since=version(made), name="one")))
    kubernetes.cluster.succeed("one")
    await kubernetes.cluster.until(lambda: bool(events) and len(conditions(events[-1][1])) == 2)
    watching.cancel()
    last = events[-1][1]

    assert {kind for kind, _ in events} == {"MODIFIED"}
    assert [("SuccessCriteriaMet", "CompletionsReached")] in [conditions(seen) for _, seen in events]
    assert conditions(last)[1] == ("Complete", "CompletionsReached")
    assert last.status is not None
    assert (last.status.succeeded, last.status.active, last.status.failed) == (1, None, None)
    assert last.status.completionTime is not None
    versions = [int(version(seen)) for _, seen in events]
    assert versions == sorted(set(versions))


async def test_a_job_fails_with_its_process(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    await client.create(job(job_body("one")))
    await kubernetes.cluster.until_ready("one")
    kubernetes.cluster.fail("one")
    await kubernetes.cluster.until_finished("one")
    read = await client.get(Job, "one")

    assert conditions(read) == [
        ("FailureTarget", "BackoffLimitExceeded"),
        ("Failed", "BackoffLimitExceeded"),
    ]
    assert read.status is not None
    assert read.status.failed == 1


async def test_past_its_deadline_a_job_is_first_marked_and_failed_only_when_its_process_has_ended(
    job_body: JobBody, tmp_path: Path
) -> None:
    async def deaf(pod: Pod) -> int:
        return await pod.run("/bin/sh", "-c", f"trap '' TERM; echo > {tmp_path}/on; sleep 60", env={})

    async with KubernetesDouble(handler=deaf) as kubernetes:
        kubernetes.cluster.second = 0.02
        path = kubernetes.write_kubeconfig(tmp_path / "kubeconfig", tmp_path / "token")
        client = AsyncClient(config=KubeConfig.from_file(path), trust_env=False)
        await client.create(job(job_body("one", None, activeDeadlineSeconds=1000)))
        await kubernetes.cluster.until((tmp_path / "on").exists)
        kubernetes.cluster.pass_deadline("one")
        await asyncio.sleep(0.1)
        early = await client.get(Job, "one")
        running_then = not kubernetes.cluster.life("one").ended.is_set()
        await kubernetes.cluster.until_finished("one")
        late = await client.get(Job, "one")
        await client.aclose()

    assert conditions(early) == [("FailureTarget", "DeadlineExceeded")]
    assert running_then
    assert early.status is not None
    assert (early.status.active, early.status.terminating) == (None, 1)
    assert conditions(late)[1:] == [("Failed", "DeadlineExceeded")]


@pytest.mark.parametrize("hindrance", ["image", "claim", "account"])
async def test_a_pod_that_cannot_start_shows_nothing_until_the_deadline(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody, hindrance: str
) -> None:
    match hindrance:
        case "image":
            kubernetes.cluster.unpullable.add("accounting:1")
        case "claim":
            kubernetes.cluster.claims = {}
        case _:
            kubernetes.cluster.service_accounts = set()
    await client.create(job(job_body("one", None, activeDeadlineSeconds=1)))
    await kubernetes.cluster.until(lambda: "ready" in kubernetes.store.get(NAMESPACE, "one")["status"])
    await asyncio.sleep(0.1)
    before = await client.get(Job, "one")
    kubernetes.cluster.pass_deadline("one")
    await kubernetes.cluster.until_finished("one")
    after = await client.get(Job, "one")

    assert before.status is not None
    assert before.status.active == (None if hindrance == "account" else 1)
    assert before.status.ready == 0
    assert conditions(before) == []
    assert conditions(after)[-1] == ("Failed", "DeadlineExceeded")


async def test_a_job_without_a_limit_of_its_own_is_run_again(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    kubernetes.cluster.retry_delay = 0.0
    await client.create(job(job_body("one", None, backoffLimit=1)))
    await kubernetes.cluster.until_ready("one")
    kubernetes.cluster.fail("one")
    await kubernetes.cluster.until(lambda: len(kubernetes.cluster.life("one").pods) == 2)
    kubernetes.cluster.succeed("one")
    await kubernetes.cluster.until_finished("one")

    with pytest.raises(AssertionError, match="backoffLimit"):
        kubernetes.assert_one_job_an_attempt()


async def test_a_finished_job_is_removed_when_its_time_is_over(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    await client.create(job(job_body("one", None, ttlSecondsAfterFinished=86400)))
    await kubernetes.cluster.until_ready("one")
    kubernetes.cluster.succeed("one")
    await kubernetes.cluster.until_finished("one")
    await client.get(Job, "one")
    kubernetes.cluster.pass_time_to_live("one")
    await kubernetes.cluster.until(lambda: not kubernetes.store.all(lambda _: True))

    assert (await refused(client.get(Job, "one"))).status.code == 404


async def test_a_pod_past_its_own_limit_fails_its_job(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    body = job_body("one")
    body["spec"]["template"]["spec"]["activeDeadlineSeconds"] = 1800
    await client.create(job(body))
    await kubernetes.cluster.until_ready("one")
    kubernetes.cluster.pass_pod_limit("one")
    await kubernetes.cluster.until_finished("one")

    assert conditions(await client.get(Job, "one"))[-1] == ("Failed", "BackoffLimitExceeded")


async def test_the_simulated_accounting_cli_runs_on_the_directory_that_stands_for_the_claim(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody, tmp_path: Path
) -> None:
    claim = tmp_path / "claim"
    claim.mkdir()
    (claim / "t.csv").write_text(HEADER)
    kubernetes.cluster.claims = {"files": claim}
    kubernetes.cluster.handler = simulated_accounting(
        {"SIMULATED_ACCOUNTING_LEDGER": str(tmp_path / "ledger.sqlite3")}
    )
    body = job_body("one")
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["args"] = ["process", "--file", "/data/t.csv", "--output-dir", "/data", "--skip-sort"]
    await client.create(job(body))
    await kubernetes.cluster.until_finished("one")

    assert conditions(await client.get(Job, "one"))[-1][0] == "Complete"
    assert (tmp_path / "ledger.sqlite3").exists()


async def test_a_deletion_in_the_background_frees_the_name_while_the_old_process_has_its_grace(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    kubernetes.cluster.handler = until_told_deaf
    await client.create(job(job_body("one")))
    await kubernetes.cluster.until_ready("one")
    old = kubernetes.cluster.life("one")
    await client.delete(Job, "one", cascade=CascadeType.BACKGROUND)
    gone = await refused(client.get(Job, "one"))
    await client.create(job(job_body("one")))

    assert gone.status.code == 404
    assert old.pods[0].terminating.is_set()
    assert not old.ended.is_set()
    with pytest.raises(AssertionError, match="one and one at once in lane 0"):
        kubernetes.assert_lanes_kept()
    with pytest.raises(AssertionError, match="more than one Job was created with the name one"):
        kubernetes.assert_one_job_an_attempt()


async def test_a_deletion_without_a_policy_lets_the_process_run_on(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    await client.create(job(job_body("one", None, activeDeadlineSeconds=1800)))
    await kubernetes.cluster.until_ready("one")
    await client.delete(Job, "one")
    await kubernetes.cluster.until(lambda: not kubernetes.store.all(lambda _: True))
    life = kubernetes.cluster.life("one")
    kubernetes.cluster.pass_deadline("one")
    await asyncio.sleep(0.05)
    ran_on = not life.pods[0].terminating.is_set() and not life.ended.is_set()
    kubernetes.cluster.succeed("one")
    await kubernetes.cluster.until_ended("one")

    assert ran_on


async def test_a_process_killed_with_its_node_fails_its_job(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    kubernetes.cluster.handler = until_told_deaf
    await client.create(job(job_body("one")))
    await kubernetes.cluster.until_ready("one")
    kubernetes.cluster.lose_node("one")
    await kubernetes.cluster.until_finished("one")

    assert conditions(await client.get(Job, "one"))[-1][0] == "Failed"


async def test_a_namespace_with_the_restricted_standard_makes_no_pod_without_a_security_context(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    kubernetes.cluster.restricted = True
    await client.create(job(job_body("one")))
    await kubernetes.cluster.until(lambda: "ready" in kubernetes.store.get(NAMESPACE, "one")["status"])
    read = await client.get(Job, "one")

    assert read.status is not None
    assert read.status.active is None
    assert "runAsNonRoot != true" in restricted_violations(kubernetes.store.created[0])


async def test_jobs_one_after_another_and_lanes_side_by_side_keep_the_rules(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    for name, lane in (("a", "0"), ("b", "1")):
        await client.create(job(job_body(name, {LANE: lane, LANES: "2"})))
        await kubernetes.cluster.until_ready(name)
    kubernetes.cluster.succeed("a")
    await kubernetes.cluster.until_finished("a")
    await client.create(job(job_body("c", {LANE: "0", LANES: "2"})))

    kubernetes.assert_lanes_kept()
    kubernetes.assert_one_job_an_attempt()
    await client.create(job(job_body("d", {LANE: "3", LANES: "4"})))
    with pytest.raises(AssertionError, match="lane counts"):
        kubernetes.assert_lanes_kept()
