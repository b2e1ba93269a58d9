"""What the service counts and times, for Prometheus."""

from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from globeco_allocation.domain.delivery import Settlement, WrittenFile
from globeco_allocation.domain.use_cases.look_up_pending import PendingRound
from globeco_allocation.entrypoints.metrics.process import show_build, show_process
from globeco_allocation.entrypoints.metrics.state import PREFIX, StateMetrics

if TYPE_CHECKING:
    from globeco_allocation.adapters.trade_service.breaker import BreakerState
    from globeco_allocation.adapters.trade_service.failures import Outcome

S = TypeVar("S", Counter, Histogram)

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""The content type of `Metrics.render`."""

_FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_BREAKER_STATES: tuple["BreakerState", ...] = ("closed", "open", "half-open")

_TO_BE_CONFIRMED = "to_be_confirmed"
_ENDS = ("delivered", "partial", "failed")
_OUTCOMES: tuple["Outcome", ...] = (
    *("found", "not_found", "invalid"),
    *("unavailable", "breaker_open", "cancelled"),
)
"""An attempt that may have booked everything: a run that only confirms it follows."""


class _Series(dict[tuple[Hashable, ...], S], Generic[S]):
    """The series of one metric by their labels, for what is counted often: its own look-up is dear.

    Args:
        labels: The metric's; asked once for each series, when that is first used.
    """

    def __init__(self, labels: Callable[..., S]) -> None:
        super().__init__()
        self._labels = labels

    def __missing__(self, labels: tuple[Hashable, ...]) -> S:
        series = self[labels] = self._labels(*labels)
        return series


class Metrics:
    """The service's metrics, in a registry of their own.

    Labels are bounded: route templates, known methods, statuses, outcomes; never ids.

    Args:
        shown: What `render` shows, where that is more than what this process counts: the sum over workers.

    Attributes:
        state: What is looked at from time to time.
    """

    def __init__(self, shown: Collector | None = None) -> None:
        disable_created_metrics()  # nothing asks for them, and they double the answer
        self._registry = CollectorRegistry()
        self._shown = shown or self._registry
        self.state = StateMetrics(self._registry)
        show_build(self._registry)
        if shown is None:
            show_process(self._registry)
        route = ("method", "route", "status")
        self._requests = _Series(self._counter("http_requests", "Requests answered.", route).labels)
        self._request_seconds = _Series(
            self._histogram(
                "http_request_duration_seconds",
                "Seconds from a request's arrival to its answer's end.",
                route,
            ).labels
        )
        self._executions = _Series(
            self._counter(
                "executions",
                "Execution records answered, by result.",
                ("result",),
                values=("created", "deferred", "skipped", "error"),
            ).labels
        )
        self._repeats_differing = self._counter(
            "executions_differing_repeats", "Known executions reported again with other content."
        )
        self._lookups = _Series(
            self._counter(
                "portfolio_lookups", "Portfolio lookups, by outcome.", ("outcome",), values=_OUTCOMES
            ).labels
        )
        self._lookup_seconds = _Series(
            self._histogram(
                "portfolio_lookup_duration_seconds", "Seconds that a portfolio lookup took.", ("outcome",)
            ).labels
        )
        self._pending_lookups = self._counter(
            "pending_lookups",
            "Pending executions looked up in this process, by what came of it.",
            ("result",),
            values=("kept", "put_off", "given_up"),
        )
        self._retries = self._counter("portfolio_lookup_retries", "Portfolio lookups tried again.")
        self._breaker = Gauge(
            f"{PREFIX}_trade_service_breaker",
            "1 for the state that the circuit breaker of the Trade Service is in; over several workers, how"
            " many of them are. Open becomes half-open at the next lookup.",
            ("state",),
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self.breaker_is("closed")
        self._breaker_changes = self._counter(
            "trade_service_breaker_changes",
            "Changes of the circuit breaker, by its new state.",
            ("state",),
            values=_BREAKER_STATES,
        )
        self._batches = self._counter("batches_claimed", "Batch windows claimed.")
        self._resends = self._counter("batches_resent", "Batches whose delivery was asked for again.")
        self._steps = self._counter(
            "dispatch_steps",
            "Batches written and deliveries carried on by this process, by what came of it.",
            ("step", "result"),
        )
        self._attempts = self._counter(
            "delivery_attempts", "Attempts that ended, by what they came to.", ("status", "runner")
        )
        self._delivery_retries = self._counter(
            "delivery_retries", "Attempts that failed and are followed by another one.", ("runner",)
        )
        self._collisions = self._counter("source_id_collisions", "Attempts that found foreign rows.")
        self._fit = Gauge(
            f"{PREFIX}_fit_to_deliver",
            "1 when this replica writes and delivers.",
            registry=self._registry,
            multiprocess_mode="livemin",
        )
        self._deliveries = self._counter(
            "deliveries", "Deliveries that ended, by what they came to.", ("status", "runner")
        )
        self._records = self._counter(
            "delivery_records",
            "Records delivered, by result.",
            ("result",),
            values=("accepted", "rejected", "unknown"),
        )
        self._connections = self._counter(
            "connections_turned_away",
            "Connections closed or refused for want of room: waiting, refused, or with an unsent answer.",
            ("reason",),
            values=("waiting", "refused", "unsent"),
        )
        self._files = self._counter("files_written", "Transaction files written.")
        self._file_bytes = self._counter("file_written_bytes", "Bytes of the transaction files written.")
        self._sends = Gauge(
            f"{PREFIX}_sends_under_way",
            "Sends and resends whose callers wait for their answer from this process.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )

    def render(self) -> bytes:
        """Write every metric in Prometheus' text format."""
        return generate_latest(self._shown)

    def request_answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count and time one request."""
        labels = (method, route, status)
        self._requests[labels].inc()
        self._request_seconds[labels].observe(seconds)

    def executions_answered(
        self, *, created: int, deferred: int, skipped: int, failed: int, differing: int
    ) -> None:
        """Count the records of one request by what came of them."""
        self._executions[("created",)].inc(created)
        self._executions[("deferred",)].inc(deferred)
        self._executions[("skipped",)].inc(skipped)
        self._executions[("error",)].inc(failed)
        self._repeats_differing.inc(differing)

    def looked_up(self, outcome: str, seconds: float) -> None:
        """Count and time one portfolio lookup; the adapter of the Trade Service names the outcomes."""
        self._lookups[(outcome,)].inc()
        self._lookup_seconds[(outcome,)].observe(seconds)

    def pending_looked_up(self, found: PendingRound) -> None:
        """Count one round of lookups of pending executions."""
        self._pending_lookups.labels("kept").inc(found.kept)
        self._pending_lookups.labels("put_off").inc(len(found.put_off))
        self._pending_lookups.labels("given_up").inc(len(found.given_up))

    def lookup_retried(self) -> None:
        """Count one portfolio lookup that is tried again."""
        self._retries.inc()

    def breaker_is(self, state: "BreakerState") -> None:
        """Show in which state the circuit breaker is."""
        for one in _BREAKER_STATES:
            self._breaker.labels(one).set(int(one == state))

    def breaker_changed(self, state: "BreakerState") -> None:
        """Count that the circuit breaker has a new state, and show it."""
        self._breaker_changes.labels(state).inc()
        self.breaker_is(state)

    def batch_claimed(self) -> None:
        """Count one claimed window."""
        self._batches.inc()

    def batch_resent(self) -> None:
        """Count one resend."""
        self._resends.inc()

    def dispatches(self, runner: str, results: Iterable[str]) -> None:
        """Show what steps and deliveries can come to from the start: a rate sees the first.

        Args:
            runner: How the accounting CLI is run: the execution mode.
            results: What can come of a step.
        """
        for result in results:
            for step in ("write", "deliver"):
                self._steps.labels(step, result)
        for status in _ENDS:
            self._deliveries.labels(status, runner)
            self._attempts.labels(status, runner)
        self._attempts.labels(_TO_BE_CONFIRMED, runner)
        self._delivery_retries.labels(runner)

    def step_taken(self, step: str, result: str) -> None:
        """Count one step of the dispatcher, which names steps and results."""
        self._steps.labels(step, result).inc()

    def file_written(self, file: WrittenFile) -> None:
        """Count one transaction file."""
        self._files.inc()
        self._file_bytes.inc(file.byte_count)

    def attempt_ended(self, settlement: Settlement, runner: str) -> None:
        """Count an attempt; and a delivery with its records when the attempt was its last.

        Args:
            settlement: What it came to.
            runner: How the accounting CLI is run: the execution mode.
        """
        outcome = settlement.outcome
        status = _TO_BE_CONFIRMED if settlement.confirming else outcome.status.value
        self._attempts.labels(status, runner).inc()
        if settlement.collision:
            self._collisions.inc()
        if settlement.retry_in is not None:
            if not settlement.confirming:
                self._delivery_retries.labels(runner).inc()
        else:
            self._deliveries.labels(outcome.status.value, runner).inc()
            self._records.labels("accepted").inc(outcome.accepted_count)
            self._records.labels("rejected").inc(outcome.rejected_count)
            self._records.labels("unknown").inc(outcome.unknown_count)

    def connection_turned_away(self, reason: str) -> None:
        """Count a connection that had to go; `OpenConnections` names the reasons."""
        self._connections.labels(reason).inc()

    def fit_to_deliver(self, *, fit: bool) -> None:
        """Show whether this replica writes and delivers files."""
        self._fit.set(int(fit))

    @contextmanager
    def send_under_way(self) -> Generator[None]:
        """Show a send or resend as under way for as long as the context lasts."""
        with self._sends.track_inprogress():
            yield

    def _counter(
        self, name: str, about: str, labels: tuple[str, ...] = (), *, values: Sequence[str] = ()
    ) -> Counter:
        """Declare a counter; *values* of its one label show from the start: a rate sees the first."""
        counter = Counter(f"{PREFIX}_{name}", about, labels, registry=self._registry)
        for value in values:
            counter.labels(value)
        return counter

    def _histogram(self, name: str, about: str, labels: tuple[str, ...]) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", about, labels, registry=self._registry, buckets=_FAST)
