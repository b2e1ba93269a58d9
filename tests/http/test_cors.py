"""Pages of other origins may read answers when their origin is configured, and never else."""

import httpx
import pytest
from tests.http.bench import Bench

from globeco_allocation.entrypoints.http.options import HttpOptions

PORTAL = "https://portal.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


def shared(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.fixture
def bench() -> Bench:
    return Bench(options=HttpOptions(cors_allowed_origins=(PORTAL, "http://localhost:3000")))


@pytest.mark.parametrize("path", ["/healthz", "/nope", "/api/v1/executions/x"])
async def test_a_configured_origin_may_read_every_answer(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Origin": PORTAL})

    assert answer.headers["access-control-allow-origin"] == PORTAL
    assert "X-Correlation-ID" in answer.headers["access-control-expose-headers"]
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://portal.example.evil.example", "http://portal.example", "null"]
)
async def test_another_origin_may_not(client: httpx.AsyncClient, origin: str) -> None:
    answer = await client.get("/healthz", headers={"Origin": origin})
    preflight = await client.options("/healthz", headers={"Origin": origin, **PREFLIGHT})

    assert (answer.status_code, shared(answer)) == (200, {})
    assert (preflight.status_code, shared(preflight)) == (204, {})


async def test_a_preflight_of_a_configured_origin_is_answered(client: httpx.AsyncClient) -> None:
    answer = await client.options("/api/v1/executions/send", headers={"Origin": PORTAL, **PREFLIGHT})

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == PORTAL
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Content-Type" in answer.headers["access-control-allow-headers"]
    assert answer.headers["x-correlation-id"]


async def test_without_configured_origins_nobody_may() -> None:
    async with Bench().client() as client:
        answer = await client.get("/healthz", headers={"Origin": PORTAL})
        preflight = await client.options("/api/v1/executions", headers={"Origin": PORTAL, **PREFLIGHT})

    assert shared(answer) == {}
    assert shared(preflight) == {}


async def test_every_origin_may_when_that_is_configured() -> None:
    async with Bench(options=HttpOptions(cors_allowed_origins=("*",))).client() as client:
        answer = await client.get("/healthz", headers={"Origin": "https://anyone.example"})

    assert answer.headers["access-control-allow-origin"] == "*"
