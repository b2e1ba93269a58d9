"""The manifest of a transaction file: all that brings its executions and their window back (docs/adr/0020).

It lies beside its file as ``<file name>.executions.csv``. It is a CSV file as PostgreSQL's COPY writes and
reads it: UTF-8, line feeds, a header, the same columns in every line, an empty field for null and ``""`` for
an empty text. The column ``record`` says what a line is: first one ``batch`` with the window, the terms and
the file, then one ``execution`` for each row of the file with every column of the table, and last one ``end``
with the SHA-256 of all the bytes before it. A file without its ``end`` was cut off.
"""

from datetime import UTC, datetime
from decimal import Decimal

from globeco_allocation.domain.batch import Batch
from globeco_allocation.domain.delivery import PlannedFile, WrittenFile
from globeco_allocation.domain.execution import ID_LENGTH, Execution
from globeco_allocation.domain.money import fixed
from globeco_allocation.domain.transaction_file import csv_field

MANIFEST_VERSION = 1
"""The manifest format that this package writes and reads."""

MANIFEST_SUFFIX = ".executions.csv"

BATCH, EXECUTION, END = "batch", "execution", "end"
"""What a line of a manifest is."""

EXECUTION_COLUMNS = (
    "id",
    "execution_service_id",
    "is_open",
    "execution_status",
    "trade_type",
    "destination",
    "trade_date",
    "security_id",
    "ticker",
    "portfolio_id",
    "quantity",
    "limit_price",
    "received_timestamp",
    "sent_timestamp",
    "last_fill_timestamp",
    "quantity_filled",
    "total_amount",
    "average_price",
    "ready_to_send_timestamp",
    "version",
)
"""Those of the table, in its order."""

BATCH_COLUMNS = (
    "manifest_version",
    "batch_id",
    "previous_start_time",
    "start_time",
    "file_quantity",
    "file_format_version",
    "lane_count",
    "file_max_records",
    "requested_by",
    "file_name",
    "lane",
    "part",
    "record_count",
)
"""The window, the terms of its claim, and the file."""

COLUMNS = ("record", *EXECUTION_COLUMNS, *BATCH_COLUMNS, "checksum")

MANIFEST_HEADER = f"{','.join(COLUMNS)}\n".encode()

_NO_EXECUTION = "," * len(EXECUTION_COLUMNS)
_NO_BATCH = "," * len(BATCH_COLUMNS)


def manifest_name(file_name: str) -> str:
    """Return the bare name of a transaction file's manifest.

    >>> manifest_name("transactions_20260302_150000_7.csv")
    'transactions_20260302_150000_7.csv.executions.csv'
    """
    return file_name + MANIFEST_SUFFIX


def manifest_beginning(batch: Batch, file: PlannedFile) -> bytes:
    """Return a manifest's first lines: the header, and the window, terms and file."""
    terms = batch.terms
    facts = (
        str(MANIFEST_VERSION),
        str(batch.id),
        _instant(batch.window.previous_start),
        _instant(batch.window.start),
        terms.file_quantity.value,
        str(terms.file_format_version),
        str(terms.lane_count),
        str(terms.file_max_records),
        terms.requested_by,
        file.file_name,
        str(file.lane),
        str(file.part),
        str(file.record_count),
    )
    return MANIFEST_HEADER + f"{BATCH}{_NO_EXECUTION},{','.join(map(_text, facts))},\n".encode()


def manifest_end(before: WrittenFile) -> bytes:
    """Return a manifest's last line, given what was written before it."""
    return f"{END}{_NO_EXECUTION}{_NO_BATCH},{before.checksum}\n".encode()


def manifest_row(execution: Execution) -> bytes:
    """Write one execution as a line, to the byte as COPY does in UTC and with ``DateStyle`` ISO."""
    one = execution
    fields = (
        str(one.id),
        str(one.execution_service_id),
        "t" if one.is_open else "f",
        _text(one.execution_status),
        _text(one.trade_type),
        _text(one.destination),
        one.trade_date.isoformat(),
        _text(one.security_id.ljust(ID_LENGTH)),
        _text(one.ticker),
        "" if one.portfolio_id is None else _text(one.portfolio_id.ljust(ID_LENGTH)),
        fixed(one.quantity),
        _or_null(one.limit_price),
        _instant(one.received_timestamp),
        _instant(one.sent_timestamp),
        "" if one.last_fill_timestamp is None else _instant(one.last_fill_timestamp),
        fixed(one.quantity_filled),
        fixed(one.total_amount),
        fixed(one.average_price),
        "" if one.ready_to_send_timestamp is None else _instant(one.ready_to_send_timestamp),
        str(one.version),
    )
    return f"{EXECUTION},{','.join(fields)}{_NO_BATCH},\n".encode()


def _or_null(amount: Decimal | None) -> str:
    return "" if amount is None else fixed(amount)


def _instant(moment: datetime) -> str:
    """Write an instant as PostgreSQL does in UTC.

    >>> _instant(datetime(2026, 3, 2, 15, 0, 0, 120000, tzinfo=UTC))
    '2026-03-02 15:00:00.12+00'
    """
    at = moment.astimezone(UTC)
    fraction = f".{at.microsecond:06}".rstrip("0") if at.microsecond else ""
    return f"{at.year:04}-{at:%m-%d %H:%M:%S}{fraction}+00"


def _text(text: str) -> str:
    return csv_field(text) or '""'
