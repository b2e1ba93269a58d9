"""The causes of all alerts."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from tests.alarms.making import (
    Undo,
    alone,
    cli_fails,
    cli_hangs,
    database_away,
    database_made_anew,
    deferring,
    directory_gone,
    limited,
    little_memory,
    loop_stalled,
    no_room,
    nobody_sends,
    old_schema,
    portfolio_unknown,
    record_refused,
    relayed,
    schema_rolled_back,
    small_pool,
    table_locked,
    trade_service_down,
    with_trade_service,
)
from tests.alarms.stage import Place


@dataclass(frozen=True)
class Cause:
    """What is made to happen, in one place.

    Attributes:
        place: The namespace.
        what: For whoever watches.
        alerts: Which are to fire.
        prepare: Sets the place up, before its service is started.
        make: Makes it happen; returns what undoes it.
    """

    place: str
    what: str
    alerts: tuple[str, ...]
    prepare: Callable[[Place, ExitStack], None]
    make: Callable[[Place], Undo]


CAUSES = (
    Cause(
        "breaker",
        "the Trade Service is ended",
        ("AllocationBreakerOpen", "AllocationRecordsFail"),
        with_trade_service,
        trade_service_down,
    ),
    Cause("failing", "the CLI fails", ("AllocationDeliveryFailed",), with_trade_service, cli_fails),
    Cause(
        "refusing",
        "Portfolio Accounting refuses a record",
        ("AllocationRecordsRejected",),
        with_trade_service,
        record_refused,
    ),
    Cause("hanging", "the CLI hangs", ("AllocationDeliveryTakesTooLong",), with_trade_service, cli_hangs),
    Cause(
        "database",
        "the database is cut off",
        ("AllocationErrorBudgetBurnsFast", "AllocationErrorBudgetBurns", "AllocationDatabaseNotRead"),
        relayed,
        database_away,
    ),
    Cause("pool", "a session locks the table", ("AllocationPoolExhausted",), small_pool, table_locked),
    Cause(
        "disk",
        "OUTPUT_DIR is gone",
        ("AllocationReplicaNotFit", "AllocationNobodyDelivers"),
        with_trade_service,
        directory_gone,
    ),
    Cause(
        "full",
        "files cannot be written to their end",
        ("AllocationBatchNotWritten",),
        with_trade_service,
        no_room,
    ),
    Cause("schema", "a migration is missing", ("AllocationSchemaBehind",), schema_rolled_back, old_schema),
    Cause(
        "collision",
        "the database is made anew",
        ("AllocationDeliveryStopped",),
        with_trade_service,
        database_made_anew,
    ),
    Cause(
        "waiting",
        "nobody sends",
        ("AllocationExecutionsWaitTooLong",),
        with_trade_service,
        nobody_sends,
    ),
    Cause(
        "pending",
        "the Trade Service never answers",
        ("AllocationPendingTooLong", "AllocationPendingGivenUp"),
        deferring,
        portfolio_unknown,
    ),
    Cause("loop", "the process gets no CPU", ("AllocationEventLoopLag",), alone, loop_stalled),
    Cause("memory", "the container is too small", ("AllocationMemoryNearLimit",), limited, little_memory),
)
"""But for a replica that is killed, and for all of them: those come last."""

KILLED = ("AllocationReplicaDown", "AllocationServiceAbsent")
"""What fires at the end, when the services are killed."""


def all_alerts() -> Iterator[str]:
    """Every alert for which there is a cause."""
    for cause in CAUSES:
        yield from cause.alerts
    yield from KILLED
