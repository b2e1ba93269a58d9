"""What is looked at from time to time, for Prometheus: the backlog, the schema, the pool, the event loop.

What waits is the whole cluster's, and every replica shows the same: take the maximum over them, never the
sum, and only of those that looked lately (``state_refreshed_timestamp_seconds``). Since when it waits is
shown as a timestamp, by the database's clock, and not as an age: so it grows older, and its alert nearer,
also when nobody looks any more. 0 stands for "nothing waits".
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from globeco_allocation.adapters.postgres.pool_counts import PoolCounts
from globeco_allocation.domain.backlog import Outstanding, Waiting

PREFIX = "globeco_allocation"
"""How the names of our metrics begin."""

_LAGS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_Together = Literal["mostrecent", "livesum", "max"]


class StateMetrics:
    """Gauges of what was last seen, in the service's registry.

    Args:
        registry: Where they are.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._waiting = self._kind("waiting_executions", "Executions that wait for a batch")
        self._pending = self._kind(
            "pending_executions",
            "Executions that wait for their portfolio; those in error need a person",
            "status",
        )
        self._batches = self._kind("unwritten_batches", "Claimed batches whose files are not all written")
        self._deliveries = self._kind(
            "outstanding_deliveries",
            "Deliveries not at their end; partial and failed ones that nobody settled need a person",
            "status",
        )
        self._records = self._gauge(
            "outstanding_delivery_records",
            "Executions in open deliveries; in partial and failed ones the records that need a person.",
            ("status",),
        )
        self._stopped = self._gauge(
            "delivery_stopped_timestamp_seconds",
            "Since when all delivery is stopped by a collision of source ids; 0: it is not.",
        )
        self._refreshed = self._gauge(
            "state_refreshed_timestamp_seconds",
            "When this process last read what the database shows to every replica alike; 0: never yet.",
        )
        self._migrations_missing = self._gauge(
            "schema_migrations_missing",
            "Migrations of this version that the database lacks; -1: not known yet.",
        )
        self._migrations_missing.set(-1)
        self._pool_open = self._gauge(
            "database_pool_connections", "Open connections to the database, by state.", ("state",), "livesum"
        )
        self._pool_most = self._gauge(
            "database_pool_max_connections", "Connections that there may be.", together="livesum"
        )
        self._pool_waiting = self._gauge(
            "database_pool_waiting", "Callers who wait for a connection.", together="livesum"
        )
        self._pool_acquired = self._counter("database_pool_acquired", "Connections lent to callers.")
        self._pool_seconds = self._counter(
            "database_pool_acquire_seconds", "Seconds that callers have waited for a connection, in all."
        )
        self._pool_failures = self._counter(
            "database_pool_acquire_failures",
            "Callers who got no connection: none was free in time, or the server gave none.",
        )
        self._pool_before = PoolCounts(0, 0, 0, 0, 0, 0.0, 0)
        self._lag = Histogram(
            f"{PREFIX}_event_loop_lag_seconds",
            "By how many seconds the event loop came late to a timer that is due twice a second.",
            registry=registry,
            buckets=_LAGS,
        )
        self._under_way = self._gauge(
            "dispatch_steps_under_way",
            "Leases that this process holds: batches that it writes, deliveries that it carries on.",
            ("step",),
            "livesum",
        )

    def seen(self, outstanding: Outstanding, now: float) -> None:
        """Show what is outstanding, as of *now* (seconds since the epoch, by this machine's clock)."""
        self._waiting.show(outstanding.executions)
        self._pending.show(outstanding.pending, "pending")
        self._pending.show(outstanding.in_error, "error")
        self._batches.show(outstanding.batches)
        for status, waiting in outstanding.deliveries.items():
            self._deliveries.show(waiting, status.value)
            self._records.labels(status.value).set(waiting.records)
        self._stopped.set(_seconds(outstanding.stopped))
        self._refreshed.set(now)

    def migrations_missing(self, count: int) -> None:
        """Show how far the database's schema is behind this version."""
        self._migrations_missing.set(count)

    def pool(self, use: PoolCounts) -> None:
        """Show how the connections are used now, and count what happened since the last time."""
        before, self._pool_before = self._pool_before, use
        self._pool_open.labels("idle").set(use.idle)
        self._pool_open.labels("in_use").set(use.open - use.idle)
        self._pool_most.set(use.most)
        self._pool_waiting.set(use.waiting)
        self._pool_acquired.inc(use.acquired - before.acquired)
        self._pool_seconds.inc(use.acquire_seconds - before.acquire_seconds)
        self._pool_failures.inc(use.failures - before.failures)

    def loop_was_late(self, seconds: float) -> None:
        """Note by how much the event loop came late to a timer."""
        self._lag.observe(max(seconds, 0.0))

    def steps_under_way(self, *, write: int, deliver: int) -> None:
        """Show how many batches and deliveries this process works on."""
        self._under_way.labels("write").set(write)
        self._under_way.labels("deliver").set(deliver)

    def _kind(self, name: str, about: str, *labels: str) -> "_Kind":
        return _Kind(
            self._gauge(name, f"{about}, in the whole cluster; no more than 100000 are counted.", labels),
            self._gauge(
                f"{name}_oldest_timestamp_seconds",
                f"{about}: since when the first of them waits, by the database's clock; 0: none does.",
                labels,
            ),
        )

    def _gauge(
        self, name: str, about: str, labels: tuple[str, ...] = (), together: _Together = "mostrecent"
    ) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", about, labels, registry=self._registry, multiprocess_mode=together)

    def _counter(self, name: str, about: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", about, registry=self._registry)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How much of one kind waits, and since when."""

    count: Gauge
    oldest: Gauge

    def show(self, waiting: Waiting, *labels: str) -> None:
        (self.count.labels(*labels) if labels else self.count).set(waiting.count)
        (self.oldest.labels(*labels) if labels else self.oldest).set(_seconds(waiting.oldest))


def _seconds(moment: datetime | None) -> float:
    return 0.0 if moment is None else moment.timestamp()
