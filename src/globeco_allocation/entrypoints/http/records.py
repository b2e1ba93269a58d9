"""Read the body of Create: every record alone, so that a broken one spoils no other.

Amounts go from the bytes on the wire to `Decimal` without passing through a binary float; so they are taken
as raw tokens, which also tells a JSON number from a string.
"""

import re
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from globeco_allocation.domain.errors import Fault, InvalidExecutionError
from globeco_allocation.domain.execution import ExecutionFields, NewExecution
from globeco_allocation.domain.instant import parse_instant
from globeco_allocation.domain.use_cases.receipts import Unreadable
from globeco_allocation.entrypoints.http.mending import mend

MOST_RECORDS: Final = 100
NOT_AN_OBJECT: Final = "the record must be a JSON object"


def camel_case(name: str) -> str:
    """Name a field as it stands on the wire: ``average_price`` is ``averagePrice``."""
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)


_ORDER = {field.name: position for position, field in enumerate(fields(ExecutionFields))}
_CAMEL = {name: camel_case(name) for name in _ORDER}
_REQUIRED = (
    "execution_service_id",
    "execution_status",
    "trade_type",
    "destination",
    "security_id",
    "ticker",
    "quantity",
    "received_timestamp",
    "sent_timestamp",
    "average_price",
)
_AMOUNTS = ("quantity", "limit_price", "quantity_filled", "total_amount", "average_price")
_INSTANTS = ("received_timestamp", "sent_timestamp", "last_fill_timestamp")
_ABSENT = msgspec.Raw()
_ZERO = Decimal(0)
_LARGEST_SHOWN_ID = 2**63 - 1


class _SoundRecord(msgspec.Struct, rename="camel"):
    """A record as it stands on the wire; null is absent, what is not named here is ignored."""

    execution_service_id: int
    execution_status: str
    trade_type: str
    destination: str
    security_id: str
    ticker: str
    quantity: msgspec.Raw
    received_timestamp: str
    sent_timestamp: str
    average_price: msgspec.Raw
    is_open: bool | None = None
    limit_price: msgspec.Raw = _ABSENT
    last_fill_timestamp: str | None = None
    quantity_filled: msgspec.Raw = _ABSENT
    total_amount: msgspec.Raw = _ABSENT


_KINDS: dict[str, tuple[msgspec.json.Decoder[Any], str]] = {
    "execution_service_id": (msgspec.json.Decoder(int | None), "must be an integer"),
    "is_open": (msgspec.json.Decoder(bool | None), "must be true or false"),
} | dict.fromkeys(
    (name for name in _ORDER if name not in {*_AMOUNTS, "execution_service_id", "is_open"}),
    (msgspec.json.Decoder(str | None), "must be a text"),
)
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_sound_record = msgspec.json.Decoder(_SoundRecord).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

# Values that break no rule: they stand in for unreadable ones, while the readable ones are judged.
_HARMLESS: dict[str, Any] = {
    "execution_service_id": 1,
    "execution_status": "FULL",
    "trade_type": "BUY",
    "destination": "-",
    "security_id": "-",
    "ticker": "-",
    "quantity": Decimal(1),
    "received_timestamp": datetime(2000, 1, 1, tzinfo=UTC),
    "sent_timestamp": datetime(2000, 1, 1, tzinfo=UTC),
    "average_price": Decimal(1),
}


class UnreadableBodyError(ValueError):
    """The body is no array of 1 to 100 records; the text is for the caller."""


def read_records(body: bytes) -> list[NewExecution | Unreadable]:
    """Read and judge each record of *body*.

    Raises:
        UnreadableBodyError: it is no JSON array, or has no or too many elements.
    """
    try:
        elements = _elements(body)
    except RecursionError:
        raise UnreadableBodyError("The body is nested too deeply.") from None
    except msgspec.ValidationError:
        raise UnreadableBodyError("The body must be a JSON array of executions.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UnreadableBodyError("The body is not valid JSON.") from None
    if not 1 <= len(elements) <= MOST_RECORDS:
        raise UnreadableBodyError(
            f"The body must hold between 1 and {MOST_RECORDS} executions, and holds {len(elements)}."
        )
    return [_read(element) for element in elements]


def _elements(body: bytes) -> list[msgspec.Raw]:
    try:
        return _decode_array(body)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, RecursionError):
        mended = mend(body)
        if mended == body:
            raise
        return _decode_array(mended)


def _read(element: msgspec.Raw) -> NewExecution | Unreadable:
    try:
        return _read_sound(element)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, InvalidExecutionError):
        return _judge(element)


def _read_sound(element: msgspec.Raw) -> NewExecution:
    """Read a record without a fault, as nearly all are; raise anything for another."""
    record = _decode_sound_record(element)
    last_fill = record.last_fill_timestamp
    return NewExecution(
        execution_service_id=record.execution_service_id,
        is_open=record.is_open or False,
        execution_status=record.execution_status,
        trade_type=record.trade_type,
        destination=record.destination,
        security_id=record.security_id,
        ticker=record.ticker,
        quantity=_present(record.quantity),
        limit_price=_amount(bytes(record.limit_price)),
        received_timestamp=parse_instant(record.received_timestamp),
        sent_timestamp=parse_instant(record.sent_timestamp),
        last_fill_timestamp=None if last_fill is None else parse_instant(last_fill),
        quantity_filled=_amount(bytes(record.quantity_filled)) or _ZERO,
        total_amount=_amount(bytes(record.total_amount)) or _ZERO,
        average_price=_present(record.average_price),
    )


def _present(token: msgspec.Raw) -> Decimal:
    amount = _amount(bytes(token))
    if amount is None:
        raise ValueError("is required")
    return amount


def _judge(element: msgspec.Raw) -> NewExecution | Unreadable:
    """Read a record that has faults, and name them all."""
    faults: dict[str, str] = {}
    try:
        record = _field_by_field(element, faults)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Unreadable(0, NOT_AN_OBJECT)
    values: dict[str, Any] = {
        name: value for name in record if (value := _value(name, record[name], faults)) is not None
    }
    for name in _REQUIRED:
        if name not in values:
            faults.setdefault(name, "is required")
    try:
        execution = NewExecution(**(_HARMLESS | values))
    except InvalidExecutionError as error:
        faults |= {fault.field: fault.reason for fault in error.faults}
    else:
        if not faults:
            return execution
    key = values.get("execution_service_id", 0)
    return Unreadable(key if abs(key) <= _LARGEST_SHOWN_ID else 0, _message(faults))


def _field_by_field(element: msgspec.Raw, faults: dict[str, str]) -> dict[str, Any]:
    """Read what can be read of a record, and note why the rest cannot."""
    tokens = _decode_fields(element)
    record: dict[str, Any] = {}
    for name, camel in _CAMEL.items():
        token = tokens.get(camel, _ABSENT)
        if name in _AMOUNTS:
            record[name] = token
        elif bytes(token):
            decoder, reason = _KINDS[name]
            try:
                record[name] = decoder.decode(token)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                faults[name] = reason
    return record


def _value(name: str, read: object, faults: dict[str, str]) -> object:
    """Turn what was read into the domain's type; None when it is absent or at fault."""
    try:
        if isinstance(read, msgspec.Raw):
            return _amount(bytes(read))
        if name in _INSTANTS and isinstance(read, str):
            return parse_instant(read)
    except ValueError as error:
        faults[name] = str(error)
        return None
    return read


def _amount(token: bytes) -> Decimal | None:
    if token in {b"", b"null"}:
        return None
    if token[:1] not in b"-0123456789":
        raise ValueError("must be a number")
    try:
        return Decimal(token.decode())
    except InvalidOperation:
        raise ValueError("must have an exponent of ordinary size") from None


def _message(faults: dict[str, str]) -> str:
    in_order = sorted(
        (Fault(name, reason) for name, reason in faults.items()), key=lambda one: _ORDER[one.field]
    )
    return "; ".join(f"{_CAMEL[fault.field]} {fault.reason}" for fault in in_order)
