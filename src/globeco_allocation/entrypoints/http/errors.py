"""Every 4xx and 5xx in one shape, without a word of what happened inside (design, "Errors")."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from globeco_allocation.domain.errors import (
    AllocationError,
    FileNotWrittenError,
    StoreUnavailableError,
    WindowTakenError,
)
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.http.answers import ErrorAnswer, SendAnswer, json_reply
from globeco_allocation.entrypoints.http.reply import Reply
from globeco_allocation.entrypoints.sends import SendRefusedError
from globeco_allocation.ports.clock import Clock

INTERNAL_FAULT = "The service failed on this request; its log says more, under the answer's correlation id."
ENDING = "The service ended before the request was done; what it asked for may have happened: ask again."

WINDOW_TAKEN = "Another sender claimed the same batch just now; what was ready goes out with it."
NOTHING_THERE = "There is nothing under this address."

NOT_UNDERSTOOD = "The request cannot be understood."

_TEXTS = {
    HTTPStatus.BAD_REQUEST: NOT_UNDERSTOOD,
    HTTPStatus.NOT_FOUND: NOTHING_THERE,
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take this method: see the Allow header.",
}
_log: Any = structlog.get_logger()

Handler = Callable[[Any], Reply]
ExceptionHandlers = dict[int | type[Exception], Callable[[Request[Any, Any, Any], Any], Response[bytes]]]


class _WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class RefusedRequestError(Exception):
    """A request that breaks a rule of its own; the message is for the caller.

    Attributes:
        status: The answer's status, such as 404.
        details: What is wrong, by parameter.
        headers: Of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        details: dict[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.details = details
        self.headers = headers


class ErrorAnswers:
    """Answers for what goes wrong.

    Attributes:
        clock: Where timestamps come from.
    """

    def __init__(self) -> None:
        self.clock: Clock = _WallClock()

    @property
    def handlers(self) -> "ExceptionHandlers":
        """Litestar's exception handlers."""
        return {
            RefusedRequestError: _for_litestar(self._refused),
            WindowTakenError: _for_litestar(self._window_taken),
            StoreUnavailableError: _for_litestar(self._unavailable),
            SendRefusedError: _for_litestar(self._unavailable),
            FileNotWrittenError: _for_litestar(self._unavailable),
            HTTPException: _for_litestar(self._http),
            Exception: _for_litestar(self._fault),
        }

    def answer(
        self,
        status: int,
        message: str,
        details: dict[str, str] | SendAnswer | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Answer in the one error shape."""
        body = ErrorAnswer(message, status, self.clock.now(), msgspec.UNSET if details is None else details)
        return json_reply(body, status, headers)

    def last_resort(self, status: HTTPStatus) -> bytes:
        """Return the body for what reached none of the handlers: a fault (500), or our own end (503)."""
        text = ENDING if status is HTTPStatus.SERVICE_UNAVAILABLE else INTERNAL_FAULT
        return self.answer(status, text).body

    def _refused(self, error: RefusedRequestError) -> Reply:
        return self.answer(error.status, str(error), error.details, error.headers)

    def _window_taken(self, _error: WindowTakenError) -> Reply:
        return self.answer(
            HTTPStatus.CONFLICT,
            WINDOW_TAKEN,
        )

    def _unavailable(self, error: AllocationError) -> Reply:
        _log.warning(logs.UNAVAILABLE, reason=str(error))
        return self.answer(HTTPStatus.SERVICE_UNAVAILABLE, sentence(str(error)))

    def _http(self, error: HTTPException) -> Reply:
        text = _TEXTS.get(HTTPStatus(error.status_code), _TEXTS[HTTPStatus.BAD_REQUEST])
        headers = dict(error.headers or {})
        if "GET" in (allowed := headers.get("allow", "")):
            headers["allow"] = allowed + ", HEAD"  # which Litestar does not know of
        return self.answer(error.status_code, text, headers=headers)

    def _fault(self, error: Exception) -> Reply:
        _log.error(logs.REQUEST_FAILED, exc_info=error)
        return self.answer(HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL_FAULT)


def _for_litestar(handler: Handler) -> Callable[[Request[Any, Any, Any], Any], Response[bytes]]:
    def handle(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        del request
        return handler(error).for_litestar()

    return handle


def sentence(text: str) -> str:
    """Make a sentence of an error's words."""
    return f"{text[:1].upper()}{text[1:]}."
