"""Which traces are collected."""

from opentelemetry.sdk.trace import sampling

from globeco_allocation.entrypoints.settings.groups.tracing import TracesSampler


def sampler_of(kind: TracesSampler, ratio: float) -> sampling.Sampler:
    """Return the sampler of this name; *ratio* is the share of traces where it takes some of them."""
    match kind:
        case TracesSampler.ALWAYS_ON:
            return sampling.ALWAYS_ON
        case TracesSampler.ALWAYS_OFF:
            return sampling.ALWAYS_OFF
        case TracesSampler.TRACE_ID_RATIO:
            return sampling.TraceIdRatioBased(ratio)
        case TracesSampler.PARENT_BASED_ALWAYS_ON:
            return sampling.ParentBased(sampling.ALWAYS_ON)
        case TracesSampler.PARENT_BASED_ALWAYS_OFF:
            return sampling.ParentBased(sampling.ALWAYS_OFF)
        case TracesSampler.PARENT_BASED_TRACE_ID_RATIO:
            return sampling.ParentBased(sampling.TraceIdRatioBased(ratio))
