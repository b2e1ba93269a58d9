"""Callers who hold connections by saying little: each is let go, and nobody else waits for them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from tests.http.bench import Bench

from globeco_allocation.entrypoints import http_protocol
from globeco_allocation.entrypoints.http_protocol import Protocol

PATIENCE_SECONDS = 0.3
LONG_SECONDS = 20.0

HEAD = b"POST /api/v1/executions HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture
async def port(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[int]:
    monkeypatch.setattr(http_protocol, "REQUEST_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(http_protocol, "SILENT_SECONDS", PATIENCE_SECONDS)
    async with bench.server(Protocol) as opened:
        yield opened


@asynccontextmanager
async def connected(port: int) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def drip(writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then, for ever."""
    while True:
        writer.write(b"x")
        await asyncio.sleep(PATIENCE_SECONDS / 10)


@pytest.mark.parametrize("begin", [b"GET /", HEAD + b"X-", HEAD + b"\r\n["], ids=["address", "head", "body"])
async def test_a_request_that_comes_in_drips_is_a_408(port: int, begin: bytes) -> None:
    async with connected(port) as (reader, writer), asyncio.timeout(LONG_SECONDS):
        writer.write(begin)
        dripping = asyncio.create_task(drip(writer))
        answer = await reader.read()
        dripping.cancel()

    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b'"status":408' in answer
    assert b"connection: close" in answer


async def test_a_caller_who_never_begins_is_let_go_without_a_word(port: int) -> None:
    async with connected(port) as (reader, _), asyncio.timeout(LONG_SECONDS):
        assert await reader.read() == b""


async def test_whoever_was_in_time_once_may_be_silent_for_longer(port: int) -> None:
    async with connected(port) as (reader, writer), asyncio.timeout(LONG_SECONDS):
        for _ in range(2):
            writer.write(GET)
            await asyncio.sleep(PATIENCE_SECONDS / 3)  # between two pieces of a request that is in time
            writer.write(b"\r\n")
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 OK\r\n")
            await asyncio.sleep(2 * PATIENCE_SECONDS)  # and between two requests


async def test_a_request_before_the_dripping_one_is_answered(port: int) -> None:
    async with connected(port) as (reader, writer), asyncio.timeout(LONG_SECONDS):
        writer.write(GET + b"\r\n" + GET)
        answers = await reader.read()

    assert answers.count(b"HTTP/1.1 ") == 2
    assert answers.index(b"200 OK") < answers.index(b"408 Request Timeout")


async def test_hundreds_of_slow_callers_keep_nobody_waiting(port: int) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(LONG_SECONDS):
        slow: list[asyncio.StreamReader] = []
        for _ in range(300):
            reader, writer = await stack.enter_async_context(connected(port))
            writer.write(HEAD)
            slow.append(reader)
        async with connected(port) as (reader, writer):
            writer.write(GET + b"\r\n")
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 OK\r\n")
        answers = [await reader.read() for reader in slow]

    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
