"""Where it is measured: database, Trade Service, and the services and limits that are started there."""

import os
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import load
from bench.database import as_environment, create, opened_server
from bench.load import Load, Result
from bench.processes import BenchError, Running, free_port, server
from globeco_allocation.adapters.postgres.address import DatabaseAddress

EXECUTIONS = "/api/v1/executions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured.

    Attributes:
        seconds: Of each load.
        rounds: Of each pair; their medians count.
        rows: Of the large table, and of the file.
        few_rows: Of the small one.
    """

    seconds: float
    rounds: int
    rows: int
    few_rows: int


FULL = Scale(seconds=2.5, rounds=3, rows=1_000_000, few_rows=1_000)
SMOKE = Scale(seconds=0.3, rounds=1, rows=5_000, few_rows=100)


@dataclass(slots=True)
class Place:
    """A running database server and a Trade Service that answers at once."""

    scale: Scale
    directory: Path
    database_server: DatabaseAddress
    trade_port: int
    say: Callable[[str], None]
    _next_key: int = 1
    _databases: dict[str, DatabaseAddress] = field(default_factory=dict[str, DatabaseAddress])

    def database(self, name: str, rows: int = 0) -> DatabaseAddress:
        """Return the database of this name, made with so many executions if it is not there yet."""
        if name not in self._databases:
            self.say(f"makes a database of {rows:,} executions")
            self._databases[name] = create(self.database_server, name, rows)
        return self._databases[name]

    def service(
        self,
        database: DatabaseAddress,
        settings: Mapping[str, str] | None = None,
        *,
        trade_port: int | None = None,
    ) -> AbstractContextManager[Running]:
        """Run the service as it is deployed: logs and metrics on."""
        port = free_port()
        environ = {
            **as_environment(database),
            "PORT": str(port),
            "BIND_ADDRESS": "127.0.0.1",
            "TRADE_SERVICE_URL": f"http://127.0.0.1:{trade_port or self.trade_port}",
            "OUTPUT_DIR": str(self.directory / "files"),
            **(settings or {}),
        }
        log = self.directory / "service.log"
        return server(["globeco_allocation", "serve"], port, environ, ready="/readyz", log=log)

    def limit(self, database: DatabaseAddress) -> AbstractContextManager[Running]:
        """Run the bare ASGI app."""
        port = free_port()
        arguments = ["bench.limits", *self.limit_arguments, "--port", str(port)]
        return server(arguments, port, as_environment(database))

    @property
    def limit_arguments(self) -> list[str]:
        """What every limit is told."""
        return ["--trade-url", f"http://127.0.0.1:{self.trade_port}"]

    def put(self, asked: Load, expected: int) -> Result:
        """Put a load on, with execution service ids that none had before, and make sure of its answers."""
        result = load.run(replace(asked, first_key=self._next_key))
        self.take_keys(max(result.next_key - self._next_key, 0))
        if set(result.statuses) != {str(expected)} or result.broken:
            raise BenchError(f"{asked} was answered {result.statuses}, {result.broken} broken")
        return result

    def put_on(self, server: Running, asked: Load, expected: int) -> tuple[Result, float]:
        """Put a load on, and tell how many ms of CPU time the server took for each answer."""
        before = server.cpu_seconds()
        result = self.put(asked, expected)
        return result, 1000 * (server.cpu_seconds() - before) / sum(result.statuses.values())

    def take_keys(self, count: int) -> int:
        """Return the first of so many execution service ids that nobody else gets."""
        first, self._next_key = self._next_key, self._next_key + count
        return first


@contextmanager
def opened(scale: Scale, directory: Path, say: Callable[[str], None]) -> Generator[Place]:
    """Open the place on an empty directory; everything is measured on its disk."""
    with opened_server(directory / "database") as address, trade_service() as trade:
        yield Place(scale, directory, address, trade.port, say)


def trade_service(delay: float = 0.0) -> AbstractContextManager[Running]:
    """Run a Trade Service that answers after a pause."""
    port = free_port()
    return server(["bench.trade_stand_in", "--port", str(port), "--delay", str(delay)], port, {})


def wait_until(what: Callable[[], bool], about: str, seconds: float = 120.0) -> None:
    """Wait for something, looking often.

    Raises:
        BenchError: it did not come about.
    """
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise BenchError(f"not within {seconds:.0f} s: {about}")
        time.sleep(0.02)


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our modules."""
    return [sys.executable, "-m", module, *arguments]


def cores() -> int:
    """Return how many cores we may use."""
    return len(os.sched_getaffinity(0))
