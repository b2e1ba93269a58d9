"""Executions and the columns of the table ``execution``, both ways."""

from collections.abc import Sequence
from decimal import Decimal

import asyncpg

from globeco_allocation.domain.execution import AllocatedExecution, Execution

SELECT_EXECUTIONS = """
SELECT id, execution_service_id, is_open, execution_status, trade_type, destination, trade_date, security_id,
       ticker, portfolio_id, quantity, limit_price, received_timestamp, sent_timestamp, last_fill_timestamp,
       quantity_filled, total_amount, average_price, ready_to_send_timestamp, version
  FROM execution
"""


def to_execution(row: asyncpg.Record) -> Execution:
    """Read a row of `SELECT_EXECUTIONS`, also one that another program stored."""
    portfolio_id: str | None = row["portfolio_id"]
    total_amount: Decimal | None = row["total_amount"]
    return Execution(
        id=row["id"],
        execution_service_id=row["execution_service_id"],
        is_open=row["is_open"],
        execution_status=row["execution_status"],
        trade_type=row["trade_type"],
        destination=row["destination"],
        trade_date=row["trade_date"],
        security_id=_unpadded(row["security_id"]),
        ticker=row["ticker"],
        portfolio_id=None if portfolio_id is None else _unpadded(portfolio_id),
        quantity=row["quantity"],
        limit_price=row["limit_price"],
        received_timestamp=row["received_timestamp"],
        sent_timestamp=row["sent_timestamp"],
        last_fill_timestamp=row["last_fill_timestamp"],
        quantity_filled=row["quantity_filled"],
        total_amount=Decimal(0) if total_amount is None else total_amount,
        average_price=row["average_price"],
        ready_to_send_timestamp=row["ready_to_send_timestamp"],
        version=row["version"],
    )


def to_columns(allocated: Sequence[AllocatedExecution]) -> tuple[list[object], ...]:
    """Write executions as one array per column, in the order of ``keep_executions``'s parameters."""
    new = [one.execution for one in allocated]
    return (
        [one.execution_service_id for one in new],
        [one.is_open for one in new],
        [one.execution_status for one in new],
        [one.trade_type for one in new],
        [one.destination for one in new],
        [one.trade_date for one in new],
        [one.security_id for one in new],
        [one.ticker for one in new],
        [one.portfolio_id for one in allocated],
        [one.quantity for one in new],
        [one.limit_price for one in new],
        [one.received_timestamp for one in new],
        [one.sent_timestamp for one in new],
        [one.last_fill_timestamp for one in new],
        [one.quantity_filled for one in new],
        [one.total_amount for one in new],
        [one.average_price for one in new],
    )


def _unpadded(text: str) -> str:
    # char(24) comes back padded with blanks.
    return text.rstrip(" ")
