"""The bare limits: the least work that gives each answer, on the same libraries, server and database.

No window protocol, no repeats found, no check of a field, no retry, no circuit breaker, no log, no metric.
"""

import argparse
import asyncio
import itertools
import os
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import aiohttp
import asyncpg
import msgspec
import uvicorn
import uvloop

from bench.database import address_from
from globeco_allocation.adapters.postgres.address import DatabaseAddress

_COLUMNS = (
    "execution_service_id, is_open, execution_status, trade_type, destination, trade_date, security_id,"
    " ticker, portfolio_id, quantity, limit_price, received_timestamp, sent_timestamp, last_fill_timestamp,"
    " quantity_filled, total_amount, average_price"
)
_TYPES = (
    *("int", "bool", "text", "text", "text", "date", "text", "text", "text", "numeric", "numeric"),
    *("timestamptz", "timestamptz", "timestamptz", "numeric", "numeric", "numeric"),
)
_ARRAYS = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(_TYPES, 1))
_INSERT_MANY = (
    f"INSERT INTO execution ({_COLUMNS}) SELECT * FROM unnest({_ARRAYS})"  # noqa: S608 (constants)
    " RETURNING execution_service_id, id"
)
_VALUES = ", ".join(f"${place}" for place in range(1, len(_TYPES) + 1))
_INSERT_ONE = f"INSERT INTO execution ({_COLUMNS}) VALUES ({_VALUES}) RETURNING id"  # noqa: S608 (constants)
_GET = f"SELECT id, version, {_COLUMNS} FROM execution WHERE id = $1"  # noqa: S608 (constants)

_JSON = [(b"content-type", b"application/json")]


class Record(msgspec.Struct, rename="camel"):
    """A record as it is posted."""

    execution_service_id: int
    is_open: bool
    execution_status: str
    trade_type: str
    destination: str
    security_id: str
    ticker: str
    quantity: Decimal
    limit_price: Decimal | None
    received_timestamp: datetime
    sent_timestamp: datetime
    last_fill_timestamp: datetime | None
    quantity_filled: Decimal
    total_amount: Decimal
    average_price: Decimal


class _Shown(msgspec.Struct, rename="camel"):
    """An execution as it is answered."""

    id: int
    version: int
    execution_service_id: int
    is_open: bool
    execution_status: str
    trade_type: str
    destination: str
    trade_date: Any
    security_id: str
    ticker: str
    portfolio_id: str
    quantity: Decimal
    limit_price: Decimal | None
    received_timestamp: datetime
    sent_timestamp: datetime
    last_fill_timestamp: datetime | None
    quantity_filled: Decimal
    total_amount: Decimal
    average_price: Decimal


class _Portfolio(msgspec.Struct, rename="camel"):
    portfolio_id: str


class _Order(msgspec.Struct, rename="camel"):
    portfolio: _Portfolio


class _Traded(msgspec.Struct, rename="camel"):
    trade_order: _Order


class _Found(msgspec.Struct):
    executions: list[_Traded]


_decode_records = msgspec.json.Decoder(list[Record]).decode
_decode_found = msgspec.json.Decoder(_Found).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Bare:
    """A pool, a session, and the two things that are done with them."""

    def __init__(self, pool: asyncpg.Pool, session: aiohttp.ClientSession, trade_url: str) -> None:
        self._pool = pool
        self._session = session
        self._url = f"{trade_url}/api/v2/executions"

    async def portfolio_of(self, key: int) -> str:
        """Ask the Trade Service once."""
        async with self._session.get(self._url, params={"executionServiceId": str(key)}) as response:
            return _decode_found(await response.read()).executions[0].trade_order.portfolio.portfolio_id

    async def keep_one(self, record: Record) -> int:
        """Look one record up and insert it; one committed statement."""
        row = _row(record, await self.portfolio_of(record.execution_service_id))
        async with self._pool.acquire() as connection:
            return await connection.fetchval(_INSERT_ONE, *row)

    async def keep_many(self, records: Sequence[Record]) -> list[asyncpg.Record]:
        """Look the records up side by side, and insert them by one committed statement."""
        found = await asyncio.gather(*(self.portfolio_of(one.execution_service_id) for one in records))
        columns = zip(*map(_row, records, found), strict=True)
        async with self._pool.acquire() as connection:
            return await connection.fetch(_INSERT_MANY, *map(list, columns))

    async def get(self, key: int) -> bytes:
        """Fetch one execution and encode it."""
        async with self._pool.acquire() as connection:
            row: Any = await connection.fetchrow(_GET, key)
        return _encode(_Shown(*row))


def _row(record: Record, portfolio_id: str) -> tuple[Any, ...]:
    return (
        record.execution_service_id, record.is_open, record.execution_status, record.trade_type,
        record.destination, record.sent_timestamp.date(), record.security_id, record.ticker, portfolio_id,
        record.quantity, record.limit_price, record.received_timestamp, record.sent_timestamp,
        record.last_fill_timestamp, record.quantity_filled, round(record.total_amount, 8),
        round(record.average_price, 8),
    )  # fmt: skip


@asynccontextmanager
async def opened(database: DatabaseAddress, trade_url: str) -> AsyncGenerator[Bare]:
    """Open the pool and the session."""
    pool = await asyncpg.create_pool(
        host=database.host,
        port=database.port,
        database=database.name,
        user=database.user,
        password=database.password,
        min_size=1,
        max_size=10,
        reset=_keep_session,
    )
    try:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64), cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            yield Bare(pool, session, trade_url)
    finally:
        await pool.close()


async def _keep_session(_connection: asyncpg.Connection) -> None:
    """Reset nothing: it would be one more round trip."""


class _App:
    """The bare ASGI app: ``POST /`` keeps one record, ``GET /{id}`` shows one."""

    def __init__(self, database: DatabaseAddress, trade_url: str) -> None:
        self._parts = opened(database, trade_url)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 (ASGI's own)
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["method"] == "GET":
            status, body = 200, await self._bare.get(int(scope["path"][1:]))
        else:
            (record,) = _decode_records((await receive())["body"])
            key = await self._bare.keep_one(record)
            status, body = (
                201,
                _encode({"executionServiceId": record.execution_service_id, "executionId": key}),
            )
        headers = [*_JSON, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Any, send: Any) -> None:  # noqa: ANN401 (ASGI's own)
        await receive()
        async with self._parts as self._bare:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def _loop(
    database: DatabaseAddress, trade_url: str, *, first_key: int, seconds: float, clients: int
) -> float:
    """Return how often a second 100 records are kept by *clients* bare loops side by side."""
    done = 0
    firsts = itertools.count(first_key, 100)
    end = time.perf_counter() + seconds

    async def work(bare: Bare) -> None:
        nonlocal done
        while time.perf_counter() < end:
            first = next(firsts)
            await bare.keep_many([_record(key) for key in range(first, first + 100)])
            done += 1

    async with opened(database, trade_url) as bare:
        start = time.perf_counter()
        await asyncio.gather(*(work(bare) for _ in range(clients)))
        return done / (time.perf_counter() - start)


def _record(key: int) -> Record:
    at = datetime(2026, 3, 2, 15, tzinfo=UTC)
    amount = Decimal("33.33333333")
    words = ("FULL", "BUY", "ML", "68336002fe95851f0a2aeda9", "IBM")
    return Record(key, False, *words, amount, None, at, at, at, amount, amount, amount)


def main() -> None:
    """Serve until told to end, or run the bare loop and print its rate."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--trade-url", required=True)
    parser.add_argument("--loop-from", type=int, default=0, help="run the bare loop, from this key on")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--clients", type=int, default=8)
    given = parser.parse_args()
    database = address_from(os.environ)
    if given.loop_from:
        print(
            uvloop.run(
                _loop(
                    database,
                    given.trade_url,
                    first_key=given.loop_from,
                    seconds=given.seconds,
                    clients=given.clients,
                )
            )
        )
        return
    uvicorn.run(
        _App(database, given.trade_url),
        port=given.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
