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
_LARGEST_SHOWN_ID = 2**63 - 1


class _Record(msgspec.Struct, rename="camel"):
    """A record as it stands on the wire; null is absent, what is not named here is ignored."""

    execution_service_id: int | None = None
    is_open: bool | None = None
    execution_status: str | None = None
    trade_type: str | None = None
    destination: str | None = None
    security_id: str | None = None
    ticker: str | None = None
    quantity: msgspec.Raw = _ABSENT
    limit_price: msgspec.Raw = _ABSENT
    received_timestamp: str | None = None
    sent_timestamp: str | None = None
    last_fill_timestamp: str | None = None
    quantity_filled: msgspec.Raw = _ABSENT
    total_amount: msgspec.Raw = _ABSENT
    average_price: msgspec.Raw = _ABSENT


_KINDS: dict[str, tuple[msgspec.json.Decoder[Any], str]] = {
    "execution_service_id": (msgspec.json.Decoder(int | None), "must be an integer"),
    "is_open": (msgspec.json.Decoder(bool | None), "must be true or false"),
} | dict.fromkeys(
    (name for name in _ORDER if name not in {*_AMOUNTS, "execution_service_id", "is_open"}),
    (msgspec.json.Decoder(str | None), "must be a text"),
)
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_record = msgspec.json.Decoder(_Record).decode
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
    faults: dict[str, str] = {}
    try:
        record = msgspec.structs.asdict(_decode_record(element))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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
