"""Whether there is tracing."""

from globeco_allocation.entrypoints.settings import Settings
from globeco_allocation.entrypoints.tracing.tracing import NO_TRACING, Tracing


def tracing_of(settings: Settings) -> Tracing:
    """Return tracing as it is set up; OpenTelemetry's SDK is loaded only where traces go anywhere."""
    if not settings.traces_go_to:
        return NO_TRACING
    from globeco_allocation.entrypoints.tracing.otel import OtelTracing  # noqa: PLC0415 (an extra, and big)

    return OtelTracing(settings)
