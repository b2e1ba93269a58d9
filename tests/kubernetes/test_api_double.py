"""The double speaks the API's language: seen through the real client, lightkube."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
from lightkube import ApiError, AsyncClient, KubeConfig
from lightkube.resources.batch_v1 import Job
from lightkube.types import CascadeType
from tests.kubernetes.api_double import NAMESPACE, KubernetesDouble
from tests.kubernetes.conftest import JobBody

Events = list[tuple[str, Job]]
_SOON = 10.0


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncGenerator[AsyncClient]:
    config = KubeConfig.from_file(kubeconfig)
    async with asyncio.timeout(100):
        client = AsyncClient(config=config, trust_env=False, timeout=httpx2.Timeout(2.0))
        yield client
        await client.aclose()


def job(body: dict[str, Any]) -> Job:
    return Job.from_dict(body)


def conditions(job: Job) -> list[tuple[str, str | None]]:
    found = job.status.conditions if job.status else None
    return [(one.type, one.reason) for one in found or []]


def version(job: Job) -> str:
    assert job.metadata is not None
    assert job.metadata.resourceVersion is not None
    return job.metadata.resourceVersion


async def collected(client: AsyncClient, events: Events, **options: Any) -> None:
    async with asyncio.timeout(_SOON):
        async for kind, seen in client.watch(Job, **options):
            events.append((kind, seen))


async def refused_with(error: type[Exception], work: Any) -> Any:
    with pytest.raises(error) as caught:
        await work
    return caught.value


class TestCreating:
    async def test_a_job_is_stored_with_identity_and_defaults(
        self, client: AsyncClient, job_body: JobBody
    ) -> None:
        made = await client.create(job(job_body("b1-l0-a1")))
        read = await client.get(Job, "b1-l0-a1")

        assert made.metadata is not None
        assert made.spec is not None
        assert read.metadata is not None
        assert made.metadata.uid == read.metadata.uid
        assert int(version(read)) >= int(version(made))
        assert made.metadata.creationTimestamp is not None
        assert made.spec.podReplacementPolicy == "TerminatingOrFailed"
        assert made.spec.template.spec is not None
        assert made.spec.template.spec.terminationGracePeriodSeconds == 30

    async def test_a_name_is_given_once(
        self, client: AsyncClient, job_body: JobBody, kubernetes: KubernetesDouble
    ) -> None:
        await client.create(job(job_body("one")))
        error = await refused_with(ApiError, client.create(job(job_body("one"))))

        assert (error.status.code, error.status.reason) == (409, "AlreadyExists")
        assert len(kubernetes.store.created) == 1

    async def test_a_name_is_taken_while_its_job_is_being_deleted(
        self, client: AsyncClient, job_body: JobBody, kubernetes: KubernetesDouble
    ) -> None:
        kubernetes.cluster.start_delay = 0.2
        await client.create(job(job_body("one")))
        await client.delete(Job, "one", cascade=CascadeType.FOREGROUND)
        error = await refused_with(ApiError, client.create(job(job_body("one"))))
        read = await client.get(Job, "one")
        await kubernetes.cluster.until_ended("one")
        await kubernetes.cluster.until(lambda: not kubernetes.store.all(lambda _: True))
        await client.create(job(job_body("one")))

        assert error.status.code == 409
        assert error.status.message.startswith("object is being deleted")
        assert read.metadata is not None
        assert read.metadata.deletionTimestamp is not None

    @pytest.mark.parametrize(
        ("name", "labels"),
        [
            pytest.param("a" * 64, {}, id="a name of 64 characters"),
            pytest.param("Batch-1", {}, id="a name with a capital"),
            pytest.param("batch_1", {}, id="a name with an underscore"),
            pytest.param("", {}, id="no name"),
            pytest.param("one", {"file": "t" * 64}, id="a label's value of 64 characters"),
            pytest.param("one", {"file": "a/b"}, id="a label's value with a slash"),
            pytest.param("one", {"file": "-a"}, id="a label's value that begins with a dash"),
            pytest.param("one", {"a b": "c"}, id="a label's key with a blank"),
            pytest.param("one", {"k" * 64: "c"}, id="a label's key of 64 characters"),
            pytest.param("one", {"Example.com/a": "c"}, id="a label's prefix with a capital"),
        ],
    )
    async def test_what_is_not_valid_is_not_stored(
        self,
        client: AsyncClient,
        job_body: JobBody,
        kubernetes: KubernetesDouble,
        name: str,
        labels: dict[str, str],
    ) -> None:
        error = await refused_with(ApiError, client.create(job(job_body(name, labels))))

        assert (error.status.code, error.status.reason) == (422, "Invalid")
        assert kubernetes.store.created == []

    @pytest.mark.parametrize(
        "spec",
        [
            pytest.param({"backoffLimit": -1}, id="a negative limit"),
            pytest.param({"podReplacementPolicy": "Never"}, id="an unknown policy"),
            pytest.param({"template": {"spec": {"containers": []}}}, id="no container"),
            pytest.param(
                {"template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}, id="restarts always"
            ),
        ],
    )
    async def test_a_spec_that_is_not_valid_is_not_stored(
        self, client: AsyncClient, job_body: JobBody, spec: dict[str, Any]
    ) -> None:
        error = await refused_with(ApiError, client.create(job(job_body("one", None, **spec))))

        assert error.status.code == 422

    async def test_a_name_of_63_characters_is_valid(self, client: AsyncClient, job_body: JobBody) -> None:
        name = "b" * 63
        await client.create(job(job_body(name, {"file": "t" * 63, "example.com/part": "1_a.B"})))

        assert (await client.get(Job, name)).metadata is not None


class TestReading:
    async def test_an_absent_job_is_told_by_a_status(self, client: AsyncClient) -> None:
        error = await refused_with(ApiError, client.get(Job, "none"))

        assert (error.status.code, error.status.reason) == (404, "NotFound")

    async def test_a_list_is_chosen_by_labels_and_read_in_pieces(
        self, client: AsyncClient, job_body: JobBody
    ) -> None:
        for name, lane in (("a", "0"), ("b", "1"), ("c", "1"), ("d", "2")):
            await client.create(job(job_body(name, {"lane": lane})))

        async def names(**options: Any) -> list[str]:
            found = [one async for one in client.list(Job, **options)]
            return [one.metadata.name or "" for one in found if one.metadata]

        assert await names(labels={"lane": "1"}) == ["b", "c"]
        assert await names(labels={"lane": ("0", "2")}) == ["a", "d"]
        assert await names(labels={"lane": None}, chunk_size=1) == ["a", "b", "c", "d"]
        assert await names(fields={"metadata.name": "c"}) == ["c"]
        assert await names(labels={"other": None}) == []

    async def test_what_the_role_lacks_is_forbidden(
        self, client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
    ) -> None:
        kubernetes.permitted.remove("create")
        error = await refused_with(ApiError, client.create(job(job_body("one"))))
        elsewhere = await refused_with(ApiError, client.get(Job, "one", namespace="kube-system"))
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {kubernetes.token}"}) as session:
            pods = await session.get(f"{kubernetes.url}/api/v1/namespaces/{NAMESPACE}/pods")
            said = await pods.json()

        assert (error.status.code, error.status.reason) == (403, "Forbidden")
        assert elsewhere.status.code == 403
        assert (said["code"], said["details"]["kind"]) == (403, "pods")

    async def test_a_rotated_token_is_read_again(
        self, client: AsyncClient, kubernetes: KubernetesDouble, token_file: Path
    ) -> None:
        await refused_with(ApiError, client.get(Job, "none"))
        kubernetes.rotate_token("second-token", token_file)
        error = await refused_with(ApiError, client.get(Job, "none"))

        assert error.status.code == 404
        assert [one.status for one in kubernetes.requests] == [404, 401, 404]

    async def test_an_expired_token_is_refused(
        self, client: AsyncClient, kubernetes: KubernetesDouble
    ) -> None:
        kubernetes.rotate_token("nobody-knows-this-one")
        error = await refused_with(ApiError, client.get(Job, "none"))

        assert (error.status.code, error.status.reason) == (401, "Unauthorized")

    async def test_a_pod_finds_the_api_by_its_service_account(
        self, secure_kubernetes: KubernetesDouble, service_account: Path, job_body: JobBody
    ) -> None:
        client = AsyncClient(config=KubeConfig.from_service_account(service_account), trust_env=False)
        made = await client.create(job(job_body("one")))
        await client.aclose()

        assert made.metadata is not None
        assert made.metadata.namespace == NAMESPACE
        assert secure_kubernetes.url.startswith("https://")


class TestRunning:
    async def test_a_job_succeeds_in_two_steps(
        self, client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
    ) -> None:
        made = await client.create(job(job_body("one")))
        await kubernetes.cluster.until_ready("one")
        events: Events = []
        watching = asyncio.ensure_future(
            collected(client, events, resource_version=version(made), fields={"metadata.name": "one"})
        )
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
        self, client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
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
        self, job_body: JobBody, tmp_path: Path
    ) -> None:
        async def deaf(pod: Any) -> int:
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
        self, client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody, hindrance: str
    ) -> None:
        match hindrance:
            case "image":
                kubernetes.cluster.unpullable.add("accounting:1")
            case "claim":
                kubernetes.cluster.claims = {}
            case _:
                kubernetes.cluster.service_accounts = set()
        await client.create(job(job_body("one", None, activeDeadlineSeconds=1)))
        await kubernetes.cluster.until(
            lambda: "startTime" in kubernetes.store.get(NAMESPACE, "one")["status"]
        )
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
        self, client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
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
        self, client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
    ) -> None:
        await client.create(job(job_body("one", None, ttlSecondsAfterFinished=86400)))
        await kubernetes.cluster.until_ready("one")
        kubernetes.cluster.succeed("one")
        await kubernetes.cluster.until_finished("one")
        await client.get(Job, "one")
        kubernetes.cluster.pass_time_to_live("one")
        await kubernetes.cluster.until(lambda: not kubernetes.store.all(lambda _: True))

        assert (await refused_with(ApiError, client.get(Job, "one"))).status.code == 404
