"""Two runs at once over one portfolio corrupt simulated accounting's balances, as they do the real one's."""

import json
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from subprocess import Popen

import pytest
from tests.simulated.workplace import HEADER, OTHER_PORTFOLIO, PATIENCE, PORTFOLIO, Run, Workplace, good, row

from globeco_allocation.entrypoints.simulated.accounting_ledger import Ledger, Status
from globeco_allocation.entrypoints.simulated.accounting_runs import Overlap

ROWS = 80
SLOW = {"SIMULATED_ACCOUNTING_MS_PER_ROW": "20"}
"""A run of ``ROWS`` rows takes 1.6 s: many times what the next one needs to start."""


def write(place: Workplace, name: str, rows: Iterable[str]) -> None:
    (place.path / name).write_text(HEADER + "".join(f"{text}\n" for text in rows), encoding="utf-8")


@contextmanager
def running(place: Workplace, name: str, fault: str = "") -> Generator[Popen[bytes]]:
    arguments = ("process", "--file", name, "--output-dir", "out", "--batch-size", "1", "--skip-sort")
    with place.start(*arguments, fault=fault, more=SLOW) as process:
        try:
            yield process
        finally:
            process.kill()


def end(process: Popen[bytes]) -> Run:
    stdout, stderr = process.communicate(timeout=PATIENCE)
    return Run(process.returncode, stdout.decode(), stderr.decode())


def wait_until_begun(place: Workplace, runs: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(place.books().runs) < runs:
        assert time.monotonic() < deadline, "the run did not begin"
        time.sleep(0.01)


def failures(place: Workplace, name: str) -> set[str]:
    """Return which fields the error file of *name* complains of."""
    place.errors = place.path / "out" / f"{name}.errors.csv"
    answers = [json.loads(message.removeprefix("HTTP 207: ")) for _, message in place.messages()]
    return {answer["failed"][0]["errors"][0]["field"] for answer in answers}


def run_side_by_side(place: Workplace, *names: str) -> list[Run]:
    """Start the second run once the first has begun, and wait for both."""
    one, other = names
    with running(place, one) as first:
        wait_until_begun(place, 1)
        with running(place, other) as second:
            return [end(first), end(second)]


def test_two_runs_at_once_over_one_portfolio_lose_changes_and_leave_rows_in_error(place: Workplace) -> None:
    write(place, "one.csv", (row(f"AC{number}") for number in range(ROWS)))
    write(place, "other.csv", (row(f"AC{number}") for number in range(ROWS, 2 * ROWS)))

    ran = run_side_by_side(place, "one.csv", "other.csv")

    books = place.books()
    statuses = list(books.statuses.values())
    assert len(statuses) == 2 * ROWS
    assert sum(each.count("Success Records") for each in ran) == statuses.count(Status.PROC)
    assert sum(each.count("Error Records") for each in ran) == statuses.count(Status.ERROR) > 0
    assert [abs(balance.amount) < abs(balance.written) for balance in books.balances] == [True, True]
    assert books.overlaps == [Overlap(PORTFOLIO, 1, 2)]
    assert failures(place, "one.csv") | failures(place, "other.csv") == {"processing"}


def test_runs_at_once_over_different_portfolios_are_right(place: Workplace) -> None:
    write(place, "one.csv", (row(f"AC{number}") for number in range(ROWS)))
    write(
        place,
        "other.csv",
        (row(f"AC{number}", portfolio=OTHER_PORTFOLIO) for number in range(ROWS, 2 * ROWS)),
    )

    ran = run_side_by_side(place, "one.csv", "other.csv")

    books = place.books()
    mixed = [entry.run for entry in books.entries]
    assert [each.count("Success Records") for each in ran] == [ROWS, ROWS]
    assert books.faults() == []
    assert mixed != sorted(mixed, key=mixed.index), "they did not run side by side"
    assert [run.portfolios for run in books.runs] == [(PORTFOLIO,), (OTHER_PORTFOLIO,)]


def test_runs_that_follow_one_another_are_right(place: Workplace) -> None:
    for first in range(3):
        place.write(*(row(f"AC{number}") for number in range(first * 10, first * 10 + 20)))
        place.process("--batch-size", "1")

    books = place.books()
    assert books.faults() == []
    assert (len(books.entries), len(books.runs)) == (40, 3)


def test_the_same_file_twice_at_once_stores_each_row_once(place: Workplace) -> None:
    write(place, "one.csv", (row(f"AC{number}") for number in range(ROWS)))

    ran = run_side_by_side(place, "one.csv", "one.csv")

    statuses = place.books().statuses
    assert len(statuses) == ROWS
    assert sum(each.count("Success Records") for each in ran) == list(statuses.values()).count(Status.PROC)


def test_a_run_over_the_portfolio_of_one_that_hangs_is_an_overlap_although_nothing_is_corrupted(
    place: Workplace,
) -> None:
    write(place, "one.csv", [row("AC1")])
    write(place, "other.csv", [row("AC2"), row("AC3", portfolio=OTHER_PORTFOLIO)])

    with running(place, "one.csv", fault="hang"):
        wait_until_begun(place, 1)
        with running(place, "other.csv") as second:
            end(second)

    books = place.books()
    assert (books.wrong, books.overlaps) == ([], [Overlap(PORTFOLIO, 1, 2)])
    assert [bool(run.ended) for run in books.runs] == [False, True]


def test_a_run_after_one_that_was_killed_is_no_overlap(place: Workplace) -> None:
    place.write(row("AC1"), row("AC2"))
    killed = place.process("--batch-size", "1", fault="killed")
    place.process("--batch-size", "1")

    books = place.books()
    assert killed.stdout == ""
    assert (books.overlaps, books.wrong, books.half_booked) == ([], [], [])
    assert books.statuses == {"AC1": "NEW", "AC2": "PROC"}


@pytest.mark.parametrize("loser", ["holding", "cash"])
def test_a_balance_that_changes_in_the_last_moment_ends_the_row_in_error(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, loser: str
) -> None:
    place.book(good("AC1"))
    moments = iter(range(1, 4))
    with Ledger(place.ledger) as slow, Ledger(place.ledger) as quick:

        def interfere(_: float) -> None:
            # settle passes its time in three moments: over the amounts, then before each writing.
            if next(moments) == {"holding": 2, "cash": 3}[loser]:
                monkeypatch.undo()
                quick.settle(quick.store(good("AC3")))

        entry = slow.store(good("AC2"))
        monkeypatch.setattr(
            "globeco_allocation.entrypoints.simulated.accounting_ledger.time.sleep", interfere
        )
        reason = slow.settle(entry)

    name = {"holding": "security", "cash": "cash"}[loser]
    in_update = "repository error in update for balance: optimistic locking failure"
    books = place.books()
    assert reason == f"failed to update {name} balance: {in_update}"
    assert books.statuses == {"AC1": "PROC", "AC2": "ERROR", "AC3": "PROC"}
    assert [entry.source_id for entry in books.half_booked] == (["AC2"] if loser == "cash" else [])
