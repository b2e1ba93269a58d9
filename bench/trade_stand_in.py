"""A Trade Service that answers at once, or after a fixed pause, and takes hardly any of the machine.

The simulated Trade Service of the project behaves as the real one does in every respect, and is too slow for
measuring: it would be the limit of whatever asks it.
"""

import argparse
import asyncio
import re
import socket
from typing import cast

import uvloop

from bench.reports import PORTFOLIO_ID

_KEY = re.compile(rb"executionServiceId=(\d+)")
_END = b"\r\n\r\n"

# As recorded from the real one, shortened in nothing.
_BODY = (
    '{"executions":[{"id":%d,"executionTimestamp":"2026-03-02T15:00:01.250000Z","executionStatus":{"id":4,'
    '"abbreviation":"FULL","description":"Filled","version":1},"blotter":{"id":1,"abbreviation":"EQ","name":'
    '"Equity","version":1},"tradeType":{"id":1,"abbreviation":"BUY","description":"Buy","version":1},'
    '"tradeOrder":{"id":%d,"orderId":1,"portfolio":{"portfolioId":"' + PORTFOLIO_ID + '","name":"P1"},'
    '"security":{"securityId":"68336002fe95851f0a2aeda9","ticker":"IBM"}},"destination":{"id":1,'
    '"abbreviation":"ML","description":"Merrill Lynch","version":1},"quantityOrdered":1000.00000000,'
    '"quantityPlaced":1000.00000000,"quantityFilled":1000.00000000,"limitPrice":null,"executionServiceId":%d,'
    '"version":2}],"pagination":{"totalElements":1,"totalPages":1,"currentPage":0,"pageSize":50,'
    '"hasNext":false,"hasPrevious":false}}'
)


class _Answerer(asyncio.Protocol):
    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has no common base

    def data_received(self, data: bytes) -> None:
        self._got += data
        while _END in self._got:
            head, _, self._got = self._got.partition(_END)
            found = _KEY.search(head)
            key = int(found[1]) if found else 0
            body = (_BODY % (key, key, key)).encode()
            answer = (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                + body
            )
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._transport.write, answer)
            else:
                self._transport.write(answer)


async def _serve(port: int, delay: float) -> None:
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    server = await loop.create_server(lambda: _Answerer(delay), sock=listener)
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.0)
    arguments = parser.parse_args()
    uvloop.run(_serve(arguments.port, arguments.delay))


if __name__ == "__main__":
    main()
