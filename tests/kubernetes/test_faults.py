"""What goes wrong on demand, and that the Jobs are then as the fault says."""

import asyncio

import httpx2
import pytest
from lightkube import ApiError, AsyncClient
from lightkube.resources.batch_v1 import Job
from tests.kubernetes.api_double import KubernetesDouble
from tests.kubernetes.calling import collect, job, refused, watch
from tests.kubernetes.conftest import JobBody
from tests.kubernetes.faults import (
    CutBefore,
    Delay,
    Fault,
    Hang,
    HangAfter,
    Late,
    LoseAnswer,
    PlainNotFound,
    ServerFailed,
)


@pytest.mark.parametrize(
    ("fault", "stored"),
    [
        pytest.param(LoseAnswer(), True, id="the answer lost"),
        pytest.param(HangAfter(), True, id="the answer never sent"),
        pytest.param(CutBefore(), False, id="cut before"),
        pytest.param(Hang(), False, id="hung before"),
        pytest.param(Delay(2.0), False, id="too slow"),
    ],
)
async def test_a_create_without_an_answer_is_stored_or_not(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody, fault: Fault, stored: bool
) -> None:
    kubernetes.faults.next("create", fault)
    with pytest.raises(httpx2.TransportError):
        await client.create(job(job_body("one")))

    assert [one["metadata"]["name"] for one in kubernetes.store.created] == (["one"] if stored else [])
    if stored:
        assert (await refused(client.create(job(job_body("one"))))).status.code == 409
    else:
        await client.create(job(job_body("one")))


async def test_a_create_can_be_carried_out_long_after_its_caller_left(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    kubernetes.faults.next("create", Late(1.5))
    with pytest.raises(httpx2.TimeoutException):
        await client.create(job(job_body("one")))
    before = list(kubernetes.store.created)
    await kubernetes.cluster.until_created("one")

    assert before == []
    assert (await client.get(Job, "one")).metadata is not None


async def test_a_restarting_server_has_no_status_for_what_it_does_not_serve_yet(
    client: AsyncClient, kubernetes: KubernetesDouble
) -> None:
    kubernetes.faults.next("get", PlainNotFound())
    with pytest.raises(httpx2.HTTPStatusError) as caught:
        await client.get(Job, "one")

    assert not isinstance(caught.value, ApiError)
    assert caught.value.response.status_code == 404
    assert isinstance(await refused(client.get(Job, "one")), ApiError)


async def test_a_fault_strikes_the_requests_it_is_meant_for(
    client: AsyncClient, kubernetes: KubernetesDouble
) -> None:
    kubernetes.faults.next("get", ServerFailed(500), skip=1)
    codes = [(await refused(client.get(Job, "one"))).status.code for _ in range(3)]
    kubernetes.faults.always("get", ServerFailed(503))
    always = [(await refused(client.get(Job, "one"))).status.code for _ in range(2)]
    kubernetes.faults.clear()

    assert codes == [404, 500, 404]
    assert always == [503, 503]
    assert (await refused(client.get(Job, "one"))).status.code == 404


async def test_a_stopped_server_refuses_connections_and_comes_back_with_its_jobs(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    made = await client.create(job(job_body("one")))
    await kubernetes.cluster.until_ready("one")
    watching = asyncio.ensure_future(collect([], watch(client)))
    await kubernetes.cluster.until(lambda: bool(kubernetes.watches.open))
    await kubernetes.stop()
    with pytest.raises(httpx2.TransportError):
        await watching
    with pytest.raises(httpx2.ConnectError):
        await client.get(Job, "one")
    kubernetes.cluster.succeed("one")
    await kubernetes.cluster.until_finished("one")
    await kubernetes.start()
    read = await client.get(Job, "one")

    assert read.metadata is not None
    assert made.metadata is not None
    assert read.metadata.uid == made.metadata.uid
    assert read.status is not None
    assert read.status.succeeded == 1


async def test_every_request_is_recorded(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    await client.create(job(job_body("one")))
    await client.get(Job, "one")
    first, second = kubernetes.requests

    assert (first.verb, first.method, first.status) == ("create", "POST", 201)
    assert first.body is not None
    assert first.body["metadata"]["name"] == "one"
    assert second.path.endswith("/jobs/one")
    assert second.user_agent.startswith("python-httpx2")
