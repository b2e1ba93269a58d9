"""The transaction file that Portfolio Accounting's CLI reads: its name and its bytes.

UTF-8 without a byte order mark, line feeds, the last line ended; fields quoted only where RFC 4180 needs it
(specification, "Portfolio Accounting File Format"; design, "Files").
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from decimal import Decimal

from globeco_allocation.domain.batch import Batch, FileQuantity
from globeco_allocation.domain.delivery import PlannedFile
from globeco_allocation.domain.execution import Execution
from globeco_allocation.domain.money import fixed
from globeco_allocation.domain.source_id import source_id

HEADER = b"portfolio_id,security_id,source_id,transaction_type,quantity,price,transaction_date\n"

_NEEDS_QUOTES = frozenset(',"\r\n')


@dataclass(frozen=True, slots=True)
class RenderedRows:
    """Some rows of a transaction file, at least one, as they stand in it.

    Attributes:
        text: Their bytes, the last line ended.
        record_count: How many they are: fewer than lines where a field holds a line feed.
        first_id: The id of the first one's execution.
        last_id: Of the last one's.
    """

    text: bytes
    record_count: int
    first_id: int
    last_id: int


def file_name(batch: Batch, lane: int = 0, part: int = 0, *, parts: int = 1) -> str:
    """Return the bare name of one of the batch's files: unique for ever, for no two batches share an id.

    ``transactions_<UTC yyyymmdd_hhmmss of the start time>_<batch id>[_l<lane>][_p<part>].csv``: the lane is
    named where the batch has several, the part where the lane has several (*parts*).
    """
    start = batch.start.astimezone(UTC)
    stamp = f"{start.year:04}{start:%m%d_%H%M%S}"
    lane_mark = f"_l{lane}" if batch.terms.lane_count > 1 else ""
    part_mark = f"_p{part}" if parts > 1 else ""
    return f"transactions_{stamp}_{batch.id}{lane_mark}{part_mark}.csv"


def plan_files(batch: Batch, lane_sizes: Mapping[int, int]) -> list[PlannedFile]:
    """Return the files that a batch has, given the number of executions in each lane.

    They follow from the batch and its executions alone, so that a plan made again is the same.
    """
    most = batch.terms.file_max_records
    return [
        PlannedFile(
            lane, part, file_name(batch, lane, part, parts=-(-size // most)), min(most, size - part * most)
        )
        for lane, size in sorted(lane_sizes.items())
        for part in range(-(-size // most))
    ]


def row_formatter(quantity: FileQuantity) -> Callable[[Execution], bytes]:
    """Return the function that writes one execution as one line."""
    amount = _quantity_filled if quantity is FileQuantity.FILLED else _quantity

    def row(execution: Execution) -> bytes:
        return file_row(
            portfolio_id=execution.portfolio_id or "",
            security_id=execution.security_id,
            execution_id=execution.id,
            trade_type=execution.trade_type,
            quantity=fixed(amount(execution)),
            price=fixed(execution.average_price),
            day=day_digits(execution.trade_date),
        ).encode()

    return row


def file_row(
    *,
    portfolio_id: str,
    security_id: str,
    execution_id: int,
    trade_type: str,
    quantity: str,
    price: str,
    day: str,
) -> str:
    """Write one line; the amounts and the day as the file shows them."""
    return (
        f"{csv_field(portfolio_id)},{csv_field(security_id)},{source_id(execution_id)},{csv_field(trade_type)},"
        f"{quantity},{price},{day}\n"
    )


def csv_field(text: str) -> str:
    """Write a field, in quotes only where RFC 4180 needs them.

    >>> csv_field('the "A" shares')
    '"the ""A"" shares"'
    """
    if _NEEDS_QUOTES.isdisjoint(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def day_digits(day: date) -> str:
    """Write a trade date.

    >>> day_digits(date(2026, 3, 2))
    '20260302'
    """
    return f"{day.year:04}{day.month:02}{day.day:02}"


def render(executions: Sequence[Execution], row: Callable[[Execution], bytes]) -> RenderedRows:
    """Write executions, at least one, as rows of a file."""
    text = b"".join(map(row, executions))
    return RenderedRows(text, len(executions), executions[0].id, executions[-1].id)


def _quantity(execution: Execution) -> Decimal:
    return execution.quantity


def _quantity_filled(execution: Execution) -> Decimal:
    return execution.quantity_filled
