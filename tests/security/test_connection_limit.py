"""Callers who hold connections, bytes or answers: there is room for others at any time."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from tests.http.bench import Bench, report

from globeco_allocation.entrypoints import http_protocol, open_connections
from globeco_allocation.entrypoints.http_protocol import Protocol
from globeco_allocation.entrypoints.open_connections import RESERVE

MOST = 20
LONG_SECONDS = 30.0
GET = b"GET /api/v1/batches HTTP/1.1\r\nHost: a\r\n"
PROBE = b"GET /readyz HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /api/v1/executions HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def bench() -> Bench:
    return Bench(most_connections=MOST)


@pytest.fixture
async def port(bench: Bench) -> AsyncGenerator[int]:
    async with bench.server(Protocol) as opened:
        yield opened


@asynccontextmanager
async def connected(port: int, *, limit: int = 2**16) -> AsyncGenerator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    try:
        yield reader, writer
    finally:
        writer.close()


async def opened(stack: AsyncExitStack, port: int, sent: bytes) -> Streams:
    reader, writer = await stack.enter_async_context(connected(port))
    writer.write(sent)
    await writer.drain()
    return reader, writer


async def answer_to(port: int, sent: bytes) -> bytes:
    """Return the head of the answer; nothing when the connection is closed without one."""
    async with connected(port) as (reader, writer):
        try:
            writer.write(sent)
            return (await reader.read()).partition(b"\r\n\r\n")[0]
        except ConnectionError:
            return b""


async def ended(reader: asyncio.StreamReader) -> bool:
    """Tell whether the service has hung up."""
    try:
        async with asyncio.timeout(LONG_SECONDS):
            return await reader.read() == b""
    except ConnectionError:
        return True


def turned_away(bench: Bench, why: str) -> float:
    name = f'globeco_allocation_connections_turned_away_total{{reason="{why}"}} '
    lines = bench.metrics.render().decode().splitlines()
    return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0)


LAST = b"Connection: close\r\n\r\n"
DRIPS = {
    "silent": b"",
    "head": GET + b"X: ",
    "body": POST % 1000 + b"[",
    "idle": GET + b"\r\n",
    "idle after garbage": b"\x16\x03\r\n\r\n",
}


@pytest.mark.parametrize("held_by", DRIPS.values(), ids=DRIPS)
async def test_whoever_holds_all_connections_keeps_nobody_out(
    port: int, bench: Bench, held_by: bytes
) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(LONG_SECONDS):
        for _ in range(3 * MOST):
            await opened(stack, port, held_by)
        for request in (GET, PROBE):
            assert (await answer_to(port, request + LAST)).startswith(b"HTTP/1.1 200 ")
        assert len(bench.connections) <= MOST
        assert turned_away(bench, "waiting") >= 2 * MOST
        assert turned_away(bench, "refused") == 0


async def test_an_attacker_who_comes_again_and_again_keeps_nobody_out(port: int) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(LONG_SECONDS):
        over = asyncio.Event()

        async def attack() -> None:
            while not over.is_set():
                await opened(stack, port, DRIPS["head"])

        attackers = [asyncio.create_task(attack()) for _ in range(5)]
        for _ in range(20):
            assert (await answer_to(port, GET + LAST)).startswith(b"HTTP/1.1 200 ")
        over.set()
        await asyncio.gather(*attackers)


async def test_the_one_that_kept_us_waiting_longest_goes_first(port: int, bench: Bench) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(LONG_SECONDS):
        first, *others = [await opened(stack, port, GET + b"\r\n") for _ in range(MOST)]
        for reader, writer in others:
            await reader.readuntil(b"}}")
            writer.write(GET + b"\r\n")
            await reader.readuntil(b"}}")
        assert (await answer_to(port, GET + LAST)).startswith(b"HTTP/1.1 200 ")

        assert b"HTTP/1.1 200 " in await first[0].read()  # and then its end
        for reader, writer in others:
            writer.write(GET + b"\r\n")
            assert b"HTTP/1.1 200 " in await reader.readuntil(b"}}")
        assert turned_away(bench, "waiting") == 1


async def test_where_all_are_at_work_others_wait_for_better_times_but_probes_get_through(
    port: int, bench: Bench
) -> None:
    bench.checks.asleep = True  # readiness takes its time: those who ask for it keep us at work
    async with AsyncExitStack() as stack, asyncio.timeout(LONG_SECONDS):
        for _ in range(MOST):
            await opened(stack, port, PROBE + b"\r\n")
        refused = await answer_to(port, GET + LAST)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"connection: close" in refused
        health = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
        for _ in range(2 * RESERVE):
            assert (await answer_to(port, health + LAST)).startswith(b"HTTP/1.1 200 ")
        # Nor can anybody hold the reserve.
        for _ in range(3 * RESERVE):
            await opened(stack, port, DRIPS["head"])
        assert (await answer_to(port, health + LAST)).startswith(b"HTTP/1.1 200 ")
        assert len(bench.connections) <= MOST + RESERVE
        assert turned_away(bench, "refused") >= 1


async def test_where_the_reserve_is_at_work_too_a_caller_is_hung_up_on(port: int, bench: Bench) -> None:
    bench.checks.asleep = True
    async with AsyncExitStack() as stack, asyncio.timeout(LONG_SECONDS):
        for _ in range(MOST + RESERVE):
            await opened(stack, port, PROBE + b"\r\n")
        while len(bench.connections) < MOST + RESERVE:  # noqa: ASYNC110 (it is not ours to set an event)
            await asyncio.sleep(0.01)
        assert await answer_to(port, GET + LAST) == b""
        assert len(bench.connections) == MOST + RESERVE


async def test_half_sent_bodies_take_bounded_memory(port: int, bench: Bench) -> None:
    largest = bench.options.max_body_bytes
    half = b"[" + b" " * 900_000
    room = max(open_connections.MOST_HELD_BYTES, 2 * largest) // len(half)
    async with AsyncExitStack() as stack, asyncio.timeout(LONG_SECONDS):
        early = [await opened(stack, port, POST % largest + half) for _ in range(MOST - 1)]
        body = json.dumps([report()]).encode()
        post = (POST % len(body)).replace(b"Host: a\r\n", b"Host: a\r\nConnection: close\r\n")
        assert (await answer_to(port, post + body)).startswith(b"HTTP/1.1 201 ")
        gone = 0
        while gone < MOST - 1 - room - 1:
            assert await ended(early[gone][0])
            gone += 1
        assert turned_away(bench, "waiting") >= gone


async def test_whoever_takes_no_answer_is_cut_off(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "STALL_SECONDS", 0.5)
    page = b"GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n"  # more than buffers hold
    async with bench.server(Protocol) as port, AsyncExitStack() as stack, asyncio.timeout(LONG_SECONDS):
        for _ in range(3):
            reader, writer = await stack.enter_async_context(connected(port, limit=1024))
            writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
            writer.write(page * 20)
            del reader
        while len(bench.connections):  # noqa: ASYNC110 (it is not ours to set an event)
            await asyncio.sleep(0.01)


async def test_untaken_answers_take_bounded_memory(
    bench: Bench, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_connections, "MOST_UNSENT_BYTES", 1024 * 1024)
    page = b"GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n"
    async with AsyncExitStack() as stack, asyncio.timeout(LONG_SECONDS):
        for _ in range(MOST - 1):
            _, writer = await stack.enter_async_context(connected(port, limit=1024))
            writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
            writer.write(page * 20)
        while turned_away(bench, "unsent") < MOST / 2:  # noqa: ASYNC110 (it is not ours to set an event)
            await asyncio.sleep(0.01)
        assert (await answer_to(port, GET + LAST)).startswith(b"HTTP/1.1 200 ")


async def test_nothing_is_left_of_requests_that_were_answered(port: int, bench: Bench) -> None:
    body = json.dumps([report()]).encode()
    async with AsyncExitStack() as stack, asyncio.timeout(LONG_SECONDS):
        reader, writer = await opened(stack, port, (POST % len(body) + body) * 3)
        for _ in range(3):
            await reader.readuntil(b"]}")
        writer.close()
        while len(bench.connections):  # noqa: ASYNC110 (it is not ours to set an event)
            await asyncio.sleep(0.01)
        assert bench.connections._held == 0  # pyright: ignore[reportPrivateUsage]
