"""Whatever dies, pauses or fails, in whichever order: each execution is booked once, or known by name.

Safety (nothing of this ever happens: a record twice, two runs over one portfolio, a record lost, a late
write, a lane out of order) is looked for after every port call, see ``watch.py``. Liveness (when faults stop,
everything ends) is looked for at the end of each history. ``make simulate`` lets ten thousand happen.
"""

import re
from collections import deque

import pytest
from tests.simulation import plants
from tests.simulation.history import live_through
from tests.simulation.liveness import StuckError
from tests.simulation.world import Plant, UnsafeError

HISTORIES = 120


@pytest.mark.parametrize("first", range(0, HISTORIES, 40))
def test_every_history_is_safe_and_comes_to_its_end(first: int) -> None:
    runs = 0
    for seed in range(first, first + 40):
        try:
            runs += live_through(seed).runs
        except AssertionError as error:
            error.add_note(f"to see all of it: make simulate SEED={seed}")
            raise

    assert runs > 40


def test_a_history_can_be_repeated_exactly() -> None:
    once: deque[str] = deque()
    again: deque[str] = deque()

    live_through(7, history=once)
    live_through(7, history=again)

    assert [_without_addresses(line) for line in once] == [_without_addresses(line) for line in again]


@pytest.mark.parametrize(
    ("plant", "error", "words", "within"),
    [
        (plants.no_fencing_check, UnsafeError, "late write", 150),
        (plants.no_lane_locks, UnsafeError, "side by side", 150),
        (plants.new_attempt_on_takeover, UnsafeError, "went on|is not under way", 150),
        (plants.no_queue, UnsafeError, "starts before", 20),
        (plants.every_run_is_fine, UnsafeError, "is lost", 20),
        (plants.leases_never_run_out, StuckError, "", 20),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_planted_fault_is_found(
    plant: Plant, error: type[AssertionError], words: str, within: int, capsys: pytest.CaptureFixture[str]
) -> None:
    after = next((seed + 1 for seed in range(within) if _finds(seed, plant, error, words)), None)

    with capsys.disabled():
        print(f" [{plant.__name__}: found after {after} histories]", end="")
    assert after is not None


def _finds(seed: int, plant: Plant, error: type[AssertionError], words: str) -> bool:
    try:
        live_through(seed, plant)
    except AssertionError as found:
        return isinstance(found, error) and re.search(words, str(found)) is not None
    return False


def _without_addresses(line: str) -> str:
    return re.sub(r" at 0x[0-9a-f]+", "", line)
