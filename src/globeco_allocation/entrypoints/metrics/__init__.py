"""What the service shows Prometheus: what it counts, what it measures, and its workers taken together."""

from globeco_allocation.entrypoints.metrics.metrics import CONTENT_TYPE, Metrics

__all__ = ["CONTENT_TYPE", "Metrics"]
