"""Money against a reference in integers, for any number that fits a JSON document."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from globeco_allocation.domain import fixed, plain, to_money

UNIT = Fraction(1, 10**8)
LARGEST = 10**18 - 1
"""In units of the 8th place: 9999999999.99999999."""


@st.composite
def near_a_half(draw: st.DrawFn) -> Decimal:
    """A number on, or next to, the middle between two neighbours of the 8th place."""
    units = draw(st.integers(-LARGEST - 1, LARGEST + 1) | st.integers(-20, 20))
    offset = draw(st.sampled_from(["5", "49", "51", "4999999999999", "5000000000001"]))
    sign = "-" if units < 0 else ""
    return Decimal(f"{sign}{abs(units)}{offset}E-{8 + len(offset)}")


def number_of(negative: bool, digits: str, exponent: int) -> Decimal:
    return Decimal(f"{'-' if negative else ''}{digits}E{exponent}")


def below_a_thousand_digits(value: Decimal) -> bool:
    return abs(value.adjusted()) < 1000


numbers = (
    near_a_half()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.decimals(-(10**10), 10**10, allow_nan=False, allow_infinity=False)
    | st.builds(
        number_of,
        st.booleans(),
        st.text("0123456789", min_size=1, max_size=40),
        st.integers(-60, 30),
    )
)
amounts = st.builds("{}E-8".format, st.integers(-LARGEST, LARGEST)).map(Decimal)


def units_of(value: Decimal) -> int | None:
    """Round half away from zero to whole units of the 8th place; None when they do not fit the column."""
    scaled = abs(Fraction(value)) / UNIT
    units = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    if units > LARGEST:
        return None
    return -units if value < 0 else units


def money_or_none(value: Decimal) -> Decimal | None:
    try:
        return to_money(value)
    except ValueError:
        return None


@given(numbers)
@example(Decimal("33.333333333333336"))
@example(Decimal("9999999999.999999995"))
@example(Decimal("9999999999.9999999949999"))
@example(Decimal("-9999999999.999999995"))
def test_money_is_what_integer_arithmetic_says(value: Decimal) -> None:
    amount = money_or_none(value)
    units = units_of(value)

    assert (amount is None) == (units is None)
    if amount is not None and units is not None:
        assert Fraction(amount) == units * UNIT


@given(numbers)
def test_money_is_within_half_a_unit_of_the_number(value: Decimal) -> None:
    amount = money_or_none(value)

    assert amount is None or abs(Fraction(amount) - Fraction(value)) <= UNIT / 2


@given(numbers)
def test_money_has_eight_places_and_at_most_eighteen_digits(value: Decimal) -> None:
    amount = money_or_none(value)

    if amount is not None:
        sign, digits, exponent = amount.as_tuple()
        assert exponent == -8
        assert len(digits) <= 18
        assert not (sign and amount == 0)


@given(numbers)
def test_money_made_again_is_the_same(value: Decimal) -> None:
    amount = money_or_none(value)

    assert amount is None or to_money(amount).as_tuple() == amount.as_tuple()


@given(numbers, numbers)
def test_a_larger_number_is_never_less_money(one: Decimal, other: Decimal) -> None:
    less, more = money_or_none(min(one, other)), money_or_none(max(one, other))

    assert less is None or more is None or less <= more


@given(amounts)
def test_every_amount_that_the_column_holds_is_itself(amount: Decimal) -> None:
    assert to_money(amount) == amount


@given(amounts | numbers.filter(below_a_thousand_digits))
def test_a_json_number_is_equal_in_value_and_has_no_exponent(amount: Decimal) -> None:
    text = plain(amount)

    assert Decimal(text) == amount
    assert set(text) <= set("-.0123456789")
    assert "." not in text or text[-1] not in "0."


@given(amounts)
def test_a_file_shows_every_amount_with_eight_decimals_equal_in_value(amount: Decimal) -> None:
    text = fixed(amount)

    assert Decimal(text) == amount
    assert len(text.partition(".")[2]) == 8
    assert "E" not in text
