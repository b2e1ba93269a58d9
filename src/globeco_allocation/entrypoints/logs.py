"""Logs: one JSON object a line on standard output, or lines for people on a terminal.

Every line written while a request is handled carries its correlation id. Neither request bodies nor anything
else from them but ids and field names is logged.
"""

import json
import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar, Token
from datetime import datetime
from typing import Any, BinaryIO, Final, Literal, cast

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from globeco_allocation.adapters.log_events import FACTS
from globeco_allocation.entrypoints.log_output import LineOutput

LISTENING: Final = "listening"
ENDING: Final = "ending"
ENDED: Final = "ended"
CANNOT_SERVE: Final = "cannot serve"
MIGRATION: Final = "migration"
DATABASE_READY: Final = "database ready"
DATABASE_NOT_READY: Final = "database not ready, trying again"
DATABASE_FAULT: Final = "database could not be made ready"
OUTPUT_DIR_SILENT: Final = "OUTPUT_DIR does not answer: sends will fail"
NO_CLI_COMMAND: Final = "CLI_COMMAND is not set: files are written, but not delivered"
TRACES_NOT_SET_UP: Final = "traces cannot be sent as OTEL_... variables are set: none are collected"
TRACES_NOT_TAKEN: Final = "collector takes no traces: they are lost"
TRACES_TAKEN_AGAIN: Final = "collector takes traces again"
REQUEST: Final = "request"
REQUEST_FAILED: Final = "request failed"
CALLER_HUNG_UP: Final = "caller hung up before its request was complete"
UNAVAILABLE: Final = "request answered with 503"
WORK_FAILED: Final = "work failed after its caller had gone"
REPEAT_DIFFERS: Final = "known execution reported with other content, kept one unchanged"
PENDING_GIVEN_UP: Final = "pending executions given up: a person must look (globeco-allocation pending)"
PENDING_HELD_UP: Final = "pending executions cannot be worked off for now"
PENDING_GOES_ON: Final = "pending executions are worked off again"
MEASURING_FAILED: Final = "metrics could not be refreshed"
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
CONNECTIONS_FULL: Final = "connections closed or refused to make room (MAX_CONNECTIONS)"
TOKENS_READ: Final = "tokens read"
TOKENS_FAULTY: Final = "tokens read, but for lines that are none"
NO_TOKENS: Final = "the file of tokens is empty: nobody is let in"
TOKENS_NOT_READ: Final = "the file of tokens cannot be read: those read before count"
WORKERS_STARTED: Final = "workers started"
WORKERS_ENDING: Final = "workers are told to end"
WORKERS_ENDED: Final = "workers ended"
WORKERS_KILLED: Final = "workers killed: they did not end in time"
WORKER_FAILED: Final = "worker failed"
WORKER_DIED: Final = "worker died, another one takes its place"

_LOUD_LIBRARIES = ("asyncio", "uvicorn", "uvicorn.error", "uvicorn.access")
_LEVELS: Final = {"info": logging.INFO, "debug": logging.DEBUG}
_CORRELATION_ID = "correlation_id"
_correlation_id: ContextVar[str] = ContextVar(_CORRELATION_ID, default="")
_trace_ids: Callable[[], tuple[str, str] | None] | None = None
_to_json = msgspec.json.Encoder(enc_hook=str).encode


class RequestLine(msgspec.Struct, frozen=True):
    """One request that was answered; whatever else the caller wrote stays out of it.

    Attributes:
        method: A known one, or ``other``.
        route: The template of its path, or ``unmatched``.
        status: The answer's.
        ms: How long it took, in milliseconds.
        correlation_id: The caller's, or a new one.
        level: ``info``; ``debug`` for probes.
        timestamp: When it was answered.
        trace_id: Of the trace that it is part of, where there is one.
        span_id: Its own place in that.
        token: The name of the token that it bore, if any.
    """

    method: str
    route: str
    status: int
    ms: float
    correlation_id: str
    level: Literal["info", "debug"]
    timestamp: datetime
    trace_id: str | msgspec.UnsetType = msgspec.UNSET
    span_id: str | msgspec.UnsetType = msgspec.UNSET
    message: str = REQUEST
    token: str | msgspec.UnsetType = msgspec.UNSET


LogRequest = Callable[[RequestLine], None]


def correlation_id() -> str:
    """Return the id of the request being handled, for outgoing calls; empty outside of a request."""
    return _correlation_id.get()


def begin_request(correlation: str) -> Token[str]:
    """Let every line logged from here on, in this context, carry the correlation id, until `end_request`."""
    return _correlation_id.set(correlation)


def end_request(begun: Token[str]) -> None:
    """Leave the request; the caller's context has its earlier id again."""
    _correlation_id.reset(begun)


def show_traces(ids: Callable[[], tuple[str, str] | None] | None) -> None:
    """Let every line carry the ids of the trace, and of the place in it, that *ids* names; None: no line."""
    global _trace_ids  # noqa: PLW0603 (there is one log, as there is one standard output)
    _trace_ids = ids


def trace_ids() -> tuple[str, str] | None:
    """Return the ids of the present trace and of the place in it, if there is one."""
    return None if _trace_ids is None else _trace_ids()


def log_request(line: RequestLine) -> None:
    """Log one request as everything else is logged."""
    fields = {name: getattr(line, name) for name in ("method", "route", "status", "ms", "correlation_id")}
    if line.token is not msgspec.UNSET:
        fields["token"] = line.token
    structlog.get_logger().log(_LEVELS[line.level], REQUEST, **fields)


def configure_logging(level: str = "info", *, human: bool = False) -> LogRequest:
    """Set up structlog and the standard library's loggers to write through one pipeline.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``, in any case.
        human: Lines for a person instead of JSON.

    Returns:
        What logs requests. As JSON it writes the same lines as `log_request`, past the pipeline, for there
        are more of these lines than of all others together.

    Raises:
        ValueError: no such level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"there is no log level {level!r}: choose debug, info, warning or error")
    shared = _shared_processors(human=human)
    render = _render_for_people() if human else _render_as_json
    output = LineOutput(sys.stdout.buffer)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", output)),
        cache_logger_on_first_use=True,
    )
    handler = _PipelineHandler(structlog.BytesLogger(cast("BinaryIO", output)), shared, render)
    handler.setLevel(number)  # a library's logger may have a level of its own
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in _LOUD_LIBRARIES:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    return log_request if human else _request_log(number, output)


def _request_log(least_level: int, output: LineOutput) -> LogRequest:
    def log(line: RequestLine) -> None:
        if _LEVELS[line.level] >= least_level:
            output.write_soon(_to_json(line) + b"\n")

    return log


def _shared_processors(*, human: bool) -> list[Processor]:
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_ids,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
    ]
    if not human:
        processors += [structlog.processors.format_exc_info, structlog.processors.EventRenamer("message")]
    return processors


def _add_ids(_logger: object, _method: str, event: EventDict) -> EventDict:
    if correlation := _correlation_id.get():
        event.setdefault(_CORRELATION_ID, correlation)
    if ids := trace_ids():
        event["trace_id"], event["span_id"] = ids
    return event


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

    def __init__(
        self,
        out: structlog.BytesLogger,
        processors: list[Processor],
        render: Callable[[Any, str, EventDict], bytes],
    ) -> None:
        super().__init__()
        self._processors = processors
        self._render = render
        self._out = out

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event: Any = {"event": record.getMessage(), "logger": record.name}
            event |= getattr(record, FACTS, {})
            if record.exc_info:
                event["exc_info"] = record.exc_info
            for processor in self._processors:
                event = processor(None, record.levelname.lower(), event)
            self._out.msg(self._render(None, record.levelname.lower(), event))
        except Exception:  # noqa: BLE001 - a log record must never end the work it tells of
            self.handleError(record)
