"""Whatever is reported: what is accepted fits the columns, and what is written can be read back."""

import csv
import io
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from globeco_allocation.domain import (
    HEADER,
    Execution,
    ExecutionFields,
    FileQuantity,
    InvalidExecutionError,
    NewExecution,
    check_portfolio_id,
    differing_fields,
    fixed,
    row_formatter,
    source_id,
)

SENT = datetime(2026, 3, 2, 15, tzinfo=UTC)
SOUND = NewExecution(
    execution_service_id=27,
    execution_status="FULL",
    trade_type="BUY",
    destination="ML",
    security_id="68336002fe95851f0a2aeda9",
    ticker="IBM",
    quantity=Decimal(100),
    received_timestamp=SENT,
    sent_timestamp=SENT,
    average_price=Decimal("50.125"),
)
LARGEST = Decimal("9999999999.99999999")
SMALLEST = Decimal("0.00000001")
VARCHAR = {"execution_status": 20, "trade_type": 10, "destination": 20, "ticker": 20, "security_id": 24}
ABOVE_ZERO = {"quantity", "average_price"}
NOT_BELOW_ZERO = {"quantity_filled", "total_amount"}

texts = (
    st.text(max_size=26)
    | st.text(" ab", max_size=30)
    | st.text(st.characters(categories=["Cs", "Cc", "Lu"]), max_size=26)
    | st.sampled_from(["BUY", "SELL"])
)
amounts = (
    st.decimals()
    | st.decimals(-(10**10), 10**10, allow_nan=False, allow_infinity=False)
    | st.sampled_from([Decimal("1e99999999"), Decimal("0e99999999"), Decimal("0.000000001"), Decimal("sNaN")])
)
moments = st.datetimes(timezones=st.just(UTC)) | st.datetimes(timezones=st.timezones()) | st.datetimes()
INTEGERS = st.integers() | st.integers(-2, 2) | st.integers(2**31 - 3, 2**31 + 2)
STRATEGIES = {
    "execution_service_id": INTEGERS,
    "is_open": st.booleans(),
    "execution_status": texts,
    "trade_type": texts,
    "destination": texts,
    "security_id": texts,
    "ticker": texts,
    "quantity": amounts,
    "limit_price": amounts | st.none(),
    "received_timestamp": moments,
    "sent_timestamp": moments,
    "last_fill_timestamp": moments | st.none(),
    "quantity_filled": amounts,
    "total_amount": amounts,
    "average_price": amounts,
}


@st.composite
def reports(draw: st.DrawFn) -> dict[str, object]:
    """Some fields at random, the others sound, so that many reports are accepted."""
    names = draw(st.sets(st.sampled_from(sorted(STRATEGIES)), min_size=1, max_size=4))
    return {name: draw(STRATEGIES[name]) for name in sorted(names)}


def fits_its_column(name: str, value: object) -> bool:
    match value:
        case None:
            fits = name in {"limit_price", "last_fill_timestamp"}
        case bool():
            fits = name == "is_open"
        case int():
            fits = 1 <= value <= 2**31 - 1
        case str():
            value.encode()
            fits = 1 <= len(value) <= VARCHAR[name] and "\0" not in value
        case Decimal():
            least = SMALLEST if name in ABOVE_ZERO else 0 if name in NOT_BELOW_ZERO else -LARGEST
            fits = least <= value <= LARGEST and value.as_tuple().exponent == -8
        case datetime():
            fits = value.tzinfo is UTC and 2 <= value.year <= 9998
        case _:
            fits = False
    return fits


def as_reported(changes: dict[str, object]) -> NewExecution | None:
    try:
        return replace(SOUND, **changes)  # pyright: ignore[reportArgumentType] (any value)
    except InvalidExecutionError:
        return None


@given(reports())
def test_what_is_accepted_fits_every_column(changes: dict[str, object]) -> None:
    report = as_reported(changes)

    if report is not None:
        for field in fields(ExecutionFields):
            value = getattr(report, field.name)
            assert fits_its_column(field.name, value), (field.name, value)
        assert isinstance(report.trade_date, date)


@given(reports())
def test_every_fault_is_found_whatever_else_is_wrong(changes: dict[str, object]) -> None:
    alone = {name for name, value in changes.items() if as_reported({name: value}) is None}

    try:
        replace(SOUND, **changes)  # pyright: ignore[reportArgumentType] (any value)
        together: set[str] = set()
    except InvalidExecutionError as error:
        together = {fault.field for fault in error.faults}

    assert together == alone


@given(reports())
def test_an_accepted_report_made_again_is_equal_and_differs_in_nothing(changes: dict[str, object]) -> None:
    report = as_reported(changes)

    if report is not None:
        assert replace(report) == report
        assert differing_fields(report, replace(report)) == ()


@given(texts)
def test_a_portfolio_id_that_is_accepted_fits_its_column_without_padding(text: str) -> None:
    try:
        portfolio_id = check_portfolio_id(text)
    except ValueError:
        return

    portfolio_id.encode()
    assert 1 <= len(portfolio_id) <= 24
    assert not portfolio_id.endswith(" ")
    assert text.rstrip(" ") == portfolio_id


stored_texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=24
) | st.text('ab,"\r\n ;', max_size=24)
stored_amounts = st.integers(-(10**18) + 1, 10**18 - 1).map("{}E-8".format).map(Decimal)
stored = st.builds(
    Execution,
    id=st.integers(1, 2**31 - 1),
    execution_service_id=st.integers(1, 2**31 - 1),
    execution_status=st.just("FULL"),
    trade_type=stored_texts,
    destination=st.just("ML"),
    security_id=stored_texts,
    ticker=st.just("IBM"),
    quantity=stored_amounts,
    limit_price=st.none(),
    received_timestamp=st.just(SENT),
    sent_timestamp=st.just(SENT),
    quantity_filled=stored_amounts,
    average_price=stored_amounts,
    trade_date=st.dates(),
    portfolio_id=stored_texts | st.none(),
    ready_to_send_timestamp=st.just(SENT),
)


@given(st.lists(stored, max_size=5), st.sampled_from(FileQuantity))
def test_every_file_is_read_back_as_it_was_meant(executions: list[Execution], quantity: FileQuantity) -> None:
    row = row_formatter(quantity)

    content = HEADER + b"".join(map(row, executions))

    header, *rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    assert ",".join(header).encode() + b"\n" == HEADER
    assert rows == [
        [
            one.portfolio_id or "",
            one.security_id,
            source_id(one.id),
            one.trade_type,
            fixed(one.quantity_filled if quantity is FileQuantity.FILLED else one.quantity),
            fixed(one.average_price),
            one.trade_date.isoformat().replace("-", ""),
        ]
        for one in executions
    ]


@given(stored)
def test_no_field_is_quoted_without_need(execution: Execution) -> None:
    row = row_formatter(FileQuantity.ORDERED)(execution).decode()

    special = any(
        mark in text
        for text in (execution.portfolio_id or "", execution.security_id, execution.trade_type)
        for mark in ',"\r\n'
    )
    assert ('"' in row) == special
