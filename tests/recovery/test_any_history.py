"""Whatever happened before and after the backup: once recovered, each execution is in exactly one window."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.recovery.place import Place

EXAMPLES = int(os.environ.get("RECOVERY_HISTORIES", "15"))


@dataclass(frozen=True)
class Step:
    """One step of a history."""

    what: str
    count: int = 0
    lanes: int = 1
    largest: int = 100


STEPS = st.one_of(
    st.builds(Step, st.just("keep"), count=st.integers(1, 7)),
    st.builds(Step, st.just("send"), lanes=st.integers(1, 3), largest=st.integers(1, 4)),
    st.builds(Step, st.sampled_from(["claim", "plan"]), lanes=st.integers(1, 2), largest=st.integers(1, 4)),
    st.just(Step("prepare")),
)
HISTORIES = st.lists(STEPS, max_size=6)


def play(place: Place, steps: Sequence[Step]) -> None:
    for step in steps:
        match step.what:
            case "keep":
                place.keep(step.count)
            case "send":
                place.send(lanes=step.lanes, largest=step.largest)
            case "prepare":
                place.prepare()
            case _:
                place.claim(lanes=step.lanes, largest=step.largest, plan=step.what == "plan")


def lose_last_files(place: Place, lanes: int) -> None:
    """Let the newest batch's files of some lanes never have been written: the end came before that."""
    names = place.data_files()
    newest = max((int(name.removesuffix(".csv").split("_")[3]) for name in names), default=0)
    of_it = [name for name in names if int(name.removesuffix(".csv").split("_")[3]) == newest]
    kept_lanes = sorted({lane_in(name) for name in of_it})[: max(len({lane_in(n) for n in of_it}) - lanes, 0)]
    for name in of_it:
        if lane_in(name) not in kept_lanes:
            for line in place.lines(name):
                place.sent.pop(int(line.split(",")[2].removeprefix("AC")), None)
            (place.files / name).unlink()
            (place.files / f"{name}.executions.csv").unlink()


def lane_in(name: str) -> str:
    return next((part for part in name.removesuffix(".csv").split("_") if part.startswith("l")), "")


@pytest.mark.timeout(600)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=HISTORIES, after=HISTORIES, unwritten=st.integers(0, 2))
def test_each_execution_is_in_exactly_one_window(
    place: Place, before: list[Step], after: list[Step], unwritten: int
) -> None:
    place.begin_anew()
    play(place, before)
    place.back_up()
    sent_before = set(place.data_files())
    play(place, after)
    if unwritten and set(place.data_files()) - sent_before:
        written_since = {name for name in place.data_files() if name not in sent_before}
        newest = max(int(name.removesuffix(".csv").split("_")[3]) for name in place.data_files())
        if all(
            name in written_since
            for name in place.data_files()
            if int(name.removesuffix(".csv").split("_")[3]) == newest
        ):
            lose_last_files(place, unwritten)
    place.lose_and_restore()

    said = place.run("--apply")
    assert said.code == 0, said
    place.check()
    assert "nothing to do" in place.run("--apply").out

    place.prepare()
    place.check()
    place.keep(3)
    place.send()
    place.check()
