"""That `make soak` works, and that what judges it can find fault."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.soak import allowed, flaky_cli
from tests.soak.gauges import LEAST_SAMPLES, Gauge
from tests.soak.play import Outcome, play
from tests.soak.report import summary, write
from tests.soak.windows import AFTERMATH_SECONDS, Windows

from globeco_allocation.entrypoints import logs


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A soak of a few seconds."""
    return play(tmp_path_factory.mktemp("soak"), 12, print)


@pytest.mark.timeout(240)
def test_a_short_soak_loses_nothing(outcome: Outcome) -> None:
    assert outcome.faults == [], summary(outcome)
    assert [one.what for one in outcome.windows.all] == [allowed.DATABASE, allowed.REPLICA, allowed.DATABASE]
    assert outcome.executions > 10
    assert len(outcome.gauges) == 3


@pytest.mark.timeout(240)
def test_the_report_has_a_table_and_a_plot(outcome: Outcome, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="it comes with the group bench")

    write(outcome, tmp_path)

    assert f"| executions acknowledged | {outcome.executions} |" in (tmp_path / "soak.md").read_text("utf-8")
    assert (tmp_path / "soak.png").stat().st_size > 1000


def test_one_run_in_five_fails_each_time_in_another_way() -> None:
    wrong = [flaky_cli.fault_of(run) for run in range(1, 26)]

    assert sum(map(bool, wrong)) == 5
    assert set(filter(None, wrong)) == set(flaky_cli.FAULTS)


def test_memory_that_grows_is_a_fault() -> None:
    flat, growing = (Gauge(name, 0) for name in ("flat", "growing"))
    for number in range(2 * LEAST_SAMPLES):
        flat.mib.append(60.0 + number % 3)
        growing.mib.append(60.0 + number / 10)
        for one in (flat, growing):
            one.files.append(20)

    assert flat.faults() == []
    assert growing.faults() == ["growing grew by 7.2 MiB, more than 4"]


def test_a_leak_of_files_is_a_fault() -> None:
    leaking = Gauge("leaking", 0)
    for number in range(2 * LEAST_SAMPLES):
        leaking.mib.append(60.0)
        leaking.files.append(20 + number // 4)

    assert len(leaking.faults()) == 1
    assert "more open than before" in leaking.faults()[0]


def line(event: str, at: float) -> dict[str, str]:
    stamp = datetime.fromtimestamp(at, UTC).isoformat()
    return {"level": "error", "message": event, "timestamp": stamp}


def test_an_error_outside_of_its_outage_is_a_fault() -> None:
    windows = Windows()
    with windows.opened(allowed.DATABASE):
        pass
    now = time.time()
    lines = [
        line(logs.DISPATCH_HELD_UP, now),
        line(logs.DISPATCH_HELD_UP, now + 2 * AFTERMATH_SECONDS),
        line(logs.COLLISION, now),
        line(logs.DELIVERY_ENDED, now + 2 * AFTERMATH_SECONDS),
    ]

    counts, faults = allowed.judge(lines, windows)

    assert counts[logs.DISPATCH_HELD_UP] == 2
    assert [one.partition(": ")[2] for one in faults] == [
        f"{logs.DISPATCH_HELD_UP} (None)",
        f"{logs.COLLISION} (None)",
    ]
