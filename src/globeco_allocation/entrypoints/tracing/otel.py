"""Traces by OpenTelemetry's SDK. Importing this loads it: a tenth of a second and some 15 MB."""

import asyncio
import logging
import threading
import uuid
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.version import __version__ as sdk_version
from opentelemetry.trace import (
    NonRecordingSpan,
    NoOpTracer,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from globeco_allocation import __version__
from globeco_allocation.domain.trace_context import NO_TRACE, TraceContext
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.settings import Settings
from globeco_allocation.entrypoints.tracing.exporting import QueuedSpans, ToldExporter
from globeco_allocation.entrypoints.tracing.sampling import sampler_of
from globeco_allocation.entrypoints.tracing.tracing import NO_SPAN, Attributes, Kind, Span

SERVICE_NAME: Final = "globeco-allocation-service"
"""How traces name the service unless the settings do."""

LONGEST_TEXT: Final = 256
"""Of an attribute, in characters; the rest is cut off."""

_KNOWN_FLAGS: Final = 0b11  # sampled, and random

_KINDS: Final = {Kind.INTERNAL: SpanKind.INTERNAL, Kind.SERVER: SpanKind.SERVER, Kind.CLIENT: SpanKind.CLIENT}

# They tell of each failed export, and of each span that finds the queue full; `ToldExporter` tells it once.
_TALKATIVE: Final = ("opentelemetry", "urllib3")

_log: Any = structlog.get_logger("globeco_allocation.tracing")

_current: ContextVar[OtelSpan | None] = ContextVar("span", default=None)


class OtelTracing:
    """Sends spans to a collector, from a bounded queue and in a thread of its own.

    What does not fit into the queue is dropped: nobody waits for the collector.

    Args:
        settings: With the collector's address.
    """

    is_on = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tracer: Tracer = NoOpTracer()

    @contextmanager
    def span(
        self,
        name: str,
        kind: Kind = Kind.INTERNAL,
        attributes: Attributes | None = None,
        *,
        parent: TraceContext | None = None,
        is_current: bool = True,
    ) -> Generator[Span]:
        """Tell of what goes on within a context; see `Tracing`."""
        around = _around(_current.get() if parent is None else _remote(parent))
        span = self._tracer.start_span(name, around, _KINDS[kind], _bounded(attributes or {}))
        told = _Told(span)
        token = _current.set(span) if is_current else None
        try:
            yield told
        except BaseException as error:
            told.failed(failure_kind(error))
            raise
        finally:
            if token is not None:
                _current.reset(token)
            span.end()

    @contextmanager
    def part(self, name: str, kind: Kind, attributes: Attributes) -> Generator[Span]:
        """Do as `span`, but tell nothing of what is part of nothing; see `Tracing`."""
        if _current.get() is None:
            yield NO_SPAN
            return
        with self.span(name, kind, attributes) as span:
            yield span

    @contextmanager
    def unwatched(self) -> Generator[None]:
        """Tell nothing of the parts of what goes on within this context; see `Tracing`."""
        token = _current.set(None)
        try:
            yield
        finally:
            _current.reset(token)

    def carried(self) -> TraceContext:
        """Return the present place in its trace; see `Tracing`."""
        span = _current.get()
        context = None if span is None else span.get_span_context()
        if context is None or not context.is_valid:
            return NO_TRACE
        trace, own, flags = context.trace_id, context.span_id, int(context.trace_flags)
        return TraceContext(f"00-{trace:032x}-{own:016x}-{flags:02x}", context.trace_state.to_header())

    @asynccontextmanager
    async def running(self, grace_seconds: float) -> AsyncGenerator[None]:
        """Tell for as long as the context lasts; see `Tracing`."""
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        try:
            provider = self._provider()
        except Exception as error:  # noqa: BLE001 - executions are taken all the same; its text may be a secret
            _log.error(logs.TRACES_NOT_SET_UP, reason=type(error).__name__)
            yield
            return
        self._tracer = provider.get_tracer("globeco_allocation", __version__)
        logs.show_traces(_ids)
        try:
            yield
        finally:
            self._tracer = NoOpTracer()
            logs.show_traces(None)
            await _within(grace_seconds, provider)

    def _provider(self) -> TracerProvider:
        settings = self._settings
        provider = TracerProvider(
            sampler=sampler_of(settings.otel_traces_sampler, settings.otel_traces_sampler_arg),
            resource=_resource(settings),
            shutdown_on_exit=False,  # it would wait for the collector
            span_limits=SpanLimits(max_span_attributes=32, max_events=8, max_links=8),
        )
        collector, most = settings.traces_go_to, settings.otel_bsp_max_queue_size
        exporter = ToldExporter(OTLPSpanExporter(endpoint=collector), collector, most)
        provider.add_span_processor(
            QueuedSpans(
                exporter,
                most=most,
                delay_millis=settings.otel_bsp_schedule_delay,
                most_at_once=min(settings.otel_bsp_max_export_batch_size, most),
            )
        )
        return provider


class _Told:
    """A span, as the service's parts know it."""

    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(_bounded(attributes))

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def event(self, name: str) -> None:
        self._span.add_event(name)

    def failed(self, kind: str) -> None:
        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR)


def failure_kind(error: BaseException) -> str:
    """Return the kind of an error: a word, never its text."""
    outcome = getattr(error, "outcome", None)
    return outcome if isinstance(outcome, str) else type(error).__name__


def _bounded(attributes: Attributes) -> dict[str, str | int | bool]:
    return {
        name: value[:LONGEST_TEXT] if isinstance(value, str) else value for name, value in attributes.items()
    }


def _around(span: OtelSpan | None) -> Context:
    return Context() if span is None else set_span_in_context(span, Context())


def _remote(parent: TraceContext) -> OtelSpan | None:
    if not parent.parent:
        return None
    _, trace, span, flags = parent.parent.split("-")
    state = TraceState.from_header([parent.state]) if parent.state else None
    context = SpanContext(
        int(trace, 16), int(span, 16), True, TraceFlags(int(flags, 16) & _KNOWN_FLAGS), state
    )
    return NonRecordingSpan(context)


def _ids() -> tuple[str, str] | None:
    span = _current.get()
    if span is None:
        return None
    context = span.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def _resource(settings: Settings) -> Resource:
    """Return what stands beside every span; what the environment says of it counts."""
    ours = {
        "service.name": SERVICE_NAME,
        "service.version": __version__,
        "service.instance.id": str(uuid.uuid4()),
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": sdk_version,
    }
    resource = Resource(ours).merge(OTELResourceDetector().detect())
    name = settings.otel_service_name
    return resource.merge(Resource({"service.name": name})) if name else resource


async def _within(seconds: float, provider: TracerProvider) -> None:
    """Send what is left, and give up after so many seconds.

    Not in a thread of the event loop's: the process would wait for that one at its end.
    """
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def shut_down() -> None:
        provider.shutdown()
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=shut_down, name="traces-end", daemon=True).start()
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), seconds)
