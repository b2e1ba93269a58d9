"""What happened at the API: each request, each Job's time, and the rules that hold over all of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.kubernetes.objects import Json, part


@dataclass
class Request:
    """A request as it came in.

    Attributes:
        verb: As RBAC names it: create, get, list, watch, delete.
        status: Of the answer; 0 while there is none, or when the connection was cut instead.
    """

    verb: str
    method: str
    path: str
    query: dict[str, str]
    user_agent: str
    body: Json | None
    status: int = 0


@dataclass
class Span:
    """A Job's time, from its creation until no pod of it runs or ever will; in the order of events."""

    job: Json
    began: int
    ended: int | None = None

    @property
    def name(self) -> str:
        """The Job's name."""
        return self.job["metadata"]["name"]

    @property
    def labels(self) -> dict[str, str]:
        """The Job's labels."""
        return part(self.job, "metadata", "labels")

    def overlaps(self, other: "Span") -> bool:
        """Whether both could have run at one moment."""
        return self.began < _end(other) and other.began < _end(self)


def _end(span: Span) -> float:
    return float("inf") if span.ended is None else span.ended


@dataclass
class Spans:
    """The times of all Jobs."""

    all: list[Span] = field(default_factory=list[Span])
    _events: int = 0

    def begin(self, job: Json) -> None:
        """A Job can run from now on."""
        self._events += 1
        self.all.append(Span(job, self._events))

    def end(self, job: Json) -> None:
        """A Job runs no more."""
        self._events += 1
        (span,) = [one for one in self.all if one.job["metadata"]["uid"] == job["metadata"]["uid"]]
        span.ended = self._events


def assert_one_job_a_name(created: Sequence[Json]) -> None:
    """No name was used for a second Job: an attempt has one.

    Raises:
        AssertionError: with the names that were used again.
    """
    names = Counter((job["metadata"]["namespace"], job["metadata"]["name"]) for job in created)
    again = sorted(name for (_, name), count in names.items() if count > 1)
    assert not again, f"more than one Job was created with the name {', '.join(again)}"


def assert_lanes_kept(spans: Sequence[Span], lane_label: str, lanes_label: str) -> None:
    """At no moment could two Jobs of one lane run, nor two Jobs of different lane counts.

    Raises:
        AssertionError: with the two Jobs, or with one that lacks a label (then nothing could be told).
    """
    for span in spans:
        missing = {lane_label, lanes_label} - span.labels.keys()
        assert not missing, f"{span.name} lacks the labels {sorted(missing)}: it has {sorted(span.labels)}"
    for index, one in enumerate(spans):
        for other in spans[index + 1 :]:
            if not one.overlaps(other):
                continue
            counts = one.labels[lanes_label], other.labels[lanes_label]
            assert counts[0] == counts[1], f"{one.name} and {other.name} at once, with lane counts {counts}"
            lanes = one.labels[lane_label], other.labels[lane_label]
            assert lanes[0] != lanes[1], f"{one.name} and {other.name} at once in lane {lanes[0]}"
