"""A place in which the simulated accounting CLI is run as a process, and rows for it."""

import csv
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from globeco_allocation.entrypoints.simulated.accounting_books import Books, read_books
from globeco_allocation.entrypoints.simulated.accounting_files import Row
from globeco_allocation.entrypoints.simulated.accounting_ledger import Ledger

PORTFOLIO, SECURITY = "683b6b9620f302c879a5fef4", "68336002fe95851f0a2aeda9"
OTHER_PORTFOLIO = "683b6b9620f302c879a5fef5"
HEADER = "portfolio_id,security_id,source_id,transaction_type,quantity,price,transaction_date\n"
PATIENCE = 30.0


class Run(NamedTuple):
    code: int
    stdout: str
    stderr: str

    def count(self, name: str) -> int:
        (number,) = re.findall(rf"^{name}: (\d+)$", self.stdout, re.MULTILINE)
        return int(number)


class Workplace:
    """A directory with one ledger, in which the CLI is run as a process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.input = path / "transactions.csv"
        self.errors = path / "out" / "transactions.csv.errors.csv"
        self.ledger = path / "ledger.sqlite3"

    def start(
        self, *arguments: str, fault: str = "", more: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SIMULATED_")},
            "GLOBECO_PA_SERVER_HOST": "127.0.0.1",
            "SIMULATED_ACCOUNTING_LEDGER": str(self.ledger),
            "SIMULATED_ACCOUNTING_FAULT": fault,
            "LC_ALL": "C",
            **(more or {}),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "globeco_allocation.entrypoints.simulated.accounting_cli", *arguments],
            cwd=self.path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str, fault: str = "", more: Mapping[str, str] | None = None) -> Run:
        with self.start(*arguments, fault=fault, more=more) as process:
            try:
                stdout, stderr = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
        return Run(process.returncode, stdout.decode(), stderr.decode())

    def process(self, *more: str, fault: str = "", environment: Mapping[str, str] | None = None) -> Run:
        line = ("process", "--file", "transactions.csv", "--output-dir", "out", *more)
        return self.run(*line, fault=fault, more=environment)

    def write(self, *rows: str) -> None:
        self.input.write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")

    def book(self, *rows: Row) -> None:
        with Ledger(self.ledger) as ledger:
            for row in rows:
                ledger.settle(ledger.store(row))

    def stored(self) -> dict[str, tuple[str, str]]:
        """Return status and quantity by source id."""
        with Ledger(self.ledger) as ledger:
            return {entry.source_id: (entry.status, entry.quantity) for entry in ledger.entries()}

    def statuses(self) -> dict[str, str]:
        return {source_id: status for source_id, (status, _) in self.stored().items()}

    def books(self) -> Books:
        return read_books(self.ledger)

    def messages(self) -> list[tuple[str, str]]:
        with self.errors.open(encoding="utf-8", newline="") as file:
            return [(row["source_id"], row["error_message"]) for row in csv.DictReader(file)]


def row(
    source_id: str, *, quantity: str = "100.00000000", price: str = "50.12500000", portfolio: str = PORTFOLIO
) -> str:
    return ",".join(good(source_id, quantity=quantity, price=price, portfolio=portfolio))


def good(
    source_id: str, *, quantity: str = "100.00000000", price: str = "50.12500000", portfolio: str = PORTFOLIO
) -> Row:
    return Row(portfolio, SECURITY, source_id, "BUY", quantity, price, "20260302")
