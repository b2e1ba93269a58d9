"""The composition root: the one place that knows every part and how they fit together."""

import functools
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from globeco_allocation.adapters.postgres.activity import PostgresActivity
from globeco_allocation.adapters.postgres.backlog import PostgresBacklog
from globeco_allocation.adapters.postgres.executions import PostgresExecutions
from globeco_allocation.adapters.postgres.pending import PostgresPendingExecutions
from globeco_allocation.adapters.postgres.pool import Pool, open_pool
from globeco_allocation.adapters.postgres.schema import missing_migrations
from globeco_allocation.adapters.system_clock import SystemClock
from globeco_allocation.adapters.trade_service import open_trade_service
from globeco_allocation.domain.use_cases.look_up_pending import LookUpPending, PendingTerms
from globeco_allocation.domain.use_cases.receive import DeferTerms, ReceiveExecutions
from globeco_allocation.entrypoints.database_start import DatabaseStart
from globeco_allocation.entrypoints.delivery_wiring import DeliveryParts, open_delivery
from globeco_allocation.entrypoints.dispatcher import Dispatcher, Result
from globeco_allocation.entrypoints.logs import correlation_id
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.metrics.measuring import Measuring, Sources
from globeco_allocation.entrypoints.overviews import Overviews
from globeco_allocation.entrypoints.pending_lookups import PendingLookups
from globeco_allocation.entrypoints.readiness import DatabaseReadiness
from globeco_allocation.entrypoints.sends import Sends
from globeco_allocation.entrypoints.services import Services
from globeco_allocation.entrypoints.settings import Settings
from globeco_allocation.entrypoints.tracing.conversations import Statements, TradeServiceCalls
from globeco_allocation.entrypoints.tracing.parts import TracedPortfolios
from globeco_allocation.entrypoints.tracing.tracing import NO_TRACING, Tracing
from globeco_allocation.ports.accounting import AccountingCli
from globeco_allocation.ports.backlog import Backlog
from globeco_allocation.ports.clock import Clock
from globeco_allocation.ports.executions import Executions
from globeco_allocation.ports.files import TransactionFiles
from globeco_allocation.ports.pending import PendingExecutions
from globeco_allocation.ports.portfolios import Portfolios

SENDS_SHARE, WRITING_SHARE = 0.1, 0.1
"""Of the shutdown grace: how long claims, and files that are being written, are waited for."""

PENDING_SHARE = 0.04
"""Of the shutdown grace: how long lookups in the background are waited for."""

TRACES_SHARE, LONGEST_TRACES_SECONDS = 0.1, 3.0
"""Of the shutdown grace, and at most: how long the collector is waited for at the end."""

_PENDING_LOOKUPS_SHARE = 0.25  # of all lookups at once; the others are for requests
_PENDING_LOOKUP_SECONDS = 10.0
_PENDING_LEASE_MARGIN = timedelta(seconds=15)  # for the database, before and after the lookups

_CORRELATION_HEADER = "X-Correlation-ID"


@asynccontextmanager
async def open_services(
    settings: Settings,
    metrics: Metrics,
    database: DatabaseStart,
    *,
    portfolios: Portfolios | None = None,
    files: TransactionFiles | None = None,
    accounting: AccountingCli | None = None,
    clock: Clock | None = None,
    tracing: Tracing = NO_TRACING,
) -> AsyncGenerator[Services]:
    """Open every part, real unless given; close them in reverse.

    It opens without a database, a Trade Service or an output directory: each use tells whether it is there.

    Args:
        settings: How the real parts are set up.
        metrics: Where they count.
        database: Makes the database ready, for as long as the parts are open.
        portfolios: Instead of the Trade Service.
        files: Instead of ``OUTPUT_DIR``.
        accounting: Instead of ``CLI_COMMAND``; the caller closes it.
        clock: Instead of the machine's.
        tracing: Is told of what goes on; it begins and ends here.
    """
    async with AsyncExitStack() as stack:
        traces_seconds = min(LONGEST_TRACES_SECONDS, settings.shutdown_grace_seconds * TRACES_SHARE)
        await stack.enter_async_context(tracing.running(traces_seconds))
        watch = Statements(tracing, settings.database) if tracing.is_on else None
        pool = await stack.enter_async_context(
            open_pool(settings.database, max_size=settings.db_pool_size, watch=watch)
        )
        if portfolios is None:
            portfolios = await _open_trade_service(stack, settings, metrics, tracing)
        at_once = 2 if settings.workers == 1 else 1
        executions = PostgresExecutions(pool, at_once=at_once)
        pending = PostgresPendingExecutions(pool, at_once=at_once)
        clock = clock or SystemClock()
        parts = await stack.enter_async_context(
            open_delivery(
                settings,
                pool,
                files=files,
                accounting=accounting,
                tracing=tracing,
                on_written=metrics.file_written,
            )
        )
        dispatcher = await stack.enter_async_context(_dispatcher(settings, metrics, database, parts, tracing))
        sends = await stack.enter_async_context(_sends(settings, metrics, parts, dispatcher, tracing))
        look_up = LookUpPending(pending, executions, portfolios, clock, _pending_terms(settings))
        pending_lookups = await stack.enter_async_context(
            PendingLookups(
                look_up,
                metrics,
                may_begin=lambda: not database.migrating,
                grace_seconds=settings.shutdown_grace_seconds * PENDING_SHARE,
            )
        )
        backlog = PostgresBacklog(pool)
        overviews = await stack.enter_async_context(_overviews(pool, backlog, parts, clock))
        if settings.metrics_enabled:
            sources = _sources(pool, backlog, dispatcher)
            await stack.enter_async_context(
                Measuring(metrics.state, sources, may_begin=lambda: not database.migrating)
            )
        readiness = await stack.enter_async_context(DatabaseReadiness(pool, database))
        await stack.enter_async_context(database.running())
        yield Services(
            executions=executions,
            batches=parts.batches,
            deliveries=parts.deliveries,
            resolutions=parts.resolutions,
            backlog=backlog,
            overviews=overviews,
            receive=_receive(settings, executions, portfolios, pending),
            pending_lookups=pending_lookups,
            sends=sends,
            readiness=readiness,
            clock=clock,
        )


async def _open_trade_service(
    stack: AsyncExitStack, settings: Settings, metrics: Metrics, tracing: Tracing
) -> Portfolios:
    portfolios = await stack.enter_async_context(
        open_trade_service(
            settings.trade_service_url,
            timeout_seconds=settings.trade_service_timeout_seconds,
            attempts=settings.retry_max_attempts,
            base_delay_seconds=settings.retry_base_delay_ms / 1000,
            lookups_at_once=settings.trade_service_max_lookups,
            breaker_threshold=settings.trade_service_breaker_failures,
            breaker_open_seconds=settings.trade_service_breaker_open_seconds,
            on_lookup=metrics.looked_up,
            on_retry=metrics.lookup_retried,
            on_breaker=metrics.breaker_changed,
            headers=functools.partial(_outgoing, tracing),
            watch=TradeServiceCalls(tracing) if tracing.is_on else None,
        )
    )
    return TracedPortfolios(portfolios, tracing) if tracing.is_on else portfolios


def _receive(
    settings: Settings, executions: Executions, portfolios: Portfolios, pending: PendingExecutions
) -> ReceiveExecutions:
    if not settings.trade_service_defer:
        return ReceiveExecutions(executions, portfolios)
    terms = DeferTerms(pending, most=settings.trade_service_defer_max_records)
    return ReceiveExecutions(executions, portfolios, terms)


def _pending_terms(settings: Settings) -> PendingTerms:
    # Nobody waits for these lookups: each has the time for at least one whole attempt.
    lookup_seconds = max(_PENDING_LOOKUP_SECONDS, settings.trade_service_timeout_seconds + 1)
    return PendingTerms(
        max_age=timedelta(seconds=settings.trade_service_defer_max_age_seconds),
        lookups_at_once=max(1, round(settings.trade_service_max_lookups * _PENDING_LOOKUPS_SHARE)),
        lookup_seconds=lookup_seconds,
        lease=timedelta(seconds=lookup_seconds) + _PENDING_LEASE_MARGIN,
    )


def _dispatcher(
    settings: Settings, metrics: Metrics, database: DatabaseStart, parts: DeliveryParts, tracing: Tracing
) -> Dispatcher:
    metrics.dispatches(parts.execution_mode, Result)
    return Dispatcher(
        parts.work_off,
        parts.deliveries,
        parts.files,
        parts.accounting,
        metrics,
        runner=parts.execution_mode,
        lanes=settings.delivery_lanes,
        may_begin=lambda: not database.migrating,
        grace_seconds=settings.shutdown_grace_seconds * WRITING_SHARE,
        tracing=tracing,
    )


def _sends(
    settings: Settings, metrics: Metrics, parts: DeliveryParts, dispatcher: Dispatcher, tracing: Tracing
) -> Sends:
    return Sends(
        parts.send_batch,
        parts.batches,
        parts.deliveries,
        dispatcher,
        metrics,
        execution_mode=parts.execution_mode,
        grace_seconds=settings.shutdown_grace_seconds * SENDS_SHARE,
        tracing=tracing,
    )


def _overviews(pool: Pool, backlog: Backlog, parts: DeliveryParts, clock: Clock) -> Overviews:
    return Overviews(
        backlog,
        parts.batches,
        parts.deliveries,
        PostgresActivity(pool),
        clock,
        execution_mode=parts.execution_mode,
    )


def _sources(pool: Pool, backlog: Backlog, dispatcher: Dispatcher) -> Sources:
    return Sources(
        backlog=backlog,
        migrations_missing=functools.partial(missing_migrations, pool),
        pool=lambda: pool.counts,
        steps_under_way=lambda: (dispatcher.to_write, dispatcher.to_deliver),
    )


def _outgoing(tracing: Tracing) -> dict[str, str]:
    """Return the headers that tie an outgoing call to the request behind it."""
    headers = tracing.carried().headers()
    if correlation := correlation_id():
        headers[_CORRELATION_HEADER] = correlation
    return headers
