"""Executions for transaction files, as many as wanted, and a file written of them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from globeco_allocation.domain import Execution, FileQuantity, RenderedRows, WrittenFile, render
from globeco_allocation.domain.transaction_file import HEADER, row_formatter
from globeco_allocation.ports.files import TransactionFiles

NAME = "transactions_20260302_160000_7.csv"
ROW = row_formatter(FileQuantity.ORDERED)

_NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)
_AT_ONCE = 2000
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


def executions(count: int, first: int = 1, price: str = "50.125") -> list[Execution]:
    return [replace(ONE, id=first + number, average_price=Decimal(price)) for number in range(count)]


def rows(count: int, first: int = 1, price: str = "50.125") -> RenderedRows:
    return render(executions(count, first, price), ROW)


def some_at_a_time(count: int) -> Iterator[RenderedRows]:
    """As a database streams them."""
    for first in range(1, count + 1, _AT_ONCE):
        yield rows(min(_AT_ONCE, count + 1 - first), first)


def everything(directory: Path) -> list[str]:
    """Return the names of all files, hidden ones too."""
    return sorted(path.name for path in directory.iterdir())


async def write(files: TransactionFiles, count: int = 3, *, name: str = NAME) -> WrittenFile:
    """Write a file of *count* executions."""
    async with files.draft(name, HEADER) as draft:
        for some in some_at_a_time(count):
            await draft.append(some)
        return await draft.publish()
