"""Mend bodies that are no JSON, where only a value is at fault, so that it spoils its own field alone.

The work is linear in the body's length: the expressions are possessive, and nothing recurses.
"""

import re
from typing import Final

DEEPEST: Final = 100
"""How many arrays and objects may lie in each other; what lies deeper is cut out of a mended body."""

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'  # also one that the body's end cuts off
# A whole string, and whether a colon makes it a name; or what Python's json module writes for floats that are
# no numbers.
_TOKEN = re.compile(rb"(" + _STRING + rb")(?=(\s*+:)?)|-?Infinity|NaN", re.DOTALL)
_BRACKET = re.compile(_STRING + rb"|([\[{])|([\]}])", re.DOTALL)
_ESCAPED_OR_CONTROL = re.compile(rb"[\\\x00-\x1f]")
# Of a string: escapes that stand for a character, half a pair of surrogates, and what no string may hold.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}"
    rb'|\\["\\/bfnrt]'
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\|[\x00-\x1f])"
)
_NO_VALUE = b"[]"  # refused by every field, with its own reason
_NO_CHARACTER = rb"\ufffd"


def mend(body: bytes) -> bytes:
    """Replace what is no JSON although clients send it.

    That is: ``NaN`` and ``Infinity``; texts with half of a surrogate pair, with an escape that JSON does not
    know, or with a control character as it is; and what is nested more deeply than `DEEPEST`. A name at fault
    becomes one that no field has.
    """
    return _cut_depths(_TOKEN.sub(_mend_token, body))


def _mend_token(match: re.Match[bytes]) -> bytes:
    text: bytes | None = match[1]
    if text is None:
        return _NO_VALUE
    if not _ESCAPED_OR_CONTROL.search(text) or not any(part[1] for part in _ESCAPE.finditer(text)):
        return text
    if match[2] is None:
        return _NO_VALUE
    return _ESCAPE.sub(lambda part: _NO_CHARACTER if part[1] else part[0], text)


def _cut_depths(body: bytes) -> bytes:
    kept = bytearray()
    depth = done = 0
    for bracket in _BRACKET.finditer(body):
        if bracket[1]:
            depth += 1
            if depth == DEEPEST + 1:
                kept += body[done : bracket.start()]
        elif bracket[2]:
            if depth == DEEPEST + 1:
                kept += _NO_VALUE
                done = bracket.end()
            depth -= 1
    if depth > DEEPEST:
        return body  # it has no end: nothing can be told of its records
    return bytes(kept + body[done:])
