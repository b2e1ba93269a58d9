"""What a browser is told with every answer, so that it does no harm with it."""

import asyncio

import httpx
import pytest
from tests.http.bench import Bench

from globeco_allocation.entrypoints import http_protocol
from globeco_allocation.entrypoints.http.options import HttpOptions
from globeco_allocation.entrypoints.http_protocol import Protocol

DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
EVERY_ANSWER = [
    ("GET", "/api/v1/executions", 200),
    ("GET", "/api/v1/executions/9", 404),
    ("GET", "/api/v1/batches?limit=0", 400),
    ("PUT", "/api/v1/batches", 405),
    ("OPTIONS", "/api/v1/batches", 204),
    ("HEAD", "/healthz", 200),
    ("GET", "/nowhere", 404),
    ("GET", "/metrics", 200),
    ("GET", "/docs/openapi.json", 200),
]


@pytest.fixture
def bench() -> Bench:
    return Bench(options=HttpOptions(cors_allowed_origins=("https://a.example",)))


@pytest.mark.parametrize(("method", "path", "status"), EVERY_ANSWER)
async def test_data_can_neither_run_nor_be_guessed_at_nor_kept(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)

    assert answer.status_code == status
    assert answer.headers.get_list("content-security-policy") == [DATA_POLICY]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers.get_list("referrer-policy") == ["no-referrer"]
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert "server" not in answer.headers


async def test_preflights_have_them_too(client: httpx.AsyncClient) -> None:
    asks = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    answer = await client.options("/api/v1/executions", headers=asks)

    assert answer.headers["content-security-policy"] == DATA_POLICY


@pytest.mark.parametrize("sent", [b"\x16\x03\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000])
async def test_what_never_reached_the_app_is_answered_with_them(
    bench: Bench, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "REQUEST_SECONDS", 0.5)
    async with bench.server(Protocol) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        head = (await reader.read()).partition(b"\r\n\r\n")[0].decode().lower()
        writer.close()

    assert f"content-security-policy: {DATA_POLICY}" in head
    assert "x-content-type-options: nosniff" in head
    assert "connection: close" in head
    assert "server:" not in head


async def test_the_documentation_has_one_policy_of_its_own_without_a_hole(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    (policy,) = answer.headers.get_list("content-security-policy")

    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_assets_may_be_kept(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs/static/docs.js")

    assert answer.headers.get_list("cache-control") == ["public, max-age=3600"]
    assert answer.headers["x-content-type-options"] == "nosniff"
