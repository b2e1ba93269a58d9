"""Executions for transaction files, as many as wanted."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from globeco_allocation.domain import Execution, FileQuantity
from globeco_allocation.domain.transaction_file import row_formatter

NAME = "transactions_20260302_160000_7.csv"
ROW = row_formatter(FileQuantity.ORDERED)

_NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)
ONE = Execution(
    id=1,
    execution_service_id=1,
    execution_status="FULL",
    trade_type="BUY",
    destination="ML",
    security_id="68336002fe95851f0a2aeda9",
    ticker="IBM",
    quantity=Decimal(100),
    average_price=Decimal("50.125"),
    received_timestamp=_NOON,
    sent_timestamp=_NOON,
    trade_date=date(2026, 3, 2),
    portfolio_id="683b6b9620f302c879a5fef4",
    ready_to_send_timestamp=_NOON,
)


async def executions(count: int, first: int = 1) -> AsyncIterator[Execution]:
    for number in range(first, first + count):
        yield replace(ONE, id=number)


async def slowly(count: int) -> AsyncIterator[Execution]:
    """As a database that takes its time."""
    async for one in executions(count):
        if one.id % 500 == 0:
            await asyncio.sleep(0.002)
        yield one
