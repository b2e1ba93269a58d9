"""Amounts that fit ``decimal(18,8)``: exact, 8 places, at most 10 digits before the point.

Rule: design, "Money". A binary float never takes part.
"""

from decimal import ROUND_HALF_UP, Context, Decimal

PLACES = 8
INTEGER_DIGITS = 10

_UNIT = Decimal(1).scaleb(-PLACES)
_ZERO = Decimal(0).quantize(_UNIT)
# A context of our own: the caller's may round otherwise, or trap.
_EXACT = Context(prec=INTEGER_DIGITS + PLACES + 1, rounding=ROUND_HALF_UP)
_EXACT.clear_traps()
_EXACT.clear_flags()

TOO_LARGE = f"must have at most {INTEGER_DIGITS} digits before the decimal point"


def to_money(value: Decimal) -> Decimal:
    """Round *value* half-up to 8 places.

    Its size is looked at before anything rounds or formats it, for ``1e99999999`` is 10 bytes on the wire and
    100 MB as text; and once more afterwards, for rounding may carry into an eleventh digit.

    Raises:
        ValueError: *value* is not finite, or has more than 10 digits before the point. The text is a reason
            to be read after a field's name.

    >>> to_money(Decimal("33.333333333333336"))
    Decimal('33.33333333')
    >>> to_money(Decimal("0.000000005"))
    Decimal('1E-8')
    >>> to_money(Decimal("9999999999.999999995"))
    Traceback (most recent call last):
    ...
    ValueError: must have at most 10 digits before the decimal point
    """
    if not value.is_finite():
        raise ValueError("must be a finite number")
    if not value:
        return _ZERO  # 0e99999999 is zero, whatever its exponent
    if value.adjusted() >= INTEGER_DIGITS:
        raise ValueError(TOO_LARGE)
    rounded = value.quantize(_UNIT, context=_EXACT)
    if rounded.adjusted() >= INTEGER_DIGITS:
        raise ValueError(TOO_LARGE)
    return rounded or _ZERO


def fixed(amount: Decimal) -> str:
    """Write *amount* with exactly 8 decimals, as a transaction file wants it.

    >>> fixed(Decimal("0.1"))
    '0.10000000'
    """
    return f"{amount:.8f}"


def plain(amount: Decimal) -> str:
    """Write *amount* as a JSON number: no exponent, no trailing zeros, equal in value.

    >>> plain(Decimal("100.00000000")), plain(Decimal("1E-8")), plain(Decimal("0E-8"))
    ('100', '0.00000001', '0')
    """
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
