"""The simulated accounting CLI, one run in five of which goes wrong; run as a file, by its path.

It fails while the file that SOAK_FLAKY names exists, in a way that leaves nothing in accounting's books: what
goes wrong halfway is for a person to judge, and tests/chaos plays it.
"""

import os
import sys
from pathlib import Path

from globeco_allocation.entrypoints.simulated.accounting_cli import main

EVERY = 5
"""One run in so many goes wrong."""

FAULTS = ("exit-1", "server-down", "server-500", "accounting-database-down", "garbage")


def fault_of(run: int) -> str:
    """Return what the run of a number, from 1, does wrong; empty for nothing."""
    return FAULTS[run // EVERY % len(FAULTS)] if run % EVERY == 0 else ""


def count_run(counter: Path) -> int:
    """Count this run, and return its number: appending gives runs at the same time different ones."""
    with counter.open("ab") as file:
        file.write(b".")
        file.flush()
        return file.tell()


if __name__ == "__main__":
    flaky = Path(os.environ["SOAK_FLAKY"])
    wrong = fault_of(count_run(flaky.with_suffix(".runs"))) if flaky.exists() else ""
    if wrong:
        with flaky.with_suffix(".faults").open("a") as faults:
            faults.write(f"{wrong}\n")
    raise SystemExit(main(sys.argv[1:], {**os.environ, "SIMULATED_ACCOUNTING_FAULT": wrong}))
