"""The books of the simulated Portfolio Accounting, checked: what is stored, what is right, who was there.

``python -m globeco_allocation.entrypoints.simulated.accounting_books LEDGER`` prints them for an operator;
the tests call `read_books`. Source of the rules: contract "Portfolio Accounting CLI" ("Never two at once").
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from globeco_allocation.entrypoints.simulated.accounting_ledger import (
    Entry,
    Ledger,
    Status,
    decimal_amount,
)
from globeco_allocation.entrypoints.simulated.accounting_runs import Overlap, Run


class Balance(NamedTuple):
    """One balance, beside what it should be.

    Attributes:
        portfolio: Whose it is.
        security: What is held; empty for the portfolio's cash.
        amount: What accounting shows.
        booked: The sum over the rows that are PROC.
        written: The sum over what rows wrote back, finished or not.
    """

    portfolio: str
    security: str
    amount: Decimal
    booked: Decimal
    written: Decimal

    @property
    def is_right(self) -> bool:
        """Whether it is the sum over its PROC rows."""
        return self.amount == self.booked

    @property
    def lost_a_change(self) -> bool:
        """Whether a change that was written is missing: two runs overwrote each other's."""
        return self.amount != self.written


@dataclass(frozen=True, slots=True)
class Books:
    """Everything in a ledger at one instant.

    Attributes:
        entries: Every row with its status, in the order in which they were stored.
        balances: Every balance, by portfolio, the cash before the holdings.
        runs: Every run that sent rows, in the order in which they began.
        overlaps: Every pair of runs that were over one portfolio at the same time.
    """

    entries: Sequence[Entry]
    balances: Sequence[Balance]
    runs: Sequence[Run]
    overlaps: Sequence[Overlap]

    @property
    def statuses(self) -> dict[str, Status]:
        """Return the status of each row by its source id."""
        return {entry.source_id: Status(entry.status) for entry in self.entries}

    @property
    def wrong(self) -> list[Balance]:
        """Return the balances that are not the sum over their PROC rows, for whatever reason.

        One reason is harmless for all others: a row that ended between its holding and its cash, by an
        overflow or because its run was killed there. See `half_booked` and `lost`.
        """
        return [balance for balance in self.balances if not balance.is_right]

    @property
    def lost(self) -> list[Balance]:
        """Return the balances that miss a change which a row had written: only runs at once do that."""
        return [balance for balance in self.balances if balance.lost_a_change]

    @property
    def half_booked(self) -> list[Entry]:
        """Return the rows that are not PROC and changed a balance nevertheless."""
        return [entry for entry in self.entries if entry.status != Status.PROC and entry.written]

    def faults(self) -> list[str]:
        """Say in words what is wrong; nothing when the books are in order.

        Every row that is not PROC is named, that of a run at work too.
        """
        names = {run.number: f"{run.file} (run {run.name})" for run in self.runs}
        said = [
            f"{entry.source_id} of portfolio {entry.portfolio} is {entry.status}, {_written(entry)}"
            for entry in self.entries
            if entry.status != Status.PROC
        ]
        said += [
            f"portfolio {balance.portfolio}: {balance.security or 'cash'} is {balance.amount:f},"
            f" its booked rows make {balance.booked:f}"
            for balance in self.wrong
        ]
        said += [
            f"portfolio {overlap.portfolio}:"
            f" {names[overlap.later]} began while {names[overlap.earlier]} lived"
            for overlap in self.overlaps
        ]
        return said


def read_books(path: Path) -> Books:
    """Read and check the ledger *path*, also while runs write to it.

    Raises:
        sqlite3.OperationalError: it cannot be opened, or stays locked.
    """
    with Ledger(path) as ledger, ledger.snapshot():
        entries, amounts = ledger.entries(), ledger.balances()
        runs, overlaps = ledger.runs(), ledger.overlaps()
    booked = _sums(entries, lambda entry: 2 if entry.status == Status.PROC else 0)
    written = _sums(entries, lambda entry: entry.written)
    balances = [
        Balance(*key, *(decimal_amount(sums.get(key, 0)) for sums in (amounts, booked, written)))
        for key in sorted({*amounts, *booked, *written})
    ]
    return Books(entries, balances, runs, overlaps)


def _sums(entries: Iterable[Entry], steps: Callable[[Entry], int]) -> Counter[tuple[str, str]]:
    """Add up the first *steps* changes of each entry, by portfolio and security."""
    sums: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        for security, change in list(entry.changes().items())[: steps(entry)]:
            sums[entry.portfolio, security] += change
    return sums


def _written(entry: Entry) -> str:
    changes = list(entry.changes())
    if not entry.written:
        return "its balances unchanged"
    return "its balances changed" if entry.written >= len(changes) else "its holding changed, its cash not"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the books of one ledger; return 1 when something is wrong with them."""
    parser = argparse.ArgumentParser(
        prog="accounting_books", description="Checks the books of the simulated Portfolio Accounting."
    )
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--rows", action="store_true", help="every row, too")
    given = parser.parse_args(arguments)
    if not given.ledger.is_file():
        parser.error(f"there is no ledger {given.ledger}")
    books = read_books(given.ledger)
    if given.rows:
        for entry in books.entries:
            print(entry.source_id, entry.status, entry.portfolio, entry.security or "cash", entry.quantity)
    faults = books.faults()
    for line in (*_overview(books), *faults):
        print(line)
    return 1 if faults else 0


def _overview(books: Books) -> list[str]:
    counts = Counter(books.statuses.values())
    statuses = ", ".join(f"{counts[status]} {status}" for status in Status)
    runs = [
        f"run {run.name}: {run.file}, {len(run.portfolios)} portfolios, {run.started} to"
        f" {run.ended or '(killed, or still running)'}"
        for run in books.runs
    ]
    return [
        *runs,
        f"{len(books.entries)} rows: {statuses}",
        f"{len(books.balances)} balances: {len(books.wrong)} wrong; {len(books.overlaps)} overlaps of runs",
    ]


if __name__ == "__main__":
    raise SystemExit(main())
