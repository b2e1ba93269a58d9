"""Watches, seen through the real client and, where it hides the stream, through a plain one."""

import asyncio
import json
from collections.abc import AsyncGenerator

import aiohttp
import httpx2
import pytest
from lightkube import ApiError, AsyncClient
from lightkube.resources.batch_v1 import Job
from lightkube.types import CascadeType
from tests.kubernetes.api_double import NAMESPACE, KubernetesDouble
from tests.kubernetes.calling import Events, collect, job, version, watch
from tests.kubernetes.conftest import JobBody
from tests.kubernetes.faults import TooManyRequests
from tests.kubernetes.objects import Json

_SOON = 10.0
_JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"


@pytest.fixture
async def plain(kubernetes: KubernetesDouble) -> AsyncGenerator[aiohttp.ClientSession]:
    """A client that shows the stream as it is."""
    headers = {"Authorization": f"Bearer {kubernetes.token}"}
    async with aiohttp.ClientSession(kubernetes.url, headers=headers) as session:
        yield session


async def lines(session: aiohttp.ClientSession, **query: str) -> tuple[int, list[Json]]:
    """The events of a watch, up to its end."""
    async with asyncio.timeout(_SOON), session.get(_JOBS, params={"watch": "true", **query}) as answer:
        return answer.status, [json.loads(line) async for line in answer.content]


async def test_a_watch_from_now_begins_with_what_is_there_and_goes_on_with_what_comes(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    await client.create(job(job_body("one")))
    await kubernetes.cluster.until_ready("one")
    events: Events = []
    watching = asyncio.ensure_future(collect(events, watch(client, name="one")))
    await kubernetes.cluster.until(lambda: len(events) == 1)
    await client.create(job(job_body("other")))
    await client.delete(Job, "one", cascade=CascadeType.BACKGROUND)
    await kubernetes.cluster.until(lambda: len(events) == 2)
    watching.cancel()

    assert [kind for kind, _ in events] == ["ADDED", "DELETED"]
    assert int(version(events[1][1])) > int(version(events[0][1]))


async def test_a_watch_goes_on_after_the_version_it_names(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody, plain: aiohttp.ClientSession
) -> None:
    first = await client.create(job(job_body("one")))
    await client.create(job(job_body("two")))
    await kubernetes.cluster.until_ready("two")
    status, events = await lines(plain, resourceVersion=version(first), timeoutSeconds="1")

    assert status == 200
    assert {event["object"]["metadata"]["name"] for event in events if event["type"] == "ADDED"} == {"two"}
    assert all(int(event["object"]["metadata"]["resourceVersion"]) > int(version(first)) for event in events)


async def test_a_watch_ends_in_order_when_its_time_is_over_and_the_client_begins_it_again(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    made = await client.create(job(job_body("one")))
    events: Events = []
    watching = asyncio.ensure_future(collect(events, watch(client, since=version(made), seconds=1)))
    await kubernetes.cluster.until(lambda: len(kubernetes.requests_to("watch")) == 2)
    watching.cancel()
    asked = [one.query["resourceVersion"] for one in kubernetes.requests_to("watch")]

    assert asked == [version(made), version(events[-1][1])]


@pytest.mark.parametrize("as_status", [True, False], ids=["as a status", "as an event"])
async def test_a_watch_from_a_forgotten_version_is_gone(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody, as_status: bool
) -> None:
    made = await client.create(job(job_body("one")))
    kubernetes.watches.gone_as_status = as_status
    kubernetes.store.compact()
    with pytest.raises(httpx2.HTTPStatusError) as caught:
        await collect([], watch(client, since=version(made)))
    events: Events = []
    watching = asyncio.ensure_future(collect(events, watch(client)))
    await kubernetes.cluster.until(lambda: bool(events))
    watching.cancel()

    if as_status:
        assert caught.value.response.status_code == 410
    else:
        assert isinstance(caught.value, ApiError)
        assert (caught.value.status.code, caught.value.status.reason) == (410, "Expired")
    assert events[0][0] == "ADDED"


async def test_an_open_watch_is_told_that_its_version_expired(
    client: AsyncClient, kubernetes: KubernetesDouble
) -> None:
    watching = asyncio.ensure_future(collect([], watch(client)))
    await kubernetes.cluster.until(lambda: bool(kubernetes.watches.open))
    told = kubernetes.expire()
    with pytest.raises(ApiError) as caught:
        await watching

    assert told == 1
    assert caught.value.status.code == 410


async def test_an_open_watch_that_has_seen_everything_outlives_a_compaction(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody
) -> None:
    events: Events = []
    watching = asyncio.ensure_future(collect(events, watch(client)))
    await kubernetes.cluster.until(lambda: bool(kubernetes.watches.open))
    kubernetes.store.compact()
    await client.create(job(job_body("one")))
    await kubernetes.cluster.until(lambda: bool(events))
    watching.cancel()

    assert events[0][0] == "ADDED"


@pytest.mark.parametrize("how", ["drop", "cut"])
async def test_a_dropped_connection_is_an_error_of_the_transport(
    client: AsyncClient, kubernetes: KubernetesDouble, job_body: JobBody, how: str
) -> None:
    await client.create(job(job_body("one")))
    events: Events = []
    watching = asyncio.ensure_future(collect(events, watch(client)))
    await kubernetes.cluster.until(lambda: bool(events))
    kubernetes.watches.tell("drop" if how == "drop" else "cut")
    with pytest.raises(httpx2.TransportError):
        await watching

    assert len(kubernetes.requests_to("watch")) == 1


async def test_a_watch_is_refused_for_a_while_with_a_time_to_wait(
    client: AsyncClient, kubernetes: KubernetesDouble
) -> None:
    kubernetes.faults.next("watch", TooManyRequests(retry_after=3))
    with pytest.raises(httpx2.HTTPStatusError) as caught:
        await collect([], watch(client))

    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "3"


async def test_bookmarks_come_only_to_those_who_asked(
    kubernetes: KubernetesDouble, plain: aiohttp.ClientSession
) -> None:
    asked = asyncio.ensure_future(lines(plain, allowWatchBookmarks="true"))
    silent = asyncio.ensure_future(lines(plain))
    await kubernetes.cluster.until(lambda: len(kubernetes.watches.open) == 2)
    kubernetes.watches.tell("bookmark")
    kubernetes.watches.tell("end")

    assert [event["type"] for event in (await asked)[1]] == ["BOOKMARK"]
    assert (await silent)[1] == []
