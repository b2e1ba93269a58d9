"""Spans that a slow collector has no time for are counted as lost, like those that it refuses."""

import threading
from collections.abc import Callable, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from structlog.testing import capture_logs
from tests.process.service_process import wait_until

from globeco_allocation.entrypoints.tracing.exporting import QueuedSpans, ToldExporter

SPANS, PLACES = 25, 10


class SlowCollector(SpanExporter):
    """Takes spans one batch at a time, each when it is let."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.let = threading.Event()
        self.taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        self.let.wait(30)
        self.taken += len(spans)
        return SpanExportResult.SUCCESS


@pytest.fixture
def collector() -> SlowCollector:
    return SlowCollector()


@pytest.fixture
def end_spans(collector: SlowCollector) -> Callable[[int], None]:
    exporter = ToldExporter(collector, "http://collector", PLACES)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(QueuedSpans(exporter, most=PLACES, delay_millis=10, most_at_once=2))
    tracer = provider.get_tracer("test")

    def end(count: int) -> None:
        for _ in range(count):
            tracer.start_span("span").end()

    return end


def test_what_finds_no_place_is_lost_and_told_once_and_once_more_how_much_it_was(
    collector: SlowCollector, end_spans: Callable[[int], None]
) -> None:
    with capture_logs() as lines:
        end_spans(2)
        assert collector.asked.wait(30)
        end_spans(SPANS - 2)
        collector.let.set()
        wait_until(lambda: len(lines) == 2, "it is over")
        wait_until(lambda: collector.taken == 2 + PLACES, "all that found a place is taken")

    assert [line["event"] for line in lines] == [
        "collector takes no traces: they are lost",
        "collector takes traces again",
    ]
    assert lines[1]["lost"] == SPANS - 2 - PLACES


def test_where_there_is_room_for_all_nothing_is_told(
    collector: SlowCollector, end_spans: Callable[[int], None]
) -> None:
    collector.let.set()
    with capture_logs() as lines:
        for number in range(1, SPANS + 1):
            end_spans(1)
            wait_until(lambda number=number: collector.taken == number, "it is taken")

    assert lines == []
