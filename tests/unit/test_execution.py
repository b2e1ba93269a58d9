"""A reported execution is checked field by field, once, and all faults are named together."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from globeco_allocation.domain import (
    Execution,
    Fault,
    InvalidExecutionError,
    NewExecution,
    TradeType,
    check_portfolio_id,
    differing_fields,
)

MakeReport = Callable[..., NewExecution]
MakeKept = Callable[..., Execution]

SURROGATE = chr(0xD800)
EMPTY = "must not be empty"
NUL = "must not contain a NUL character"
NOT_UTF_8 = "must be text that UTF-8 can express"
OVER_20 = "must have at most 20 characters"
OVER_24 = "must have at most 24 characters"
NOT_FINITE = "must be a finite number"
TOO_LARGE = "must have at most 10 digits before the decimal point"
NO_ZONE_HAS_IT = "must lie in the years 2 to 9998"
NO_OFFSET = "must have a UTC offset"

WORDS = ["execution_status", "destination", "ticker"]
AMOUNTS = ["quantity", "limit_price", "quantity_filled", "total_amount", "average_price"]
TIMES = ["received_timestamp", "sent_timestamp", "last_fill_timestamp"]


def faults_of(make_report: MakeReport, **changes: object) -> tuple[Fault, ...]:
    with pytest.raises(InvalidExecutionError) as caught:
        make_report(**changes)
    return caught.value.faults


def test_a_sound_report_is_kept_as_it_was_said(make_report: MakeReport) -> None:
    report = make_report(limit_price=Decimal("49.5"))

    assert report.execution_service_id == 27
    assert report.trade_type is TradeType.BUY
    assert report.limit_price == Decimal("49.5")
    assert report.trade_date == date(2026, 3, 2)


def test_what_may_be_left_out_has_a_meaning() -> None:
    report = NewExecution(
        execution_service_id=1,
        execution_status="CPART",
        trade_type="SELL",
        destination="RBC",
        security_id="S",
        ticker="T",
        quantity=Decimal(1),
        received_timestamp=datetime(2026, 3, 2, 15, tzinfo=UTC),
        sent_timestamp=datetime(2026, 3, 2, 15, tzinfo=UTC),
        average_price=Decimal(1),
    )

    assert report.is_open is False
    assert (report.limit_price, report.last_fill_timestamp) == (None, None)
    assert (report.quantity_filled, report.total_amount) == (0, 0)


@pytest.mark.parametrize("key", [1, 2**31 - 1])
def test_an_id_may_be_any_positive_integer_that_the_column_holds(make_report: MakeReport, key: int) -> None:
    assert make_report(execution_service_id=key).execution_service_id == key


@pytest.mark.parametrize("key", [0, -1, 2**31, 10**30])
def test_an_id_outside_the_column_is_refused(make_report: MakeReport, key: int) -> None:
    assert faults_of(make_report, execution_service_id=key) == (
        Fault("execution_service_id", "must be between 1 and 2147483647"),
    )


@pytest.mark.parametrize("field", WORDS)
@pytest.mark.parametrize("text", ["x", "x" * 20, "\N{GRINNING FACE}" * 20, " padded "])
def test_a_word_has_up_to_twenty_characters_however_many_bytes(
    make_report: MakeReport, field: str, text: str
) -> None:
    assert getattr(make_report(**{field: text}), field) == text


@pytest.mark.parametrize("field", WORDS)
@pytest.mark.parametrize(
    ("text", "reason"),
    [("", EMPTY), ("x" * 21, OVER_20), ("x" * 20 + " ", OVER_20), ("a\0b", NUL), (SURROGATE, NOT_UTF_8)],
    ids=["empty", "too-long", "too-long-by-a-blank", "nul", "surrogate"],
)
def test_a_word_that_the_column_cannot_hold_is_refused(
    make_report: MakeReport, field: str, text: str, reason: str
) -> None:
    assert faults_of(make_report, **{field: text}) == (Fault(field, reason),)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("68336002fe95851f0a2aeda9", "68336002fe95851f0a2aeda9"),
        ("SHORT", "SHORT"),
        ("SHORT" + " " * 19, "SHORT"),
        (" LEFT", " LEFT"),
        ("TAB\t", "TAB\t"),
        ("\N{SNOWMAN}" * 24, "\N{SNOWMAN}" * 24),
    ],
)
def test_blanks_that_pad_an_id_are_cut_off(make_report: MakeReport, said: str, kept: str) -> None:
    assert make_report(security_id=said).security_id == kept
    assert check_portfolio_id(said) == kept


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", EMPTY),
        (" " * 24, EMPTY),
        ("x" * 25, OVER_24),
        (" " * 25, OVER_24),
        ("a\0b", NUL),
        ("x" + SURROGATE, NOT_UTF_8),
    ],
    ids=["empty", "blank", "too-long", "too-long-blank", "nul", "surrogate"],
)
def test_an_id_that_the_column_cannot_hold_is_refused(
    make_report: MakeReport, text: str, reason: str
) -> None:
    assert faults_of(make_report, security_id=text) == (Fault("security_id", reason),)
    with pytest.raises(ValueError, match=f"^{reason}$"):
        check_portfolio_id(text)


@pytest.mark.parametrize("text", ["", "buy", "BUY ", "SHORT", "COVER", "BUY\0"])
def test_only_buying_and_selling_are_trades(make_report: MakeReport, text: str) -> None:
    assert faults_of(make_report, trade_type=text) == (Fault("trade_type", "must be BUY or SELL"),)


@pytest.mark.parametrize("field", AMOUNTS)
@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        ("NaN", NOT_FINITE),
        ("sNaN", NOT_FINITE),
        ("-Infinity", NOT_FINITE),
        ("1e99999999", TOO_LARGE),
        ("1e400", TOO_LARGE),
        ("9999999999.999999995", TOO_LARGE),
        ("-1e99999999", TOO_LARGE),
    ],
)
def test_an_amount_that_the_column_cannot_hold_is_refused(
    make_report: MakeReport, field: str, wire: str, reason: str
) -> None:
    assert faults_of(make_report, **{field: Decimal(wire)}) == (Fault(field, reason),)


@pytest.mark.parametrize("field", AMOUNTS)
def test_every_amount_is_kept_to_eight_places(make_report: MakeReport, field: str) -> None:
    report = make_report(**{field: Decimal("33.333333333333336")})

    assert str(getattr(report, field)) == "33.33333333"


@pytest.mark.parametrize("field", ["quantity", "average_price"])
@pytest.mark.parametrize(
    "wire", ["0", "-0", "0e99999999", "-1", "0.000000001", "0.0000000049", "-0.000000001"]
)
def test_what_must_be_above_zero_must_be_so_after_rounding(
    make_report: MakeReport, field: str, wire: str
) -> None:
    assert faults_of(make_report, **{field: Decimal(wire)}) == (Fault(field, "must be greater than 0"),)


@pytest.mark.parametrize("field", ["quantity", "average_price"])
def test_the_smallest_amount_is_above_zero(make_report: MakeReport, field: str) -> None:
    assert getattr(make_report(**{field: Decimal("0.000000005")}), field) == Decimal("0.00000001")


@pytest.mark.parametrize("field", ["quantity_filled", "total_amount"])
def test_what_may_be_zero_may_not_be_negative(make_report: MakeReport, field: str) -> None:
    rounded_away = make_report(**{field: Decimal("-0.000000001")})

    assert str(getattr(rounded_away, field)) == "0E-8"
    assert faults_of(make_report, **{field: Decimal("-0.00000001")}) == (
        Fault(field, "must not be negative"),
    )


@pytest.mark.parametrize("wire", ["0", "-5", "9999999999.99999999"])
def test_a_limit_price_has_no_sign_rule(make_report: MakeReport, wire: str) -> None:
    assert make_report(limit_price=Decimal(wire)).limit_price == Decimal(wire)


@pytest.mark.parametrize("field", TIMES)
def test_every_time_is_kept_in_utc(make_report: MakeReport, field: str) -> None:
    eastern = datetime(2025, 6, 2, 23, 59, 59, tzinfo=timezone(timedelta(hours=-4)))

    kept = getattr(make_report(**{field: eastern}), field)

    assert kept.isoformat() == "2025-06-03T03:59:59+00:00"


@pytest.mark.parametrize("field", TIMES)
@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), NO_ZONE_HAS_IT),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), NO_ZONE_HAS_IT),
        (datetime(2026, 3, 2, 15), NO_OFFSET),  # noqa: DTZ001 (the case)
    ],
    ids=["year-1", "year-9999", "no-offset"],
)
def test_a_time_that_no_zone_can_take_is_refused(
    make_report: MakeReport, field: str, moment: datetime, reason: str
) -> None:
    assert faults_of(make_report, **{field: moment}) == (Fault(field, reason),)


def test_the_trade_date_follows_from_the_sending_alone(make_report: MakeReport) -> None:
    report = make_report(
        received_timestamp=datetime(2025, 6, 1, 12, tzinfo=UTC),
        sent_timestamp=datetime(2025, 6, 3, 3, 59, 59, tzinfo=UTC),
        last_fill_timestamp=datetime(2025, 6, 5, 12, tzinfo=UTC),
    )

    assert report.trade_date == date(2025, 6, 2)


def test_all_faults_are_named_at_once_in_the_order_of_the_fields(make_report: MakeReport) -> None:
    with pytest.raises(InvalidExecutionError) as caught:
        make_report(
            execution_service_id=0,
            execution_status="",
            trade_type="HOLD",
            destination="x" * 21,
            security_id="",
            ticker="\0",
            quantity=Decimal(0),
            limit_price=Decimal("NaN"),
            received_timestamp=datetime(1, 1, 1, tzinfo=UTC),
            sent_timestamp=datetime(1, 1, 1, tzinfo=UTC),
            last_fill_timestamp=datetime(1, 1, 1, tzinfo=UTC),
            quantity_filled=Decimal(-1),
            total_amount=Decimal(-1),
            average_price=Decimal("Infinity"),
        )

    assert [fault.field for fault in caught.value.faults] == [
        "execution_service_id",
        "execution_status",
        "trade_type",
        "destination",
        "security_id",
        "ticker",
        "quantity",
        "limit_price",
        "received_timestamp",
        "sent_timestamp",
        "last_fill_timestamp",
        "quantity_filled",
        "total_amount",
        "average_price",
    ]
    assert str(caught.value).startswith(
        "execution_service_id must be between 1 and 2147483647; execution_status "
    )


def test_an_open_execution_is_checked_like_any_other(make_report: MakeReport) -> None:
    assert faults_of(make_report, is_open=True, quantity=Decimal(0)) == (
        Fault("quantity", "must be greater than 0"),
    )


def test_a_report_of_what_is_kept_differs_in_nothing(make_report: MakeReport, make_kept: MakeKept) -> None:
    same_values = make_report(
        quantity=Decimal("100.0000"),
        sent_timestamp=datetime(2026, 3, 2, 10, 0, 1, tzinfo=timezone(timedelta(hours=-5))),
        security_id="68336002fe95851f0a2aeda9",
    )

    assert differing_fields(same_values, make_kept()) == ()


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("is_open", True),
        ("execution_status", "CPART"),
        ("trade_type", "SELL"),
        ("destination", "RBC"),
        ("security_id", "68336002fe95851f0a2aedaa"),
        ("ticker", "ORCL"),
        ("quantity", Decimal("100.00000001")),
        ("limit_price", Decimal(0)),
        ("received_timestamp", datetime(2026, 3, 2, 15, 0, 0, 1, tzinfo=UTC)),
        ("sent_timestamp", datetime(2026, 3, 2, 15, 0, 1, 1, tzinfo=UTC)),
        ("last_fill_timestamp", None),
        ("quantity_filled", Decimal(99)),
        ("total_amount", Decimal(0)),
        ("average_price", Decimal("50.12500001")),
    ],
)
def test_a_contradiction_is_named_by_its_field(
    make_report: MakeReport, make_kept: MakeKept, field: str, other: object
) -> None:
    assert differing_fields(make_report(**{field: other}), make_kept()) == (field,)


def test_a_row_of_another_program_is_taken_as_it_stands(make_kept: MakeKept) -> None:
    kept = make_kept(trade_type="HOLD", portfolio_id=None, quantity=Decimal(-1), ready_to_send_timestamp=None)

    assert (kept.trade_type, kept.portfolio_id, kept.quantity) == ("HOLD", None, -1)
