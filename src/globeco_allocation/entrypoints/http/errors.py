"""Every 4xx and 5xx in one shape, without a word of what happened inside (design, "Errors")."""

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException

from globeco_allocation.domain.errors import (
    AllocationError,
    FileNotWrittenError,
    StoreUnavailableError,
    WindowTakenError,
)
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.http.answers import ErrorAnswer, SendAnswer, json_response
from globeco_allocation.entrypoints.http.exchange import current_exchange
from globeco_allocation.entrypoints.sends import SendRefusedError
from globeco_allocation.ports.clock import Clock

INTERNAL_FAULT = "The service failed on this request; its log says more, under the answer's correlation id."
ENDING = "The service ended before the request was done; what it asked for may have happened: ask again."

WINDOW_TAKEN = "Another sender claimed the same batch just now; what was ready goes out with it."
NOTHING_THERE = "There is nothing under this address."

_TEXTS = {
    HTTPStatus.BAD_REQUEST: "The request cannot be understood.",
    HTTPStatus.NOT_FOUND: NOTHING_THERE,
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take this method: see the Allow header.",
}
_log: Any = structlog.get_logger()

ExceptionHandlers = dict[int | type[Exception], Callable[[Request[Any, Any, Any], Any], Response[Any]]]


class _WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class RefusedRequestError(Exception):
    """A request that breaks a rule of its own; the message is for the caller.

    Attributes:
        status: The answer's status, such as 404.
        details: What is wrong, by parameter.
    """

    def __init__(self, status: HTTPStatus, message: str, details: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.details = details


class ErrorAnswers:
    """Answers for what goes wrong.

    Args:
        max_body_bytes: The limit that 413 names.

    Attributes:
        clock: Where timestamps come from.
    """

    def __init__(self, max_body_bytes: int) -> None:
        self.clock: Clock = _WallClock()
        self._max_body_bytes = max_body_bytes

    @property
    def handlers(self) -> "ExceptionHandlers":
        """Litestar's exception handlers."""
        return {
            RefusedRequestError: self._refused,
            WindowTakenError: self._window_taken,
            StoreUnavailableError: self._unavailable,
            SendRefusedError: self._unavailable,
            FileNotWrittenError: self._unavailable,
            InternalServerException: self._litestar_failed,
            HTTPException: self._http,
            Exception: self._fault,
        }

    def answer(
        self,
        status: int,
        message: str,
        details: dict[str, str] | SendAnswer | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response[bytes]:
        """Answer in the one error shape."""
        body = ErrorAnswer(message, status, self.clock.now(), msgspec.UNSET if details is None else details)
        return json_response(body, status, headers)

    def last_resort(self, status: HTTPStatus) -> bytes:
        """Return the body for what reached none of the handlers: a fault (500), or our own end (503)."""
        text = ENDING if status is HTTPStatus.SERVICE_UNAVAILABLE else INTERNAL_FAULT
        return self.answer(status, text).content

    def _refused(self, _request: Request[Any, Any, Any], error: RefusedRequestError) -> Response[bytes]:
        return self.answer(error.status, str(error), error.details)

    def _window_taken(self, _request: Request[Any, Any, Any], _error: WindowTakenError) -> Response[bytes]:
        return self.answer(
            HTTPStatus.CONFLICT,
            WINDOW_TAKEN,
        )

    def _unavailable(self, _request: Request[Any, Any, Any], error: AllocationError) -> Response[bytes]:
        _log.warning(logs.UNAVAILABLE, reason=str(error))
        return self.answer(HTTPStatus.SERVICE_UNAVAILABLE, sentence(str(error)))

    def _litestar_failed(self, request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        if current_exchange().hung_up:
            _log.info(logs.CALLER_HUNG_UP)
            return self.answer(HTTPStatus.BAD_REQUEST, _TEXTS[HTTPStatus.BAD_REQUEST])
        return self._fault(request, error)

    def _http(self, _request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
        if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            text = f"The request body has more than {self._max_body_bytes} bytes."
        else:
            text = _TEXTS.get(HTTPStatus(error.status_code), _TEXTS[HTTPStatus.BAD_REQUEST])
        headers = dict(error.headers or {})
        if "GET" in (allowed := headers.get("allow", "")):
            headers["allow"] = allowed + ", HEAD"  # which Litestar does not know of
        return self.answer(error.status_code, text, headers=headers)

    def _fault(self, _request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        _log.error(logs.REQUEST_FAILED, exc_info=error)
        return self.answer(HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL_FAULT)


def sentence(text: str) -> str:
    """Make a sentence of an error's words."""
    return f"{text[:1].upper()}{text[1:]}."
