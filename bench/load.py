"""The load generator: HTTP/1.1 over kept connections, closed or open loop, in a process of its own.

It is faster than what it measures, and says how much of the machine it took itself. A closed loop has a
number of clients who each wait for their answer before they ask again. An open loop asks at a fixed rate
whatever comes back; its latencies count from the moment at which a request was due, so that a stalled server
cannot hide the requests that it held up.
"""

import asyncio
import itertools
import json
import resource
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import cast

import uvloop

from bench.reports import report_body

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_GIVE_UP_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked, how often, and for how long.

    Attributes:
        port: Where the server listens, on this machine.
        seconds: How long it is measured; as long again as *warm_up* before that it is not.
        warm_up: Seconds at the beginning that do not count.
        clients: Connections, each with one request under way at most.
        rate: Requests a second of an open loop; 0 makes it a closed one.
        path: What is asked for.
        ids: With a GET, the path's ``{id}`` runs from 1 to this.
        records: With more than 0 it is a POST of so many execution records.
        first_key: The first record's execution service id; they rise from there, and none comes twice.
        requests: Stop after so many; 0 goes by time alone.
    """

    port: int
    seconds: float = 3.0
    warm_up: float = 0.5
    clients: int = 8
    rate: float = 0.0
    path: str = "/"
    ids: int = 1
    records: int = 0
    first_key: int = 1
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a load.

    Attributes:
        answers: How many answers came within the measured time.
        seconds: How long that was.
        statuses: Their statuses, warm-up included.
        milliseconds: Latencies, by percentile: ``p50``, ``p99``, ``max``.
        cpu_share: Of one core, taken by the load generator itself.
        next_key: The first execution service id that no record had.
        broken: Connections that broke, or gave no answer in time.
    """

    answers: int
    seconds: float
    statuses: dict[str, int] = field(default_factory=dict[str, int])
    milliseconds: dict[str, float] = field(default_factory=dict[str, float])
    cpu_share: float
    next_key: int
    broken: int

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


def run(load: Load) -> Result:
    """Put the load on, from a process of its own.

    Raises:
        subprocess.SubprocessError: the load generator failed, or did not come to its end.
    """
    bound = load.seconds + load.warm_up + _GIVE_UP_SECONDS + 10
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(load)).encode(),
        stdout=subprocess.PIPE,
        timeout=bound,
        check=True,
    )
    return Result(**json.loads(done.stdout))


class _Client(asyncio.Protocol):
    """One connection: sends a request, and calls back when its answer is there."""

    def __init__(self, answered: Callable[["_Client", int], None], lost: Callable[["_Client"], None]) -> None:
        self._answered = answered
        self._lost = lost
        self._got = b""
        self._missing = -1  # bytes of the body; -1 while the head is not whole
        self._status = 0
        self.due = 0.0
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has no common base

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._lost(self)

    def ask(self, request: bytes, due: float) -> None:
        self.due = due
        self.busy = True
        self._transport.write(request)

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._got += data
            end = self._got.find(_HEAD_END)
            if end < 0:
                return
            head = self._got[:end].lower()
            at = head.index(_LENGTH) + len(_LENGTH)
            self._status = int(head[9:12])
            self._missing = int(head[at:].split(b"\r\n", 1)[0]) - (len(self._got) - end - len(_HEAD_END))
            self._got = b""
        else:
            self._missing -= len(data)
        if self._missing <= 0:
            self._missing = -1
            self.busy = False
            self._answered(self, self._status)


class _Run:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = _requests(load)
        self._latencies: list[float] = []
        self._statuses: Counter[str] = Counter()
        self._asked = self._finished = self._broken = 0
        self._idle: list[_Client] = []
        self._overdue: deque[float] = deque()  # of an open loop: due while no connection was free
        self._all_asked = False
        self._over = asyncio.Event()
        self._measured_from = self._end = 0.0

    async def run(self) -> Result:
        load = self._load
        loop = asyncio.get_running_loop()
        clients = [
            (
                await loop.create_connection(
                    lambda: _Client(self._answered, self._lost), "127.0.0.1", load.port
                )
            )[1]
            for _ in range(load.clients)
        ]
        self._idle = list(clients)
        start = time.perf_counter()
        self._measured_from = start + load.warm_up
        self._end = self._measured_from + load.seconds
        cpu = _cpu_seconds()
        if load.rate:
            ticking = asyncio.create_task(self._tick(start))
        else:
            ticking = None
            for client in clients:
                self._next(client, time.perf_counter())
        try:
            async with asyncio.timeout(load.warm_up + load.seconds + _GIVE_UP_SECONDS):
                await self._over.wait()
        except TimeoutError:
            self._broken += sum(client.busy for client in clients)
        finally:
            if ticking:
                ticking.cancel()
        ended = time.perf_counter()
        cpu = (_cpu_seconds() - cpu) / (ended - start)
        for client in clients:
            client.close()
        return self._result(min(ended, self._end) - self._measured_from, cpu)

    def _result(self, seconds: float, cpu_share: float) -> Result:
        latencies = sorted(self._latencies)
        at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
        return Result(
            answers=len(latencies),
            seconds=seconds,
            statuses=dict(self._statuses),
            milliseconds={
                name: round(1000 * latencies[min(int(share * len(latencies)), len(latencies) - 1)], 3)
                for name, share in at.items()
            }
            if latencies
            else {},
            cpu_share=round(cpu_share, 3),
            next_key=self._load.first_key + self._asked * self._load.records,
            broken=self._broken,
        )

    async def _tick(self, start: float) -> None:
        """Ask at the rate; what finds no free connection waits for one, its latency running."""
        for number in itertools.count():
            due = start + number / self._load.rate
            if due >= self._end:
                self._all_asked = True
                self._finish_when_idle()
                return
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            if self._idle:
                self._next(self._idle.pop(), due)
            else:
                self._overdue.append(due)

    def _next(self, client: _Client, due: float) -> None:
        self._asked += 1
        client.ask(next(self._requests), due)

    def _answered(self, client: _Client, status: int) -> None:
        now = time.perf_counter()
        self._statuses[str(status)] += 1
        self._finished += 1
        if self._measured_from <= client.due and (self._load.rate or now <= self._end):
            self._latencies.append(now - client.due)
        if self._overdue:
            self._next(client, self._overdue.popleft())
        elif self._load.rate:
            self._idle.append(client)
            if self._all_asked:
                self._finish_when_idle()
        elif now < self._end and not 0 < self._load.requests <= self._asked:
            self._next(client, now)
        else:
            self._end = min(self._end, now) if self._load.requests else self._end
            self._finish_when_idle()

    def _finish_when_idle(self) -> None:
        if self._asked == self._finished + self._broken:
            self._over.set()

    def _lost(self, client: _Client) -> None:
        if client.busy:
            self._broken += 1
            self._finish_when_idle()


def _requests(load: Load) -> Iterator[bytes]:
    if not load.records:
        for number in itertools.count():
            path = load.path.replace("{id}", str(1 + number % load.ids))
            yield f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n".encode()
    for first in itertools.count(load.first_key, load.records):
        body = report_body(range(first, first + load.records))
        head = (
            f"POST {load.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
            f"Content-Type: application/json\r\nX-Correlation-Id: {first:016x}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Read a `Load` as JSON from standard input, and write its `Result`."""
    load = Load(**json.load(sys.stdin))
    print(json.dumps(asdict(uvloop.run(_Run(load).run()))))


if __name__ == "__main__":
    main()
