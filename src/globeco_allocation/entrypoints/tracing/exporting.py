"""The way to the collector, with a word in the log when it is blocked and when it is open again."""

import threading
from collections.abc import Sequence
from typing import Any

import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from globeco_allocation.entrypoints import logs

_log: Any = structlog.get_logger("globeco_allocation.tracing")


class ToldExporter(SpanExporter):
    """Tells once that the collector takes no spans, and once that it does again.

    Spans are lost when it refuses them, and when more end than it takes: those that wait longest give way.

    Args:
        inner: The way itself.
        address: The collector's, without credentials.
        most_waiting: So many spans wait for their turn at most.
    """

    def __init__(self, inner: SpanExporter, address: str, most_waiting: int) -> None:
        self._inner = inner
        self._address = address
        self._most_waiting = most_waiting
        self._waiting = 0
        self._lost = 0
        self._lock = threading.Lock()  # spans end in one thread, and are sent in another

    def ended(self) -> None:
        """Take in that a span waits from now on, perhaps in another one's place."""
        with self._lock:
            if self._waiting < self._most_waiting:
                self._waiting += 1
            else:
                self._lose(1)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; those that the collector does not take are lost."""
        with self._lock:
            self._waiting = max(self._waiting - len(spans), 0)
        result = self._inner.export(spans)
        with self._lock:
            if result is not SpanExportResult.SUCCESS:
                self._lose(len(spans))
            elif self._lost and self._waiting <= self._most_waiting // 2:
                _log.info(logs.TRACES_TAKEN_AGAIN, collector=self._address, lost=self._lost)
                self._lost = 0
        return result

    def _lose(self, spans: int) -> None:
        if not self._lost:
            _log.warning(logs.TRACES_NOT_TAKEN, collector=self._address)
        self._lost += spans

    def shutdown(self) -> None:
        """End; what is under way is broken off."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return whether all was sent; nothing is held back here."""
        return self._inner.force_flush(timeout_millis)


class QueuedSpans(BatchSpanProcessor):
    """The queue of spans that have ended; it tells the exporter of each that comes."""

    def __init__(self, exporter: ToldExporter, *, most: int, delay_millis: float, most_at_once: int) -> None:
        super().__init__(exporter, most, delay_millis, most_at_once)
        self._exporter = exporter

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that was sampled; others are told to nobody."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._exporter.ended()
        super().on_end(span)
