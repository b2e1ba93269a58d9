"""Servers that answer as they are told, and lookups that do not wait for long."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypedDict, Unpack

import msgspec
import pytest
from aiohttp import web

from globeco_allocation.adapters.trade_service import TradeServicePortfolios, open_trade_service
from globeco_allocation.domain.errors import LookupFailedError

PATIENCE = 5.0
"""Seconds after which a test that waits for something has failed."""


class Knobs(TypedDict, total=False):
    timeout_seconds: float
    attempts: int
    base_delay_seconds: float
    lookups_at_once: int
    breaker_threshold: int
    breaker_open_seconds: float
    headers: Callable[[], Mapping[str, str]]


@dataclass
class Lookups:
    """The real thing, pointed at some server, with what it reports of its lookups."""

    portfolios: TradeServicePortfolios
    outcomes: list[str]

    async def find(self, execution_service_id: int = 27) -> str:
        return await self.portfolios.portfolio_of(execution_service_id)

    async def fail(self, execution_service_id: int = 27) -> LookupFailedError:
        with pytest.raises(LookupFailedError) as caught:
            await self.find(execution_service_id)
        return caught.value


@asynccontextmanager
async def looking_up(url: str, **knobs: Unpack[Knobs]) -> AsyncGenerator[Lookups]:
    """Open the real thing with pauses of no time, unless told otherwise."""
    outcomes: list[str] = []

    def note(outcome: str, seconds: float) -> None:
        assert 0 <= seconds < PATIENCE
        outcomes.append(outcome)

    knobs.setdefault("base_delay_seconds", 0.0)
    async with open_trade_service(url, on_lookup=note, **knobs) as portfolios:
        yield Lookups(portfolios, outcomes)


@dataclass(frozen=True)
class Told:
    """One answer: what is sent for a call."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass
class Answering:
    """A server that gives the answers it was told, one for each call, the last one again and again."""

    answers: Sequence[Told]
    url: str = ""
    requests: list[web.Request] = field(default_factory=list[web.Request])

    @property
    def calls(self) -> int:
        return len(self.requests)

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        told = self.answers[min(self.calls, len(self.answers)) - 1]
        return web.Response(
            body=told.body, status=told.status, headers={"Content-Type": told.content_type, **told.headers}
        )

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator["Answering"]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()


def answering(*answers: Told) -> AbstractAsyncContextManager[Answering]:
    return Answering(answers).serve()


def found(*portfolio_ids: str | None, execution_service_id: int | None = 27, has_next: bool = False) -> Told:
    """Answer with one execution for each portfolio id, in the contract's shape, but for its dull parts."""
    executions = [
        {
            "id": number,
            "executionServiceId": execution_service_id,
            "tradeOrder": {"id": 1, "portfolio": {"portfolioId": portfolio_id, "name": "Growth"}},
        }
        for number, portfolio_id in enumerate(portfolio_ids)
    ]
    return Told(msgspec.json.encode({"executions": executions, "pagination": {"hasNext": has_next}}))


@asynccontextmanager
async def saying(*chunks: bytes) -> AsyncGenerator[str]:
    """Serve at a URL where each connection is sent these bytes, whatever it asks, and closed."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.writelines(chunks)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def until(condition: Callable[[], bool]) -> None:
    """Wait until *condition* holds; fail if it does not in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)
