"""The HTTP app on in-memory twins, called as a client calls it."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from tests.dispatch.cluster import NO_POLLS, Cluster, until

from globeco_allocation.adapters.memory.activity import MemoryActivity
from globeco_allocation.adapters.memory.backlog import MemoryBacklog
from globeco_allocation.adapters.memory.pending import MemoryPendingExecutions
from globeco_allocation.adapters.memory.portfolios import MemoryPortfolios
from globeco_allocation.domain.batch import ClaimTerms
from globeco_allocation.domain.use_cases import DeferTerms, LookUpPending, PendingTerms, ReceiveExecutions
from globeco_allocation.entrypoints.dispatcher import Rests
from globeco_allocation.entrypoints.http.app import create_app
from globeco_allocation.entrypoints.http.observability import Observability
from globeco_allocation.entrypoints.http.options import HttpOptions
from globeco_allocation.entrypoints.http_protocol import Protocol
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.open_connections import OpenConnections
from globeco_allocation.entrypoints.overviews import Ages, Overviews
from globeco_allocation.entrypoints.pending_lookups import PendingLookups
from globeco_allocation.entrypoints.send_report import NO_CLI, SUBPROCESS
from globeco_allocation.entrypoints.services import Services
from globeco_allocation.ports.activity import Activity
from globeco_allocation.ports.backlog import Backlog

PORTFOLIO = "68336002fe95851f0a2aedb1"

REPORT: dict[str, Any] = {
    "executionServiceId": 1,
    "isOpen": False,
    "executionStatus": "FULL",
    "tradeType": "BUY",
    "destination": "ML",
    "securityId": "68336002fe95851f0a2aeda9",
    "ticker": "IBM",
    "quantity": 100,
    "limitPrice": None,
    "receivedTimestamp": "2026-03-02T14:59:00Z",
    "sentTimestamp": "2026-03-02T14:59:01.5Z",
    "quantityFilled": 100,
    "totalAmount": 1000,
    "averagePrice": 10,
}


def report(key: int = 1, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 (any field)
    """An execution as a client reports it; a change to ... leaves the field out."""
    record = REPORT | {"executionServiceId": key} | changes
    return {name: value for name, value in record.items() if value is not ...}


def one_portfolio_each(*keys: int) -> dict[int, str | None]:
    """Portfolios by execution-service id, so many that every one of three lanes has some of a dozen."""
    return {key: f"P-{key % 12}" for key in keys}


class EveryPortfolio(dict[int, str | None]):
    """Knows the portfolio of every execution."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: int) -> str | None:
        return PORTFOLIO


class Checks:
    """Readiness to order."""

    def __init__(self) -> None:
        self.found = {"database": "ok"}
        self.asleep = False

    async def checks(self) -> dict[str, str]:
        if self.asleep:
            await asyncio.Event().wait()
        return self.found


@dataclass
class Bench:
    """Twins behind an app; change them at any time, the options before it is opened."""

    options: HttpOptions = field(default_factory=HttpOptions)
    with_cli: bool = True
    terms: ClaimTerms = field(default_factory=ClaimTerms)
    rests: Rests = NO_POLLS
    send_limit: int = 100
    grace_seconds: float = 1.0
    ages: Ages = field(default_factory=lambda: Ages(overview=0, chart=0))
    most_connections: int = 1000
    most_deferred: int | None = None
    """How many executions may wait for their portfolio; None fails their records instead."""

    def __post_init__(self) -> None:
        self.cluster = Cluster(self.terms, with_cli=self.with_cli)
        self.clock = self.cluster.clock
        self.database = self.cluster.database
        self.batches = self.cluster.batches
        self.deliveries = self.cluster.deliveries
        self.resolutions = self.cluster.resolutions
        self.files = self.cluster.files
        self.accounting = self.cluster.accounting
        self.executions = self.cluster.executions
        self.portfolios = MemoryPortfolios()
        self.portfolios.portfolios = EveryPortfolio()
        self.pending = MemoryPendingExecutions(self.database)
        self.backlog: Backlog = MemoryBacklog(self.database, self.pending)
        self.activity: Activity = MemoryActivity(self.database)
        self.checks = Checks()
        self.metrics = Metrics()

    @asynccontextmanager
    async def services(self) -> AsyncGenerator[Services]:
        defer = None if self.most_deferred is None else DeferTerms(self.pending, self.most_deferred)
        look_up = LookUpPending(self.pending, self.executions, self.portfolios, self.clock, PendingTerms())
        replica = self.cluster.replica(
            self.rests, self.metrics, limit=self.send_limit, grace_seconds=self.grace_seconds
        )
        mode = SUBPROCESS if self.with_cli else NO_CLI
        async with (
            replica as working,
            Overviews(
                self.backlog,
                self.batches,
                self.deliveries,
                self.activity,
                self.clock,
                execution_mode=mode,
                ages=self.ages,
            ) as overviews,
            PendingLookups(look_up, self.metrics) as pending_lookups,
        ):
            yield Services(
                executions=self.executions,
                batches=self.batches,
                deliveries=self.deliveries,
                resolutions=self.resolutions,
                backlog=self.backlog,
                overviews=overviews,
                receive=ReceiveExecutions(self.executions, self.portfolios, defer),
                pending_lookups=pending_lookups,
                sends=working.sends,
                readiness=self.checks,
                clock=self.clock,
            )

    def app(self) -> Observability:
        return create_app(self.options, self.services, self.metrics)

    @asynccontextmanager
    async def client(self, app: Observability | None = None) -> AsyncGenerator[httpx.AsyncClient]:
        """A client of the running app, in the test's own event loop."""
        app = app or self.app()
        async with _lifespan(app):
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # pyright: ignore[reportArgumentType]
            async with httpx.AsyncClient(transport=transport, base_url="http://allocation") as client:
                yield client

    @asynccontextmanager
    async def server(self, http: type[Protocol] | None = None) -> AsyncGenerator[int]:
        """The app behind a real server, with a protocol of ours if one is named; yields its port."""
        chosen: Any = "auto"
        if http is not None:
            self.connections = OpenConnections(
                self.most_connections, self.metrics.connection_turned_away, self.options.max_body_bytes
            )
            chosen = functools.partial(http, connections=self.connections)
        config = uvicorn.Config(self.app(), port=0, http=chosen, lifespan="on", log_config=None, ws="none")
        server = _Server(config)
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        try:
            yield server.servers[0].sockets[0].getsockname()[1]
        finally:
            server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield  # pytest keeps its own


@asynccontextmanager
async def _lifespan(app: Observability) -> AsyncGenerator[None]:
    """Start and end an ASGI app as a server does."""
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    scope: Any = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    life = asyncio.create_task(app(scope, inbox.get, outbox.put))
    await inbox.put({"type": "lifespan.startup"})
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        await inbox.put({"type": "lifespan.shutdown"})
        await life
