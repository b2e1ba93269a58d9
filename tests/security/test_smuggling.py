"""Requests whose end two readers could see in two places: no gateway before us may be of another mind."""

import asyncio

import pytest
from tests.http.bench import Bench

from globeco_allocation.entrypoints.http_protocol import Protocol

HEAD = b"POST /api/v1/executions/send HTTP/1.1\r\nHost: a\r\n"
SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"

AMBIGUOUS = {
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "two equal lengths": b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, 5\r\n\r\n",
    "a signed length": b"Content-Length: +0\r\n\r\n",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a length in hex": b"Content-Length: 0x5\r\n\r\n",
    "an endless length": b"Content-Length: 99999999999999999999999\r\n\r\n",
    "a blank before the colon": b"Content-Length : 0\r\n\r\n",
    "chunks that are none": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked, but not last": b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a tab before chunked": b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "a folded header": b"X: a\r\n Content-Length: 5\r\nContent-Length: 0\r\n\r\n",
    "a folded encoding": b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 0\r\n\r\n",
    "a chunk size with a sign": b"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
    "a chunk size in another base": b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "a chunk size with blanks": b"Transfer-Encoding: chunked\r\n\r\n 0\r\n\r\n",
    "an endless chunk size": b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n\r\n",
    "a chunk longer than it says": b"Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
    "a lone carriage return": b"Content-Length: 0\rX: 5\r\n\r\n",
    "a lone line feed in a chunk": b"Transfer-Encoding: chunked\r\n\r\n0\n\n",
    "NUL in a value": b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
}


async def statuses(port: int, sent: bytes) -> list[int]:
    """Return the status of every answer up to the connection's end, or until nothing comes any more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    writer.write_eof()
    async with asyncio.timeout(20):
        received = await reader.read()
    writer.close()
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("ambiguous", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_what_has_two_readings_is_refused_and_nothing_behind_it_is_read(ambiguous: bytes) -> None:
    async with Bench().server(Protocol) as port:
        answers = await statuses(port, HEAD + ambiguous + SMUGGLED)

    assert answers[-1] == 400
    assert 200 not in answers[1:]
    assert len(answers) == 1


@pytest.mark.parametrize(
    "upgrade", [b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b"Upgrade: h2c\r\nConnection: Upgrade\r\n"]
)
async def test_an_upgrade_is_not_taken_and_opens_no_tunnel(upgrade: bytes) -> None:
    async with Bench().server(Protocol) as port:
        answers = await statuses(port, b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + upgrade + b"\r\n" + SMUGGLED)

    assert set(answers) == {200}  # each request by itself, and never 101


async def test_one_reading_is_taken() -> None:
    sent = (
        HEAD
        + b"Content-Length: 2\r\n\r\n{}"
        + HEAD
        + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    async with Bench().server(Protocol) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(20):
            received = await reader.read()
        writer.close()

    assert received.count(b"HTTP/1.1 200 OK") == 3
