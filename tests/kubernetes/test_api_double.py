"""Creating, reading and permissions, seen through the real client."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from lightkube import AsyncClient, KubeConfig
from lightkube.resources.batch_v1 import Job
from lightkube.types import CascadeType
from tests.kubernetes.api_double import NAMESPACE, KubernetesDouble
from tests.kubernetes.calling import job, names, refused, version
from tests.kubernetes.conftest import JobBody


async def test_a_job_is_stored_with_identity_and_defaults(client: AsyncClient, job_body: JobBody) -> None:
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
    client: AsyncClient, job_body: JobBody, kubernetes: KubernetesDouble
) -> None:
    await client.create(job(job_body("one")))
    error = await refused(client.create(job(job_body("one"))))

    assert (error.status.code, error.status.reason) == (409, "AlreadyExists")
    assert len(kubernetes.store.created) == 1


async def test_a_name_is_taken_while_its_job_is_being_deleted(
    client: AsyncClient, job_body: JobBody, kubernetes: KubernetesDouble
) -> None:
    kubernetes.cluster.start_delay = 0.2
    await client.create(job(job_body("one")))
    await client.delete(Job, "one", cascade=CascadeType.FOREGROUND)
    error = await refused(client.create(job(job_body("one"))))
    read = await client.get(Job, "one")
    await kubernetes.cluster.until_ended("one")
    await kubernetes.cluster.until(lambda: not kubernetes.store.all(lambda _: True))
    await client.create(job(job_body("one")))

    assert error.status.code == 409
    assert error.status.message is not None
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
    client: AsyncClient,
    job_body: JobBody,
    kubernetes: KubernetesDouble,
    name: str,
    labels: dict[str, str],
) -> None:
    error = await refused(client.create(job(job_body(name, labels))))

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
    client: AsyncClient, job_body: JobBody, spec: dict[str, Any]
) -> None:
    error = await refused(client.create(job(job_body("one", None, **spec))))

    assert error.status.code == 422


async def test_a_name_of_63_characters_is_valid(client: AsyncClient, job_body: JobBody) -> None:
    name = "b" * 63
    await client.create(job(job_body(name, {"file": "t" * 63, "example.com/part": "1_a.B"})))

    assert (await client.get(Job, name)).metadata is not None


async def test_an_absent_job_is_told_by_a_status(client: AsyncClient) -> None:
    error = await refused(client.get(Job, "none"))

    assert (error.status.code, error.status.reason) == (404, "NotFound")


async def test_a_list_is_chosen_by_labels_and_read_in_pieces(client: AsyncClient, job_body: JobBody) -> None:
    for name, lane in (("a", "0"), ("b", "1"), ("c", "1"), ("d", "2")):
        await client.create(job(job_body(name, {"lane": lane})))

    assert await names(client, {"lane": "1"}) == ["b", "c"]
    assert await names(client, {"lane": ("0", "2")}) == ["a", "d"]
    assert await names(client, {"lane": None}, piece=1) == ["a", "b", "c", "d"]
    assert await names(client, fields={"metadata.name": "c"}) == ["c"]
    assert await names(client, {"other": None}) == []


async def test_what_the_role_lacks_is_forbidden(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    kubernetes.permitted.remove("create")
    error = await refused(client.create(job(job_body("one"))))
    elsewhere = await refused(client.get(Job, "one", namespace="kube-system"))
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {kubernetes.token}"}) as session:
        pods = await session.get(f"{kubernetes.url}/api/v1/namespaces/{NAMESPACE}/pods")
        said = await pods.json()

    assert (error.status.code, error.status.reason) == (403, "Forbidden")
    assert elsewhere.status.code == 403
    assert (said["code"], said["details"]["kind"]) == (403, "pods")


async def test_a_rotated_token_is_read_again(
    client: AsyncClient, kubernetes: KubernetesDouble, token_file: Path
) -> None:
    await refused(client.get(Job, "none"))
    kubernetes.rotate_token("second-token", token_file)
    error = await refused(client.get(Job, "none"))

    assert error.status.code == 404
    assert [one.status for one in kubernetes.requests] == [404, 401, 404]


async def test_an_expired_token_is_refused(client: AsyncClient, kubernetes: KubernetesDouble) -> None:
    kubernetes.rotate_token("nobody-knows-this-one")
    error = await refused(client.get(Job, "none"))

    assert (error.status.code, error.status.reason) == (401, "Unauthorized")


async def test_a_pod_finds_the_api_by_its_service_account(
    secure_kubernetes: KubernetesDouble, service_account: Path, job_body: JobBody
) -> None:
    client = AsyncClient(config=KubeConfig.from_service_account(service_account), trust_env=False)
    made = await client.create(job(job_body("one")))
    await client.aclose()

    assert made.metadata is not None
    assert made.metadata.namespace == NAMESPACE
    assert secure_kubernetes.url.startswith("https://")
