"""What the simulated Portfolio Accounting has stored: one sqlite file, shared by all runs of the CLI.

A row is booked as the real server does it, in steps of which nothing protects the whole: it is stored as NEW,
its balances are read, changed and written back one after the other, and it becomes PROC. Two runs over one
portfolio therefore lose each other's changes, and some of their rows end in ERROR. Runs that follow one
another are always right, and so are runs over different portfolios.

Source of every rule here: contract "Portfolio Accounting CLI" ("Sending again", "Never two at once",
"Values").
"""

import sqlite3
import time
import zlib
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from globeco_allocation.entrypoints.simulated import accounting_runs
from globeco_allocation.entrypoints.simulated.accounting_files import Row
from globeco_allocation.entrypoints.simulated.accounting_tables import connect, snapshot, transaction

CASH = ""
"""What stands in the place of a security where an amount is cash."""

PLACES = 8
_LIMIT = 10 ** (10 + PLACES)  # decimal(18,8), counted in units of its last place
_UNIT = Decimal(1).scaleb(-PLACES)
# What one unit of each type does to the holding, and what its price does to the cash.
_EFFECTS = {
    "BUY": (1, -1),
    "SELL": (-1, 1),
    "SHORT": (-1, 1),
    "COVER": (1, -1),
    "DEP": (0, 1),
    "WD": (0, -1),
    "IN": (1, 0),
    "OUT": (-1, 0),
}
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)


class Status(StrEnum):
    """What became of a stored transaction."""

    NEW = "NEW"
    """Stored, and its run was killed before it was booked: it stays like this for ever."""
    PROC = "PROC"
    """Booked."""
    ERROR = "ERROR"
    """Stored, but its balances were not changed, or only the holding was."""


class AmountOverflowError(Exception):
    """Quantity or price has more than 10 digits before the point: nothing was stored."""


class DuplicateSourceIdError(Exception):
    """A transaction of this source id is stored, in whatever status: nothing more was stored."""


class Entry(NamedTuple):
    """A stored transaction, its amounts rounded to 8 decimals."""

    id: int
    source_id: str
    portfolio: str
    security: str
    type: str
    quantity: str
    price: str
    date: str
    status: str
    run: str
    written: int

    def changes(self) -> dict[str, int]:
        """Return what booking it adds to its balances, in units of the eighth decimal, by security.

        The holding comes before the cash (``CASH``), the order in which they are written back.
        """
        holding, cash = _EFFECTS[self.type]
        quantity = Decimal(self.quantity)
        # A deposit's amount is its quantity; with a price of 1 that is the product too.
        value = {CASH: cash * _units(_EXACT.multiply(quantity, Decimal(self.price)))}
        return {self.security: holding * _units(quantity), **value} if self.security else value


class Ledger:
    """The ledger file, made when absent; every step of a booking is one transaction of its own."""

    def __init__(self, path: Path, *, run: str = "") -> None:
        """Open *path*; what is stored through this object carries the name *run*.

        Raises:
            sqlite3.OperationalError: the file cannot be opened, or stays locked for ``BUSY_SECONDS``.
        """
        self._run = run
        self._db = connect(path)
        self._register = accounting_runs.RunRegister(self._db, path.with_name(f"{path.name}.runs"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._register.end()
        finally:
            self._db.close()

    def begin(self, file: str, portfolios: Iterable[str]) -> None:
        """Enter this process's run over *portfolios* in the list of runs; it ends when the ledger is closed.

        Raises:
            sqlite3.OperationalError: the ledger stays locked for ``BUSY_SECONDS``.
            OSError: the file of locks beside the ledger cannot be had.
        """
        with transaction(self._db):
            self._register.begin(self._run, file, portfolios)

    def knows(self, source_id: str) -> bool:
        """Say whether a transaction of this source id is stored, in whatever status."""
        found = self._db.execute("SELECT 1 FROM transactions WHERE source_id = ?", (source_id,)).fetchone()
        return found is not None

    def store(self, row: Row) -> Entry:
        """Store *row* as NEW, its balances unchanged.

        Raises:
            AmountOverflowError, DuplicateSourceIdError: nothing was stored.
            sqlite3.OperationalError: the database is away or locked; nothing was stored.
        """
        values = (
            row.source_id,
            row.portfolio_id,
            row.security_id,
            row.transaction_type,
            f"{_stored(row.quantity):f}",
            f"{_stored(row.price):f}",
            row.transaction_date,
            Status.NEW.value,
            self._run,
            0,
        )
        marks = ", ".join("?" * len(values))
        try:
            number = self._db.execute(
                f"INSERT INTO transactions VALUES (NULL, {marks})",  # noqa: S608 - question marks only
                values,
            ).lastrowid
        except sqlite3.IntegrityError as error:
            raise DuplicateSourceIdError(row.source_id) from error
        return Entry(number or 0, *values)

    def settle(self, entry: Entry, seconds: float = 0.0) -> str:
        """Change the balances of a NEW *entry* and make it PROC, or ERROR where one cannot be changed.

        The amounts are read at the beginning and written back after most of the time has passed. What
        another run wrote meanwhile is overwritten, or noticed when it was written in the last moment.

        Args:
            entry: What ``store`` returned.
            seconds: How long it takes.

        Returns:
            Why it ended as ERROR, as the server says it; ``""`` when it is booked.

        Raises:
            sqlite3.OperationalError: the database is away or locked; the entry stays as it is then.
        """
        changes = entry.changes()
        before = {security: self._balance(entry.portfolio, security)[0] for security in changes}
        # How the time is shared out differs from row to row, but not from run to run of a test.
        work = seconds * (0.3 + 0.5 * zlib.crc32(entry.source_id.encode("utf-8", "surrogateescape")) / 2**32)
        time.sleep(work)
        for security, change in changes.items():
            # The version is read only now: it guards the writing, and not the amount read above.
            _, version = self._balance(entry.portfolio, security)
            time.sleep((seconds - work) / len(changes))
            fault = self._write(entry, security, before[security] + change, version)
            if fault:
                self._set_status(entry, Status.ERROR)
                name, step = "security" if security else "cash", "update" if version else "create"
                return f"failed to {step} {name} balance: repository error in {step} for balance: {fault}"
        self._set_status(entry, Status.PROC)
        return ""

    def entries(self) -> list[Entry]:
        """Return everything stored, in the order in which it was."""
        return [Entry(*found) for found in self._db.execute("SELECT * FROM transactions ORDER BY id")]

    def balances(self) -> Mapping[tuple[str, str], int]:
        """Return every amount in units of the eighth decimal, by portfolio and security or ``CASH``."""
        found = self._db.execute(
            "SELECT portfolio, security, amount FROM balances ORDER BY portfolio, security"
        )
        return {(portfolio, security): amount for portfolio, security, amount in found}

    def balance(self, portfolio: str, security: str = CASH) -> Decimal:
        """Return what *portfolio* holds of *security*, or its cash."""
        return decimal_amount(self._balance(portfolio, security)[0])

    def runs(self) -> list[accounting_runs.Run]:
        """Return every run that sent rows, in the order in which they began."""
        return list(accounting_runs.runs(self._db))

    def overlaps(self) -> list[accounting_runs.Overlap]:
        """Return every pair of runs that were over one portfolio at the same time."""
        return accounting_runs.overlaps(self._db)

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Make everything read within it belong to one instant, whoever writes meanwhile."""
        with snapshot(self._db):
            yield

    def _balance(self, portfolio: str, security: str) -> tuple[int, int]:
        """Return amount and version, 0 and 0 when there is no such balance yet."""
        found = self._db.execute(
            "SELECT amount, version FROM balances WHERE portfolio = ? AND security = ?", (portfolio, security)
        ).fetchone()
        return found or (0, 0)

    def _write(self, entry: Entry, security: str, amount: int, version: int) -> str:
        """Write one balance back if its version is still *version*; return why not, or ``""``."""
        if abs(amount) >= _LIMIT:
            return "pq: numeric field overflow"
        with transaction(self._db):
            if version:
                written = self._db.execute(
                    "UPDATE balances SET amount = ?, version = version + 1"
                    " WHERE portfolio = ? AND security = ? AND version = ?",
                    (amount, entry.portfolio, security, version),
                )
            else:
                written = self._db.execute(
                    "INSERT OR IGNORE INTO balances VALUES (?, ?, ?, 1)", (entry.portfolio, security, amount)
                )
            if not written.rowcount:
                return "optimistic locking failure" if version else "duplicate key violation"
            self._db.execute("UPDATE transactions SET written = written + 1 WHERE id = ?", (entry.id,))
            return ""

    def _set_status(self, entry: Entry, status: Status) -> None:
        self._db.execute("UPDATE transactions SET status = ? WHERE id = ?", (status.value, entry.id))


def decimal_amount(units: int) -> Decimal:
    """Return an amount counted in units of the eighth decimal as a number."""
    return Decimal(units).scaleb(-PLACES, _EXACT)


def _stored(text: str) -> Decimal:
    value = Decimal(text)
    if value and value.adjusted() >= 10 + 1:
        raise AmountOverflowError(text)
    rounded = value.quantize(_UNIT, context=_EXACT)
    if abs(_units(rounded)) >= _LIMIT:
        raise AmountOverflowError(text)
    return rounded


def _units(value: Decimal) -> int:
    return int(value.quantize(_UNIT, context=_EXACT).scaleb(PLACES, _EXACT))
