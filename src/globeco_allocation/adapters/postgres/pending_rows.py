"""Pending executions and the columns of the table ``pending_execution``, both ways."""

from collections.abc import Sequence

import asyncpg

from globeco_allocation.adapters.storable_text import storable
from globeco_allocation.domain.execution import NewExecution
from globeco_allocation.domain.pending import PendingExecution, PendingStatus
from globeco_allocation.ports.pending import Deferral


def to_pending(row: asyncpg.Record) -> PendingExecution:
    """Read a whole row."""
    return PendingExecution(
        execution=_to_new(row),
        deferred=row["deferred_timestamp"],
        attempts=row["attempts"],
        next_attempt=row["next_attempt_timestamp"],
        status=PendingStatus(row["status"]),
        reason=row["reason"],
    )


def to_columns(deferrals: Sequence[Deferral]) -> tuple[list[object], ...]:
    """Write deferrals as one array per column, in the order of the statement that inserts them."""
    new = [one.execution for one in deferrals]
    return (
        [one.execution_service_id for one in new],
        [one.is_open for one in new],
        [one.execution_status for one in new],
        [one.trade_type for one in new],
        [one.destination for one in new],
        [one.security_id for one in new],
        [one.ticker for one in new],
        [one.quantity for one in new],
        [one.limit_price for one in new],
        [one.received_timestamp for one in new],
        [one.sent_timestamp for one in new],
        [one.last_fill_timestamp for one in new],
        [one.quantity_filled for one in new],
        [one.total_amount for one in new],
        [one.average_price for one in new],
        [storable(one.reason) for one in deferrals],
    )


def _to_new(row: asyncpg.Record) -> NewExecution:
    return NewExecution(
        execution_service_id=row["execution_service_id"],
        is_open=row["is_open"],
        execution_status=row["execution_status"],
        trade_type=row["trade_type"],
        destination=row["destination"],
        security_id=row["security_id"],  # its padding is cut off there
        ticker=row["ticker"],
        quantity=row["quantity"],
        limit_price=row["limit_price"],
        received_timestamp=row["received_timestamp"],
        sent_timestamp=row["sent_timestamp"],
        last_fill_timestamp=row["last_fill_timestamp"],
        quantity_filled=row["quantity_filled"],
        total_amount=row["total_amount"],
        average_price=row["average_price"],
    )
