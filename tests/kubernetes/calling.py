"""Calls through the real client, with the types it leaves open."""

from collections.abc import AsyncIterable, Awaitable
from typing import Any

import msgspec
import pytest
from lightkube import ApiError, AsyncClient
from lightkube.resources.batch_v1 import Job

Events = list[tuple[str, Job]]


def job(body: dict[str, Any]) -> Job:
    """The client's Job for this JSON."""
    return msgspec.convert(body, Job)


def watch(
    client: AsyncClient, *, since: str | None = None, name: str | None = None, seconds: int | None = None
) -> AsyncIterable[tuple[str, Job]]:
    """Watch the Jobs, or one of them, from a version or from now on; the client begins again at each end."""
    fields: dict[str, Any] | None = {"metadata.name": name} if name else None
    return client.watch(  # pyright: ignore[reportUnknownMemberType] - its operators name no type
        Job, resource_version=since, fields=fields, server_timeout=seconds
    )


async def collect(events: Events, watching: AsyncIterable[tuple[str, Job]]) -> None:
    """Keep what a watch tells until it fails."""
    async for kind, seen in watching:
        events.append((kind, seen))


async def names(
    client: AsyncClient,
    labels: dict[str, Any] | None = None,
    fields: dict[str, Any] | None = None,
    piece: int | None = None,
) -> list[str]:
    """The names of the chosen Jobs, read in pieces of this size."""
    found = client.list(  # pyright: ignore[reportUnknownMemberType] - its operators name no type
        Job, labels=labels, fields=fields, chunk_size=piece
    )
    return [one.metadata.name or "" async for one in found if one.metadata]


async def refused(work: Awaitable[object]) -> ApiError:
    """The Status with which a call is refused."""
    with pytest.raises(ApiError) as caught:
        await work
    return caught.value


def conditions(job: Job) -> list[tuple[str, str | None]]:
    """Type and reason of each condition, in their order."""
    found = job.status.conditions if job.status else None
    return [(one.type, one.reason) for one in found or []]


def version(job: Job) -> str:
    """The Job's resource version."""
    assert job.metadata is not None
    assert job.metadata.resourceVersion is not None
    return job.metadata.resourceVersion
