"""What a request's address says: judged by hand, so that every fault has our error shape."""

import re
from http import HTTPStatus
from typing import Any

from litestar import Request

from globeco_allocation.domain.execution import LARGEST_ID
from globeco_allocation.entrypoints.http.errors import RefusedRequestError

MOST_PER_PAGE = 1000
USUAL_PER_PAGE = 50
LARGEST_OFFSET = 2**53 - 1  # what every JSON client reads exactly

_DIGITS = re.compile("[0-9]{1,16}")
_INTEGER = re.compile("-?[0-9]+")
_ID_DIGITS = len(str(LARGEST_ID))


def path_id(request: Request[Any, Any, Any]) -> int | None:
    """Read the path's ``{id}``; None for an integer that no id of ours can be.

    Raises:
        RefusedRequestError: it is no integer.
    """
    text: str = request.path_params["id"]
    if _INTEGER.fullmatch(text) is None:
        raise RefusedRequestError(
            HTTPStatus.BAD_REQUEST, "The id must be an integer.", {"id": "must be an integer"}
        )
    # The length first: Python refuses to read thousands of digits.
    key = int(text) if len(text.lstrip("-0")) <= _ID_DIGITS else 0
    return key if 1 <= key <= LARGEST_ID else None


def page_of(request: Request[Any, Any, Any]) -> tuple[int, int]:
    """Read ``limit`` and ``offset``.

    Raises:
        RefusedRequestError: see `query_integer`.
    """
    limit = query_integer(request, "limit", USUAL_PER_PAGE, 1, MOST_PER_PAGE)
    return limit, query_integer(request, "offset", 0, 0, LARGEST_OFFSET)


def query_integer(request: Request[Any, Any, Any], name: str, usual: int, least: int, most: int) -> int:
    """Read an integer parameter; *usual* when it is absent.

    Raises:
        RefusedRequestError: it is no integer, out of range, empty or repeated.
    """
    texts = request.query_params.getall(name, [])
    if not texts:
        return usual
    if len(texts) == 1 and _DIGITS.fullmatch(texts[0]) and least <= (value := int(texts[0])) <= most:
        return value
    reason = f"must be one integer between {least} and {most}"
    raise RefusedRequestError(HTTPStatus.BAD_REQUEST, f"The parameter {name} {reason}.", {name: reason})
