"""Money is exact, to 8 places, and looked at before it is formatted."""

import tracemalloc
from decimal import ROUND_UP, Context, Decimal, Inexact, Rounded, localcontext

import pytest

from globeco_allocation.domain import fixed, plain, to_money


@pytest.mark.parametrize(
    ("wire", "kept"),
    [
        ("0.1", "0.10000000"),
        ("123456789.12345678", "123456789.12345678"),
        ("9999999999.99999999", "9999999999.99999999"),
        ("9999999999.999999994", "9999999999.99999999"),
        ("33.333333333333336", "33.33333333"),
        ("0.000000005", "0.00000001"),
        ("0.0000000049999999999999999999999999", "0.00000000"),
        ("0.000000015", "0.00000002"),
        ("0.000000025", "0.00000003"),
        ("-0.000000005", "-0.00000001"),
        ("1E+9", "1000000000.00000000"),
        ("9999990000", "9999990000.00000000"),
    ],
)
def test_an_amount_is_kept_to_eight_places_and_halves_go_up(wire: str, kept: str) -> None:
    amount = to_money(Decimal(wire))

    assert fixed(amount) == kept
    assert amount.as_tuple().exponent == -8


@pytest.mark.parametrize(
    "wire",
    [
        "9999999999.999999995",
        "-9999999999.999999995",
        "10000000000",
        "1e400",
        "1e99999999",
        "-1e99999999",
        "99999999999999999999999999999999999999.9",
    ],
)
def test_an_amount_with_eleven_integer_digits_is_refused(wire: str) -> None:
    with pytest.raises(ValueError, match=r"^must have at most 10 digits before the decimal point$"):
        to_money(Decimal(wire))


@pytest.mark.parametrize("wire", ["NaN", "-NaN", "sNaN", "NaN123", "Infinity", "-Infinity"])
def test_what_is_no_finite_number_is_refused(wire: str) -> None:
    with pytest.raises(ValueError, match=r"^must be a finite number$"):
        to_money(Decimal(wire))


@pytest.mark.parametrize(
    "wire",
    ["0", "-0", "0.0", "-0E-8", "0e99999999", "-0e99999999", "1e-99999999", "-0.000000001", "0e-99999999"],
)
def test_zero_is_one_value_without_a_sign(wire: str) -> None:
    amount = to_money(Decimal(wire))

    assert str(amount) == "0E-8"
    assert fixed(amount) == "0.00000000"
    assert plain(amount) == "0"


@pytest.mark.parametrize("wire", ["1e99999999", "-1e99999999", "0e99999999", "1e-99999999"])
def test_an_enormous_exponent_never_becomes_an_enormous_text(wire: str) -> None:
    value = Decimal(wire)
    tracemalloc.start()
    try:
        try:
            text = plain(to_money(value))
        except ValueError as error:
            text = str(error)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(text) < 100
    assert peak < 100_000


def test_the_callers_decimal_context_changes_nothing() -> None:
    value = Decimal("1234567890.123456785")
    theirs = Context(prec=3, rounding=ROUND_UP, Emin=-1, Emax=1, traps=[Inexact, Rounded])

    with localcontext(theirs) as context:
        amount = to_money(value)
        written = fixed(amount), plain(amount)
        untouched = not any(context.flags.values())

    assert written == ("1234567890.12345679", "1234567890.12345679")
    assert untouched


def test_rounding_down_elsewhere_does_not_round_down_here() -> None:
    with localcontext(Context(rounding="ROUND_DOWN")):
        amount = to_money(Decimal("0.000000005"))

    assert amount == Decimal("0.00000001")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("100.00000000", "100"),
        ("1E+2", "100"),
        ("1E-8", "0.00000001"),
        ("0E-8", "0"),
        ("0.10000000", "0.1"),
        ("-5.50000000", "-5.5"),
        ("9999999999.99999999", "9999999999.99999999"),
        ("50.12500000", "50.125"),
    ],
)
def test_a_json_number_has_no_exponent_and_no_trailing_zeros(amount: str, text: str) -> None:
    assert plain(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0.1", "0.10000000"), ("1E+2", "100.00000000"), ("1E-8", "0.00000001"), ("0", "0.00000000")],
)
def test_a_file_shows_exactly_eight_decimals(amount: str, text: str) -> None:
    assert fixed(Decimal(amount)) == text
