"""The way to the collector, with a word in the log when it is blocked and when it is open again."""

from collections.abc import Sequence
from typing import Any

import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from globeco_allocation.entrypoints import logs

_log: Any = structlog.get_logger("globeco_allocation.tracing")


class ToldExporter(SpanExporter):
    """Tells once that the collector takes no spans, and once that it does again.

    Args:
        inner: The way itself.
        address: The collector's, without credentials.
    """

    def __init__(self, inner: SpanExporter, address: str) -> None:
        self._inner = inner
        self._address = address
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; those that the collector does not take are lost."""
        result = self._inner.export(spans)
        if result is not SpanExportResult.SUCCESS:
            if not self._lost:
                _log.warning(logs.TRACES_NOT_TAKEN, collector=self._address)
            self._lost += len(spans)
        elif self._lost:
            _log.info(logs.TRACES_TAKEN_AGAIN, collector=self._address, lost=self._lost)
            self._lost = 0
        return result

    def shutdown(self) -> None:
        """End; what is under way is broken off."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return whether all was sent; nothing is held back here."""
        return self._inner.force_flush(timeout_millis)
