"""Correlation ids, the access log and the metrics, on every answer there is."""

import asyncio
import json
import logging
import re
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.http.bench import Bench, report

from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.http.options import HttpOptions

REQUESTS = [
    ("GET", "/healthz", 200),
    ("GET", "/api/v1/executions/x", 400),
    ("GET", "/nope", 404),
    ("PUT", "/healthz", 405),
    ("OPTIONS", "/healthz", 204),
    ("HEAD", "/healthz", 200),
    ("GET", "/docs", 200),
]


@pytest.mark.parametrize(("method", "path", "status"), REQUESTS)
async def test_every_answer_carries_the_callers_correlation_id(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path, headers={"x-correlation-id": "921874afa1a7ff9a"})

    assert answer.status_code == status
    assert answer.headers.get_list("x-correlation-id") == ["921874afa1a7ff9a"]


@pytest.mark.parametrize(
    "given", [None, "", "a b", "a" * 129, "x\u00e9", "<script>", 'a"b'], ids=lambda one: repr(one)[:12]
)
async def test_an_id_that_is_absent_or_not_sane_is_replaced(
    client: httpx.AsyncClient, given: str | None
) -> None:
    headers = [] if given is None else [(b"X-Correlation-ID", given.encode())]
    answers = [await client.get("/healthz", headers=headers) for _ in range(2)]

    made = {one.headers["x-correlation-id"] for one in answers}
    assert len(made) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in made)


@pytest.mark.parametrize("given", ["a" * 128, "req-1.2_3:4"])
async def test_a_sane_id_is_kept(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.get("/healthz", headers={"X-Correlation-ID": given})

    assert answer.headers["x-correlation-id"] == given


async def test_the_id_is_known_to_whoever_calls_others_for_the_request(
    bench: Bench, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, str] = {}

    async def portfolio_of(execution_service_id: int) -> str:
        await asyncio.sleep(0)
        seen[execution_service_id] = logs.correlation_id()
        return "P"

    monkeypatch.setattr(bench.portfolios, "portfolio_of", portfolio_of)
    await asyncio.gather(
        *(
            client.post(
                "/api/v1/executions",
                content=json.dumps([report(key)]),
                headers={"X-Correlation-ID": f"caller-{key}"},
            )
            for key in (1, 2)
        )
    )

    assert seen == {1: "caller-1", 2: "caller-2"}
    assert logs.correlation_id() == ""


@pytest.mark.parametrize(
    ("method", "path", "line"),
    [
        ("GET", "/api/v1/executions/77?x=secret", ("info", "GET", "/api/v1/executions/{id}", 404)),
        ("GET", "/secret/path", ("info", "GET", "unmatched", 404)),
        ("BREW", "/secret", ("info", "other", "unmatched", 404)),
        ("GET", "/healthz", ("debug", "GET", "/healthz", 200)),
        ("GET", "/readyz", ("debug", "GET", "/readyz", 200)),
        ("GET", "/metrics", ("debug", "GET", "/metrics", 200)),
        ("GET", "/", ("debug", "GET", "/", 200)),
        ("GET", "/api/v1/overview", ("debug", "GET", "/api/v1/overview", 200)),
    ],
)
async def test_a_request_is_one_line_in_the_log_without_what_the_caller_wrote(
    client: httpx.AsyncClient, method: str, path: str, line: tuple[str, str, str, int]
) -> None:
    with capture_logs() as lines:
        await client.request(method, path)

    (found,) = lines
    assert (found["log_level"], found["method"], found["route"], found["status"]) == line
    assert found["ms"] >= 0
    assert "secret" not in str(lines)


async def test_requests_are_counted_and_timed_by_route(client: httpx.AsyncClient) -> None:
    for path in ("/api/v1/executions/1", "/api/v1/executions/2", "/nope", "/nope/2"):
        await client.get(path)
    await client.request("BREW", "/nope")
    text = (await client.get("/metrics")).text

    count = "globeco_allocation_http_requests_total"
    assert f'{count}{{method="GET",route="/api/v1/executions/{{id}}",status="404"}} 2.0' in text
    assert f'{count}{{method="GET",route="unmatched",status="404"}} 2.0' in text
    assert f'{count}{{method="other",route="unmatched",status="404"}} 1.0' in text
    assert 'http_request_duration_seconds_count{method="GET",route="unmatched",status="404"} 2.0' in text


async def test_executions_are_counted(bench: Bench, client: httpx.AsyncClient) -> None:
    bench.portfolios.fail(3, message="no", passing=True)
    bench.portfolios.fail(4, message="no", passing=False)
    records = [report(1), report(1), report(2, isOpen=True), report(3), report(4), 5]
    await client.post("/api/v1/executions", content=json.dumps(records))
    text = (await client.get("/metrics")).text

    assert 'globeco_allocation_executions_total{result="created"} 1.0' in text
    assert 'globeco_allocation_executions_total{result="skipped"} 2.0' in text
    assert 'globeco_allocation_executions_total{result="error"} 3.0' in text


async def test_two_apps_in_one_process_count_apart(client: httpx.AsyncClient) -> None:
    await client.get("/nope")
    async with Bench().client() as other:
        text = (await other.get("/metrics")).text

    assert 'route="unmatched"' not in text


async def test_the_metrics_have_prometheus_own_content_type(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")

    assert answer.headers.get_list("content-type") == ["text/plain; version=1.0.0; charset=utf-8"]


async def test_metrics_can_be_switched_off() -> None:
    async with Bench(options=HttpOptions(metrics_enabled=False)).client() as client:
        answer = await client.get("/metrics")
        document = (await client.get("/docs/openapi.json")).json()

    assert answer.status_code == 404
    assert "/metrics" not in document["paths"]


async def test_head_is_get_without_the_body(client: httpx.AsyncClient) -> None:
    got = await client.get("/healthz")
    head = await client.head("/healthz")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]


async def test_head_leaves_its_connection_to_the_next_request(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    async with bench.server() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        heads: list[bytes] = []
        for method in ("HEAD", "HEAD", "GET"):
            writer.write(f"{method} /healthz HTTP/1.1\r\nHost: allocation\r\n\r\n".encode())
            heads.append(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5))
        body = await asyncio.wait_for(reader.readuntil(b"}"), 5)
        writer.close()
        await writer.wait_closed()

    assert [head.split(b"\r\n")[0] for head in heads] == [b"HTTP/1.1 200 OK"] * 3
    assert json.loads(body)["status"] == "ok"
    assert f"content-length: {len(body)}\r\n".encode() in heads[0]
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING] == []


async def test_a_head_is_counted_as_head_under_its_route(client: httpx.AsyncClient) -> None:
    await client.head("/api/v1/executions/1")
    text = (await client.get("/metrics")).text

    assert 'http_requests_total{method="HEAD",route="/api/v1/executions/{id}",status="404"} 1.0' in text


async def test_the_app_leaves_the_servers_scope_as_it_is(bench: Bench) -> None:
    app = bench.app()

    async def receive() -> Any:  # noqa: ANN401 (an ASGI message)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:  # noqa: ANN401
        pass

    scope: Any = {
        "type": "http",
        "method": "HEAD",
        "path": "/healthz",
        "raw_path": b"/healthz",
        "query_string": b"",
        "headers": [],
    }
    before = dict(scope)
    async with bench.client(app):
        await app(scope, receive, send)

    assert scope == before


async def test_head_is_refused_where_get_is(client: httpx.AsyncClient) -> None:
    answer = await client.head("/api/v1/executions/send")

    assert (answer.status_code, answer.content) == (405, b"")


async def test_options_names_the_methods(client: httpx.AsyncClient) -> None:
    answer = await client.options("/api/v1/executions")

    assert answer.status_code == 204
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_a_request_that_the_server_breaks_off_is_told_so(
    monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    app = bench.app()
    asked, sent = asyncio.Event(), list[Any]()

    async def portfolio_of(_key: int) -> str:
        asked.set()
        await asyncio.Event().wait()
        return "P"

    async def receive() -> Any:  # noqa: ANN401 (an ASGI message)
        return {"type": "http.request", "body": json.dumps([report(1)]).encode(), "more_body": False}

    async def send(message: Any) -> None:  # noqa: ANN401
        sent.append(message)

    scope: Any = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/executions",
        "raw_path": b"/api/v1/executions",
        "query_string": b"",
        "headers": [],
    }
    monkeypatch.setattr(bench.portfolios, "portfolio_of", portfolio_of)
    async with bench.client(app):
        request = asyncio.create_task(app(scope, receive, send))
        await asked.wait()
        request.cancel()
        await asyncio.wait({request})
    start, body = sent

    assert request.cancelled()
    assert start["status"] == 503
    assert json.loads(body["body"])["status"] == 503
    assert "ask again" in json.loads(body["body"])["message"]
