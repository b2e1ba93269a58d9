"""An OpenTelemetry collector on a real socket, which takes what it is sent apart, or behaves badly."""

import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.http_double import Handler, serving
from tests.process.service_process import wait_until

ERROR = 2
"""A span's status code for a failure."""


@dataclass(frozen=True)
class SeenSpan:
    """A span as it came in, with its ids in hexadecimal, as headers and logs have them."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    status: int
    trace_state: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: tuple[str, ...]


@dataclass
class Collector:
    """What was sent, and what becomes of it.

    Attributes:
        status: How each request is answered.
        hanging: Cleared: answer; set: take requests and never answer until it is cleared.
        requests: How many came.
    """

    url: str = ""
    status: int = 200
    hanging: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)
    requests: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    spans: list[SeenSpan] = field(default_factory=list[SeenSpan])

    def named(self, name: str, trace: str | None = None) -> list[SeenSpan]:
        """Return the spans of this name, of one trace if that is named."""
        return [one for one in tuple(self.spans) if one.name == name and trace in {None, one.trace}]

    def wait_for(self, name: str, count: int = 1) -> list[SeenSpan]:
        """Wait until so many spans of this name have come."""
        wait_until(lambda: len(self.named(name)) >= count, f"{count} spans {name!r} at the collector")
        return self.named(name)

    def children(self, span: SeenSpan) -> list[SeenSpan]:
        """Return the spans right below one."""
        return [one for one in tuple(self.spans) if (one.trace, one.parent) == (span.trace, span.id)]

    def names_below(self, span: SeenSpan) -> list[str]:
        """Return the names of the spans right below one."""
        return sorted(one.name for one in self.children(span))


@contextmanager
def collector() -> Generator[Collector]:
    """Run a collector for as long as the block lasts."""
    seen = Collector()

    class Service(Handler):
        def take(self) -> None:
            body = self.body()
            seen.requests += 1
            seen.headers = {name.lower(): value for name, value in self.headers.items()}
            if seen.hanging.is_set():
                seen.let_go.wait(60)
                self.close_connection = True
                return
            if seen.status == 200:
                assert self.path == "/v1/traces"
                seen.spans.extend(_spans(body))
            self.answer(seen.status)

    with serving(Service) as port:
        seen.url = f"http://127.0.0.1:{port}"
        try:
            yield seen
        finally:
            seen.let_go.set()


def _spans(body: bytes) -> Generator[SeenSpan]:
    request: Any = ExportTraceServiceRequest.FromString(body)
    for of_resource in request.resource_spans:
        resource = _values(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for one in of_scope.spans:
                yield SeenSpan(
                    name=one.name,
                    trace=one.trace_id.hex(),
                    id=one.span_id.hex(),
                    parent=one.parent_span_id.hex(),
                    kind=one.kind,
                    status=one.status.code,
                    trace_state=one.trace_state,
                    attributes=_values(one.attributes),
                    resource=resource,
                    events=tuple(event.name for event in one.events),
                )


def _values(attributes: Iterable[Any]) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
