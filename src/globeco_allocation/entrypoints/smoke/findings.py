"""What a check found, and how an answer is told that is not what it has to be."""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, cast

from globeco_allocation.entrypoints.smoke.caller import Answer

_MAY_PASS = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class Mark(StrEnum):
    """What became of a check."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        mark: Whether it is as it should be.
        text: What was found.
        advice: What to do about it.
        may_pass: Whether it is likely to be otherwise in a while.
    """

    mark: Mark
    text: str = ""
    advice: str = ""
    may_pass: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What the service is held to.

    Attributes:
        version: The version that must answer; empty for any.
        wait: How long it may take until it is ready, in seconds.
        with_token: Whether a token was given, so that nobody may be let in without one.
    """

    version: str = ""
    wait: float = 0.0
    with_token: bool = False


def ok(text: str = "") -> Finding:
    """Return that it is as it should be."""
    return Finding(Mark.OK, text)


def failed(text: str, advice: str, *, may_pass: bool = False) -> Finding:
    """Return that it is not, with what to do about it."""
    return Finding(Mark.FAILED, text, advice, may_pass)


def json_object(value: object) -> dict[str, Any]:
    """Return a JSON object; nothing where the value is none."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def other_answer(answer: Answer, wanted: str) -> Finding:
    """Say that an answer is not what it has to be, and what that may mean."""
    said = json_object(answer.json).get("message")
    text = f"answered {answer.status}{f' ({said})' if said else ''} instead of {wanted}"
    match answer.status:
        case HTTPStatus.UNAUTHORIZED:
            return failed(
                text, "The service asks for a token: --token-file FILE with one of API_TOKENS_FILE."
            )
        case HTTPStatus.FORBIDDEN:
            return Finding(Mark.SKIPPED, "this token has no right to it")
        case status if status in _MAY_PASS:
            return failed(text, "It is busy or cannot reach its database: try again.", may_pass=True)
        case _:
            return failed(text, "Is this the service's address? Roll back if it is; its log says more.")


def is_error(answer: Answer, status: HTTPStatus) -> bool:
    """Tell whether an answer is this error, in the shape that the service gives all of them."""
    body = json_object(answer.json)
    return answer.status == status and body.get("status") == status and bool(body.get("message"))
