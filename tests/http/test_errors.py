"""Every 4xx and 5xx has one shape, and nothing of the inside in it (design, "Errors")."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import datetime

import httpx
import pytest
from structlog.testing import capture_logs
from tests.dispatch.cluster import until
from tests.http.bench import Bench, report

from globeco_allocation.domain.execution import Execution
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.http.options import HttpOptions

SECRET = 'INSERT INTO execution /var/lib/secret File "app.py", line 7'


def assert_shape(answer: httpx.Response, status: int) -> None:
    body = answer.json()
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-correlation-id"]
    assert set(body) in ({"message", "status", "timestamp"}, {"message", "status", "timestamp", "details"})
    assert body["status"] == status
    assert body["message"].endswith(".")
    assert datetime.fromisoformat(body["timestamp"]).utcoffset() is not None
    assert body["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/static/nope",
        "/api/v1",
        "/api/v1/executions/1/2",
        "/docs/static/x",
        "/docs/static/..%2Fdocs.html",
    ],
)
async def test_an_unknown_address_is_a_404(client: httpx.AsyncClient, path: str) -> None:
    assert_shape(await client.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/executions", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("DELETE", "/api/v1/executions/1", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/api/v1/executions/send", {"OPTIONS", "POST"}),
        ("POST", "/healthz", {"GET", "HEAD", "OPTIONS"}),
        ("BREW", "/readyz", {"GET", "HEAD", "OPTIONS"}),
    ],
)
async def test_a_wrong_method_is_a_405_that_names_the_right_ones(
    client: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = await client.request(method, path)

    assert_shape(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == allowed


async def body_of(size: int) -> AsyncGenerator[bytes]:
    """A body without a Content-Length."""
    for _ in range(size // 1000):
        yield b" " * 1000


@pytest.mark.parametrize("path", ["/api/v1/executions", "/api/v1/executions/send"])
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
async def test_a_body_over_the_limit_is_a_413(path: str, announced: bool) -> None:
    async with Bench(options=HttpOptions(max_body_bytes=10_000)).client() as client:
        answer = await client.post(path, content=b" " * 11_000 if announced else body_of(11_000))

    assert_shape(answer, 413)
    assert answer.json()["message"] == "The request body has more than 10000 bytes."


async def test_a_body_at_the_limit_is_taken() -> None:
    body = json.dumps([report()]).encode()
    async with Bench(options=HttpOptions(max_body_bytes=len(body))).client() as client:
        answer = await client.post("/api/v1/executions", content=body)

    assert answer.status_code == 201


async def test_an_invalid_host_is_a_400(client: httpx.AsyncClient) -> None:
    assert_shape(await client.get("/healthz", headers={"Host": "a b/c"}), 400)


async def test_a_fault_of_our_own_is_a_500_that_says_nothing_and_a_log_line_that_says_all(
    bench: Bench, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def get(_id: int) -> Execution:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(bench.executions, "get", get)
    with capture_logs() as lines:
        answer = await client.get("/api/v1/executions/1", headers={"X-Correlation-ID": "abc"})

    (line,) = [one for one in lines if one["event"] == logs.REQUEST_FAILED]
    assert_shape(answer, 500)
    assert not any(word in answer.text for word in SECRET.split())
    assert str(line["exc_info"]) == SECRET
    assert line["exc_info"].__traceback__ is not None


async def test_even_a_fault_in_the_error_handlers_is_a_500_in_shape(
    bench: Bench, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = iter([True])
    now = bench.clock.now

    def now_after_a_fault() -> datetime:
        if next(readings, False):
            raise RuntimeError(SECRET)
        return now()

    monkeypatch.setattr(bench.clock, "now", now_after_a_fault)
    answer = await client.get("/nope")

    assert_shape(answer, 500)
    assert "secret" not in answer.text


async def test_a_caller_that_goes_before_its_request_is_complete_is_no_fault_of_ours(bench: Bench) -> None:
    with capture_logs() as lines:
        async with bench.server() as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /api/v1/executions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n[")
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.close()
            await writer.wait_closed()
            await until(lambda: any(one["event"] == logs.REQUEST for one in lines))

    events = [one["event"] for one in lines]
    assert logs.CALLER_HUNG_UP in events
    assert logs.REQUEST_FAILED not in events
