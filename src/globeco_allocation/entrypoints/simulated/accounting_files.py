"""The files of the simulated accounting CLI: transaction files in, error files out.

The reader and writer follow the rules of Go's ``encoding/csv``, in which the real program reads and writes:
a stray quote makes a row vanish, and quotes are written only where that package writes them.

Source of every rule here: contract "Portfolio Accounting CLI" ("Results", "Values") and its golden cases.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

COLUMNS = (
    "portfolio_id",
    "security_id",
    "source_id",
    "transaction_type",
    "quantity",
    "price",
    "transaction_date",
)

_ID_BYTES = 24
_SOURCE_ID_BYTES = 50
_TYPES = ("BUY", "SELL", "SHORT", "COVER", "DEP", "WD", "IN", "OUT")
_CASH_TYPES = ("DEP", "WD")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})", re.ASCII)
_LEAP_YEAR = 4


class Row(NamedTuple):
    """One transaction as it stands in the file, trimmed; the type in capitals."""

    portfolio_id: str
    security_id: str
    source_id: str
    transaction_type: str
    quantity: str
    price: str
    transaction_date: str


NO_FIELDS = Row("", "", "", "", "", "", "")
"""How a row with too few fields appears in the error file."""


class Failure(NamedTuple):
    """A row of the error file. Rows of one batch share one message, which may be hundreds of kilobytes."""

    row: Row
    message: str


class Reading(NamedTuple):
    """What a file holds: rows to send, and rows refused at once. What cannot be parsed is in neither."""

    rows: list[Row]
    refused: list[Failure]


class HeaderError(Exception):
    """The header cannot be read or lacks a column: nothing of the file is sent, exit code 1."""


def read_transactions(path: Path) -> Reading:
    """Read the whole file, as the real program does before it sends anything.

    Raises:
        HeaderError: see there.
        OSError: the file cannot be opened or read.
    """
    # Bytes that are no UTF-8 pass through unharmed, as in Go.
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        records = _records(iter(file))
        header = next(records, _END)
        if header is _END:
            raise HeaderError("failed to read CSV headers: EOF")
        positions = _positions(header or [])
        reading = Reading([], [])
        for record in records:
            if record is None:
                continue
            if len(record) <= max(positions):
                too_few = f"insufficient fields: expected {len(COLUMNS)}, got {len(record)}"
                reading.refused.append(Failure(NO_FIELDS, too_few))
                continue
            row = Row(*(record[position].strip() for position in positions))
            row = row._replace(transaction_type=row.transaction_type.upper())
            fault = _fault(row)
            if fault:
                reading.refused.append(Failure(row, fault))
            else:
                reading.rows.append(row)
        return reading


def write_errors(path: Path, failures: Iterable[Failure]) -> None:
    """Write the error file anew: the seven columns and ``error_message``.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(",".join((*COLUMNS, "error_message")) + "\n")
        message, quoted = "", ""
        for failure in failures:
            if failure.message is not message:  # a batch's message is long, and quoting it is not free
                message, quoted = failure.message, _quoted(failure.message)
            file.write(",".join(map(_quoted, failure.row)))
            file.write(",")
            file.write(quoted)
            file.write("\n")


_END: list[str] = []


def _records(lines: Iterator[str]) -> Iterator[list[str] | None]:
    """Yield each record's fields, or None for one that cannot be parsed; blank lines are no records."""
    for raw in lines:
        line = _without_carriage_return(raw)
        if line.rstrip("\n"):
            yield _record(line, lines)


def _without_carriage_return(line: str) -> str:
    if line.endswith("\r\n"):
        return line[:-2] + "\n"
    return line.removesuffix("\r")  # the file's last line, cut between CR and LF


def _record(line: str, lines: Iterator[str]) -> list[str] | None:
    """Split *line*, taking more of *lines* where a quoted field goes on there; None when it is malformed.

    A malformed record ends with the line on which that shows: the next one starts on the next line.
    """
    fields: list[str] = []
    while not line.startswith('"'):
        field, comma, rest = line.partition(",")
        if '"' in field:
            return None  # bare " in non-quoted-field
        if not comma:
            return [*fields, field.rstrip("\n")]
        fields.append(field)
        line = rest
    text, line = "", line[1:]
    while True:
        piece, quote, rest = line.partition('"')
        text += piece
        if not quote:
            line = _without_carriage_return(next(lines, ""))
            if not line:
                return None  # the file ended inside the quotes
        elif rest.startswith('"'):
            text, line = text + '"', rest[1:]
        elif rest.startswith(","):
            others = _record(rest[1:], lines)
            return None if others is None else [*fields, text, *others]
        else:
            return None if rest.rstrip("\n") else [*fields, text]  # extraneous " in quoted-field


def _positions(header: list[str]) -> list[int]:
    names = [name.strip() for name in header]
    for column in COLUMNS:
        if column not in names:
            raise HeaderError(f"missing required header: {column}")
    return [names.index(column) for column in COLUMNS]


def _fault(row: Row) -> str:
    """Return why the CLI itself refuses *row*, or an empty text."""
    return next((reason for broken, reason in _faults(row) if broken), "")


def _faults(row: Row) -> Iterator[tuple[bool, str]]:
    """Yield each rule with whether *row* breaks it. Lengths are in bytes, as in Go."""
    yield _bytes(row.portfolio_id) != _ID_BYTES, "portfolio_id must be 24 characters"
    yield not row.source_id, "source_id is required"
    yield _bytes(row.source_id) > _SOURCE_ID_BYTES, "source_id must be 50 characters or less"
    types = "BUY, SELL, SHORT, COVER, DEP, WD, IN, or OUT"
    yield row.transaction_type not in _TYPES, f"invalid transaction_type: must be {types}"
    if row.security_id:
        yield _bytes(row.security_id) != _ID_BYTES, "security_id must be 24 characters"
    else:
        needed = row.transaction_type not in _CASH_TYPES
        yield needed, "security_id can only be empty for DEP or WD transaction types"
    yield not _DECIMAL.fullmatch(row.quantity), "quantity must be a valid decimal number"
    yield not _DECIMAL.fullmatch(row.price), "price must be a valid decimal number"
    yield not _is_date(row.transaction_date), "transaction_date must be in YYYYMMDD format"


def _is_date(text: str) -> bool:
    parts = _DATE.fullmatch(text)
    if parts is None:
        return False
    try:
        # Any year will do, 0000 too, a leap year that Python does not know.
        date(int(parts[1]) or _LEAP_YEAR, int(parts[2]), int(parts[3]))
    except ValueError:
        return False
    return True


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def _quoted(field: str) -> str:
    """Quote *field* as Go does: comma, quote, line break, blank at the start, or only a backslash-dot."""
    if field == r"\." or field[:1].isspace() or any(mark in field for mark in ',"\r\n'):
        return '"' + field.replace('"', '""') + '"'
    return field


def shortest(value: Decimal) -> str:
    """Write *value* as the server does in JSON: no exponent, no zeros at the end.

    >>> shortest(Decimal("100.00000000")), shortest(Decimal("50.12500000")), shortest(Decimal("-0.0"))
    ('100', '50.125', '0')
    """
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text if value else "0"
