"""Executions: as a client reports them, with their portfolio, and as they are kept."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from globeco_allocation.domain.errors import Fault, InvalidExecutionError
from globeco_allocation.domain.instant import to_instant
from globeco_allocation.domain.money import to_money
from globeco_allocation.domain.trade_date import trade_date

T = TypeVar("T")

LARGEST_ID = 2**31 - 1
"""The largest value of the database's integer columns."""

ID_LENGTH = 24
"""The longest security or portfolio id, in characters."""

WORD_LENGTH = 20
"""The longest execution status, destination or ticker, in characters."""


class TradeType(StrEnum):
    """What an execution did with the security."""

    BUY = "BUY"
    SELL = "SELL"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionFields:
    """What a client says of an execution.

    Attributes:
        execution_service_id: Its id in the Execution Service, 1 to 2**31 - 1; one execution is kept for each.
        is_open: Whether more fills may come; open executions are not kept.
        execution_status: For instance ``FULL``, ``CPART``.
        trade_type: ``BUY`` or ``SELL``.
        destination: Where it was traded, for instance ``ML``.
        security_id: At most 24 characters, without padding.
        ticker: For instance ``BRK.B``.
        quantity: The number of units ordered; above 0.
        limit_price: Price per unit, or None.
        received_timestamp: When the Execution Service had received the order (UTC).
        sent_timestamp: When it had sent the order out (UTC); the trade date follows from it.
        last_fill_timestamp: The last fill, if known (UTC).
        quantity_filled: The number of units filled; 0 or above.
        total_amount: The value of all fills; 0 or above.
        average_price: Price per unit over all fills; above 0.
    """

    execution_service_id: int
    is_open: bool = False
    execution_status: str
    trade_type: str
    destination: str
    security_id: str
    ticker: str
    quantity: Decimal
    limit_price: Decimal | None = None
    received_timestamp: datetime
    sent_timestamp: datetime
    last_fill_timestamp: datetime | None = None
    quantity_filled: Decimal = Decimal(0)
    total_amount: Decimal = Decimal(0)
    average_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExecution(ExecutionFields):
    """An execution as reported, checked and put into the form in which it is kept.

    Amounts are rounded half-up to 8 places, instants are in UTC, and blanks that pad an id are cut off.

    Raises:
        InvalidExecutionError: one or more fields break a rule; all of them are named.

    >>> NewExecution(  # doctest: +ELLIPSIS
    ...     execution_service_id=27, execution_status="FULL", trade_type="BUY", destination="ML",
    ...     security_id="68336002fe95851f0a2aeda9", ticker="IBM",
    ...     quantity=Decimal(0), average_price=Decimal("NaN"),
    ...     received_timestamp=datetime.fromisoformat("2026-03-02T15:00:00Z"),
    ...     sent_timestamp=datetime.fromisoformat("2026-03-02T15:00:01Z"),
    ... )
    Traceback (most recent call last):
    ...
    globeco_allocation.domain.errors.InvalidExecutionError: quantity must be greater than 0; ...
    """

    def __post_init__(self) -> None:
        faults: list[Fault] = []
        for name, check in _RULES:
            reported = getattr(self, name)
            try:
                kept = check(reported)
            except ValueError as error:
                faults.append(Fault(name, str(error)))
            else:
                if kept is not reported:
                    object.__setattr__(self, name, kept)
        if faults:
            raise InvalidExecutionError(tuple(faults))

    @property
    def trade_date(self) -> date:
        """The calendar date in New York at which the order was sent."""
        return trade_date(self.sent_timestamp)


@dataclass(frozen=True, slots=True)
class AllocatedExecution:
    """A checked execution and the portfolio it belongs to: ready to be kept."""

    execution: NewExecution
    portfolio_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution(ExecutionFields):
    """An execution as it is kept.

    It is not checked again: a row that another program stored is shown and sent as it stands.

    Attributes:
        id: Ours; Portfolio Accounting's source id is made of it.
        trade_date: The calendar date in New York at which the order was sent.
        portfolio_id: Without padding; None only in rows that another program stored.
        ready_to_send_timestamp: The stamp that puts it into a batch's window (UTC).
        version: 1 in every row of ours.
    """

    id: int
    trade_date: date
    portfolio_id: str | None
    ready_to_send_timestamp: datetime | None
    version: int = 1


def differing_fields(reported: NewExecution, kept: ExecutionFields) -> tuple[str, ...]:
    """Name the fields in which a report of a known execution says something else than what is kept."""
    return tuple(name for name in _REPORTED if getattr(reported, name) != getattr(kept, name))


def check_portfolio_id(text: str) -> str:
    """Return a portfolio id without padding.

    Raises:
        ValueError: it is empty, longer than 24 characters, or cannot be kept as text.
    """
    return _padded_id(text)


def _integer_id(value: int) -> int:
    if not 1 <= value <= LARGEST_ID:
        raise ValueError(f"must be between 1 and {LARGEST_ID}")
    return value


def _text(value: str, longest: int) -> str:
    if not value:
        raise ValueError("must not be empty")
    if len(value) > longest:
        raise ValueError(f"must have at most {longest} characters")
    if "\0" in value:
        raise ValueError("must not contain a NUL character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("must be text that UTF-8 can express") from None
    return value


def _word(value: str) -> str:
    return _text(value, WORD_LENGTH)


def _padded_id(value: str) -> str:
    # A char(24) column cannot tell blanks at the end from padding, so they carry no meaning.
    return _text(_text(value, ID_LENGTH).rstrip(" "), ID_LENGTH)


def _trade_type(value: str) -> TradeType:
    try:
        return TradeType(value)
    except ValueError:
        raise ValueError("must be BUY or SELL") from None


def _positive(value: Decimal) -> Decimal:
    amount = to_money(value)
    if amount <= 0:
        raise ValueError("must be greater than 0")
    return amount


def _not_negative(value: Decimal) -> Decimal:
    amount = to_money(value)
    if amount < 0:
        raise ValueError("must not be negative")
    return amount


def _optional(check: Callable[[T], T]) -> Callable[[T | None], T | None]:
    return lambda value: None if value is None else check(value)


_RULES: tuple[tuple[str, Callable[..., object]], ...] = (
    ("execution_service_id", _integer_id),
    ("execution_status", _word),
    ("trade_type", _trade_type),
    ("destination", _word),
    ("security_id", _padded_id),
    ("ticker", _word),
    ("quantity", _positive),
    ("limit_price", _optional(to_money)),
    ("received_timestamp", to_instant),
    ("sent_timestamp", to_instant),
    ("last_fill_timestamp", _optional(to_instant)),
    ("quantity_filled", _not_negative),
    ("total_amount", _not_negative),
    ("average_price", _positive),
)
_REPORTED = tuple(field.name for field in fields(ExecutionFields))
