"""The transaction file that Portfolio Accounting's CLI reads: its name and its bytes.

UTF-8 without a byte order mark, line feeds, the last line ended; fields quoted only where RFC 4180 needs it
(specification, "Portfolio Accounting File Format"; design, "Files").
"""

from collections.abc import Callable
from datetime import UTC
from decimal import Decimal

from globeco_allocation.domain.batch import Batch, FileQuantity
from globeco_allocation.domain.execution import Execution
from globeco_allocation.domain.money import fixed
from globeco_allocation.domain.source_id import source_id

HEADER = b"portfolio_id,security_id,source_id,transaction_type,quantity,price,transaction_date\n"

_NEEDS_QUOTES = frozenset(',"\r\n')


def file_name(batch: Batch) -> str:
    """Return the bare name of the batch's file: unique for ever, for no two batches share an id.

    ``transactions_<UTC yyyymmdd_hhmmss of the start time>_<batch id>.csv``
    """
    start = batch.start.astimezone(UTC)
    stamp = f"{start.year:04}{start:%m%d_%H%M%S}"
    return f"transactions_{stamp}_{batch.id}.csv"


def row_formatter(quantity: FileQuantity) -> Callable[[Execution], bytes]:
    """Return the function that writes one execution as one line."""
    amount = _quantity_filled if quantity is FileQuantity.FILLED else _quantity

    def row(execution: Execution) -> bytes:
        day = execution.trade_date
        return (
            f"{_field(execution.portfolio_id or '')},{_field(execution.security_id)},"
            f"{source_id(execution.id)},{_field(execution.trade_type)},{fixed(amount(execution))},{fixed(execution.average_price)},"
            f"{day.year:04}{day.month:02}{day.day:02}\n"
        ).encode()

    return row


def _quantity(execution: Execution) -> Decimal:
    return execution.quantity


def _quantity_filled(execution: Execution) -> Decimal:
    return execution.quantity_filled


def _field(text: str) -> str:
    if _NEEDS_QUOTES.isdisjoint(text):
        return text
    return '"' + text.replace('"', '""') + '"'
