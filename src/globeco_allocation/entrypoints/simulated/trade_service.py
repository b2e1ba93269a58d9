"""A Trade Service that answers ``GET /api/v2/executions?executionServiceId=N`` as the real one was recorded.

Without an id it lists all, page by page (``limit``, ``offset``).

Source of every rule here: contract "Trade Service". What a caller may not rely on is simulated too: an empty
list that comes too early, answers that hang, drip or break off, and a 500 for what should be a 400.
"""

import argparse
import asyncio
import hashlib
import re
import signal
import socket
import struct
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
from aiohttp import web

from globeco_allocation.entrypoints.simulated.trade_executions import Json, execution, page

PATH = "/api/v2/executions"

PORTFOLIO_IDS = tuple(f"683b6b9620f302c879a5fe{last:02x}" for last in range(0xF0, 0xFC))
"""The dozen portfolios among which unknown executions are shared out when the simulator invents."""

_PAGE_SIZE = 50
_LARGEST_PAGE = 1000
_INT32 = range(-(2**31), 2**31)
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
# Decimals as numbers: 100.00000000 and 0E-8, the way the real one writes them.
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def invented_portfolio(execution_service_id: int) -> str:
    """Return the portfolio that the simulator invents for this execution: always the same one."""
    digest = hashlib.sha256(str(execution_service_id).encode()).digest()
    return PORTFOLIO_IDS[digest[0] % len(PORTFOLIO_IDS)]


@dataclass(slots=True)
class Knobs:
    """What goes wrong; every field may be changed while the simulator runs, and counts from the next call on.

    Attributes:
        delay: seconds before each answer.
        status: answer every call with this status and the error shape, e.g. 500 or 429.
        hang: never answer.
        reset: break the connection instead of answering.
        drip: seconds before each single byte of the body.
        empty_first: so many first calls for an id find nothing yet, for the Trade Service writes the id only
            after its own call has returned (contract, "Why an empty answer may be early").
        bodies: what to answer for an id, byte for byte, instead of a made-up page: a recorded answer with
            nulls and odd numbers in it, something that is no JSON, or far too much.
    """

    delay: float = 0.0
    status: int | None = None
    hang: bool = False
    reset: bool = False
    drip: float = 0.0
    empty_first: int = 0
    bodies: dict[int, bytes] = field(default_factory=dict[int, bytes])


class SimulatedTradeService:
    """Knows the portfolios of some executions, answers for them, and counts what it was asked.

    Attributes:
        portfolios: executionServiceId to the portfolio ids of its executions, one execution each. An id of
            None is a portfolio whose ``portfolioId`` is null; None instead of the list is one execution whose
            ``portfolio`` itself is null. May be changed while the simulator runs.
        statuses: by executionServiceId; ``SENT`` where none is said.
        knobs: what goes wrong.
        calls: how often each id was asked for, whatever came of it.
        most_at_once: the most calls seen in progress at the same time.
        last_headers: the headers of the latest call.
    """

    def __init__(
        self,
        portfolios: Mapping[int, Sequence[str | None] | None] | None = None,
        *,
        invent: bool = False,
        knobs: Knobs | None = None,
    ) -> None:
        """Start with *portfolios*; with *invent*, every other positive id has a portfolio too."""
        self.portfolios = dict(portfolios or {})
        self.statuses: dict[int, str] = {}
        self.knobs = knobs or Knobs()
        self.calls: Counter[int] = Counter()
        self.most_at_once = 0
        self.last_headers: Mapping[str, str] = {}
        self._invent = invent
        self._at_once = 0
        self._asked = asyncio.Condition()

    def make_app(self) -> web.Application:
        """Make an application that answers from this object; several may be made, one after the other."""
        app = web.Application(middlewares=[_errors_in_the_recorded_shape])
        app.router.add_get(PATH, self._executions, allow_head=False)
        return app

    async def asked(self, calls: int) -> None:
        """Wait until *calls* calls have arrived since the start, answered or not."""
        async with self._asked:
            await self._asked.wait_for(lambda: self.calls.total() >= calls)

    @asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[str]:
        """Serve while the block lasts, then break off what is still in progress.

        May be entered again afterwards, also on the same port: that is a restart.

        Args:
            host: the address to listen at.
            port: 0 takes a free one.

        Yields:
            The base URL, without a slash at its end.

        Raises:
            OSError: the address or port cannot be had.
        """
        # Handlers end with their caller: one that hangs must not count as in progress for ever.
        runner = web.AppRunner(
            self.make_app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.05
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            yield f"http://{host}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _executions(self, request: web.Request) -> web.StreamResponse:
        self.last_headers = dict(request.headers)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            asked = _integer(request.query.get("executionServiceId", ""))
            if asked is not None:
                self.calls[asked] += 1
                async with self._asked:
                    self._asked.notify_all()
            return await self._answer(request, asked)
        except _NotAnIntegerError as error:
            text = f'For input string: "{error}"'
            return web.Response(
                status=400, body=text.encode(), headers={"Content-Type": "text/plain;charset=UTF-8"}
            )
        finally:
            self._at_once -= 1

    async def _answer(self, request: web.Request, asked: int | None) -> web.StreamResponse:
        knobs = self.knobs
        if knobs.delay:
            await asyncio.sleep(knobs.delay)
        if knobs.hang:
            await asyncio.Event().wait()
        if knobs.reset:
            _reset(request)
        if knobs.status is not None:
            return _error(request, knobs.status)
        limit = _integer(request.query.get("limit", ""))
        if limit is None:
            limit = _PAGE_SIZE
        offset = _integer(request.query.get("offset", "")) or 0
        if not (1 <= limit <= _LARGEST_PAGE and offset >= 0 and request.query.get("sort", "id") == "id"):
            return _error(request, HTTPStatus.INTERNAL_SERVER_ERROR)
        body = self._body(asked, limit, offset // limit)
        if knobs.drip:
            return await _dripped(request, body, knobs.drip)
        return web.Response(body=body, content_type="application/json")

    def _body(self, asked: int | None, limit: int, number: int) -> bytes:
        if asked is None:
            found = sorted((one for known in self.portfolios for one in self._find(known)), key=_id)
        elif self.calls[asked] <= self.knobs.empty_first:
            found = []
        elif asked in self.knobs.bodies:
            return self.knobs.bodies[asked]
        else:
            found = self._find(asked)
        return _ENCODER.encode(page(found, limit, number))

    def _find(self, asked: int) -> list[Json]:
        if asked in self.portfolios:
            known = self.portfolios[asked]
        elif self._invent and asked > 0:
            known = [invented_portfolio(asked)]
        else:
            known = []
        if known is None:
            return [execution(asked, 0, None)]
        status = self.statuses.get(asked, "SENT")
        return [
            execution(asked, position, {"portfolioId": portfolio, "name": portfolio and "Growth"}, status)
            for position, portfolio in enumerate(known)
        ]


def _id(one: Json) -> int:
    return int(one["id"])


class _NotAnIntegerError(Exception):
    """The text that stands where a 32-bit integer should."""


def _integer(text: str) -> int | None:
    """Read a 32-bit integer; an empty *text* is no value at all.

    Raises:
        _NotAnIntegerError: anything else.
    """
    if not text:
        return None
    # The length first: Python refuses to read thousands of digits.
    if _INTEGER.fullmatch(text) and len(text.lstrip("+-0")) <= len(str(_INT32.stop)) and int(text) in _INT32:
        return int(text)
    raise _NotAnIntegerError(text)


def _error(request: web.Request, status: int) -> web.Response:
    timestamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    phrase = HTTPStatus(status).phrase
    body = _ENCODER.encode({"timestamp": timestamp, "status": status, "error": phrase, "path": request.path})
    return web.Response(status=status, body=body, content_type="application/json")


@web.middleware
async def _errors_in_the_recorded_shape(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
        return _error(request, error.status)


def _reset(request: web.Request) -> None:
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        # Lingering for 0 seconds turns the close into a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()


async def _dripped(request: web.Request, body: bytes, pause: float) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    for position in range(len(body)):
        await asyncio.sleep(pause)
        await response.write(body[position : position + 1])
    return response


async def _serve_until_told(simulated: SimulatedTradeService, host: str, port: int) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with simulated.serve(host, port) as url:
        print(f"Simulated Trade Service: {url}", flush=True)
        await told.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve invented portfolios until SIGTERM or SIGINT; print one line with the URL once it listens.

    Returns:
        The exit code: 0, or 1 when it cannot listen there.
    """
    parser = argparse.ArgumentParser(prog="trade_service", description="A simulated Trade Service.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
    parser.add_argument("--port", type=int, default=8082, help="0 takes a free one (%(default)s)")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="time to each answer (%(default)s)")
    parser.add_argument("--unknown", default="", help="comma-separated ids that it has no execution for")
    options = parser.parse_args(arguments)
    unknown: dict[int, list[str | None]] = {int(one): [] for one in options.unknown.split(",") if one}
    simulated = SimulatedTradeService(unknown, invent=True, knobs=Knobs(delay=options.delay_ms / 1000))
    try:
        asyncio.run(_serve_until_told(simulated, options.host, options.port))
    except OSError as error:
        print(f"{parser.prog}: cannot listen on {options.host}:{options.port}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
