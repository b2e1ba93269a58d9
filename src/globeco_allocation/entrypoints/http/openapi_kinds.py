"""The kinds of values in the OpenAPI document's schemas."""

from typing import Any, Final

from globeco_allocation.domain.execution import WORD_LENGTH
from globeco_allocation.domain.money import INTEGER_DIGITS

Json = dict[str, Any]

_BOUND: Final = 10**INTEGER_DIGITS
_AMOUNT_TEXT: Final = f"Exact; at most {INTEGER_DIGITS} digits before the point, rounded half-up to 8 places."


def ref(name: str) -> Json:
    """Refer to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_object(**properties: Json) -> Json:
    """Describe an object; every property is required, in this order."""
    return {"type": "object", "required": list(properties), "properties": properties}


def optional(schema: Json) -> Json:
    """Let what a schema describes be null, too."""
    return {**schema, "type": [schema["type"], "null"]}


def short_text(longest: int) -> Json:
    """Describe a text that is not empty."""
    return {"type": "string", "minLength": 1, "maxLength": longest}


def word(text: str) -> Json:
    """Describe a word of an execution."""
    return {**short_text(WORD_LENGTH), "description": text}


def instant(text: str) -> Json:
    """Describe an instant that is sent."""
    more = "RFC 3339 with an offset, years 2 to 9998; digits past the microsecond are cut off."
    return {"type": "string", "format": "date-time", "description": f"{text} {more}"}


def kept_instant(text: str = "") -> Json:
    """Describe an instant that is answered."""
    return {"type": "string", "format": "date-time", "description": f"{text} UTC.".lstrip()}


def amount(text: str, **bounds: int) -> Json:
    """Describe an amount that is sent."""
    usual = {} if bounds else {"exclusiveMinimum": -_BOUND}
    return {
        "type": "number",
        **usual,
        **bounds,
        "exclusiveMaximum": _BOUND,
        "description": f"{text} {_AMOUNT_TEXT}",
    }


def kept_amount() -> Json:
    """Describe an amount that is answered."""
    return {"type": "number", "description": "Exact, up to 8 places, never in exponent form."}


def count(text: str) -> Json:
    """Describe a number of things."""
    return {"type": "integer", "minimum": 0, "description": text}
