"""Logs: one JSON object a line on standard output, or lines for people on a terminal.

Every line written while a request is handled carries its correlation id. Neither request bodies nor anything
else from them but ids and field names is logged.
"""

import json
import logging
import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog
from structlog.typing import EventDict, Processor

REQUEST: Final = "request"
REQUEST_FAILED: Final = "request failed"
CALLER_HUNG_UP: Final = "caller hung up before its request was complete"
UNAVAILABLE: Final = "request answered with 503"
WORK_FAILED: Final = "work failed after its caller had gone"
REPEAT_DIFFERS: Final = "known execution reported with other content, kept one unchanged"
PENDING_GIVEN_UP: Final = "pending executions given up: a person must look (globeco-allocation pending)"
PENDING_HELD_UP: Final = "pending executions cannot be worked off for now"
PENDING_GOES_ON: Final = "pending executions are worked off again"
PENDING_FAILED: Final = "work on pending executions failed"
BATCH_CLAIMED: Final = "batch claimed"
BATCH_RESENT: Final = "batch is to be delivered again"
BATCH_TAKEN_OVER: Final = "batch taken over: its files are not all written"
ATTEMPT_TAKEN: Final = "delivery attempt taken on"
ATTEMPT_HELD_UP: Final = "delivery attempt cannot be carried on for now"
ATTEMPT_FAILED: Final = "delivery attempt failed, another one follows"
ATTEMPT_TO_BE_CONFIRMED: Final = "accounting run ended without a complaint, one that confirms it follows"
DELIVERY_ENDED: Final = "delivery ended"
COLLISION: Final = "source ids collide: all delivery is stopped (globeco-allocation batches resolve)"
FILE_NOT_WRITTEN: Final = "file not written, tried again in a moment"
LEASE_LOST: Final = "another process goes on with this"
STEP_BROKEN_OFF: Final = "step broken off, it is due again in a moment"
STEP_FAILED: Final = "step failed, it is due again in half a minute"
DISPATCH_FAILED: Final = "looking for due work failed"
DISPATCH_HELD_UP: Final = "due work cannot be looked for now"
DISPATCH_GOES_ON: Final = "due work is looked for again"
REPLICA_DOES_NOT_DELIVER: Final = "this replica does not write or deliver files"
REPLICA_DELIVERS: Final = "this replica writes and delivers files"

_LOUD_LIBRARIES = ("asyncio", "uvicorn", "uvicorn.error", "uvicorn.access")
_CORRELATION_ID = "correlation_id"
_to_json = msgspec.json.Encoder(enc_hook=str).encode


def correlation_id() -> str:
    """Return the id of the request being handled, for outgoing calls; empty outside of a request."""
    return str(structlog.contextvars.get_contextvars().get(_CORRELATION_ID, ""))


def begin_request(correlation: str) -> None:
    """Let every line logged from here on, in this context, carry the correlation id."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**{_CORRELATION_ID: correlation})


def configure_logging(level: str = "info", *, human: bool = False) -> None:
    """Set up structlog and the standard library's loggers to write through one pipeline.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``, in any case.
        human: Lines for a person instead of JSON.

    Raises:
        ValueError: no such level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"there is no log level {level!r}: choose debug, info, warning or error")
    shared = _shared_processors(human=human)
    render = _render_for_people() if human else _render_as_json
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    handler = _PipelineHandler(shared, render)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in _LOUD_LIBRARIES:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True


def _shared_processors(*, human: bool) -> list[Processor]:
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
    ]
    if not human:
        processors += [structlog.processors.format_exc_info, structlog.processors.EventRenamer("message")]
    return processors


def _render_as_json(_logger: object, _method: str, event: EventDict) -> bytes:
    try:
        return _to_json(event)
    except (UnicodeEncodeError, RecursionError):
        # What msgspec cannot express, such as half of a surrogate pair in an exception's text.
        return json.dumps({key: str(value) for key, value in event.items()}).encode()


def _render_for_people() -> Callable[[Any, str, EventDict], bytes]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(),
        exception_formatter=structlog.dev.plain_traceback,  # a richer one would show what variables hold
    )

    def render(logger: object, method: str, event: EventDict) -> bytes:
        return str(renderer(logger, method, event)).encode(errors="backslashreplace")

    return render


class _PipelineHandler(logging.Handler):
    """Writes the standard library's records as structlog writes its own, under the same lock."""

    def __init__(self, processors: list[Processor], render: Callable[[Any, str, EventDict], bytes]) -> None:
        super().__init__()
        self._processors = processors
        self._render = render
        self._out = structlog.BytesLogger(sys.stdout.buffer)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event: Any = {"event": record.getMessage(), "logger": record.name}
            if record.exc_info:
                event["exc_info"] = record.exc_info
            for processor in self._processors:
                event = processor(None, record.levelname.lower(), event)
            self._out.msg(self._render(None, record.levelname.lower(), event))
        except Exception:  # noqa: BLE001 - a log record must never end the work it tells of
            self.handleError(record)
