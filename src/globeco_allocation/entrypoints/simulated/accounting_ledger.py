"""What the simulated Portfolio Accounting has stored: one sqlite file, shared by all runs of the CLI.

Source of every rule here: contract "Portfolio Accounting CLI" ("Sending again", "Values").
"""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from globeco_allocation.entrypoints.simulated.accounting_files import Row

BUSY_SECONDS = 30.0
"""How long a run waits for another one's transaction before the database counts as away."""

PLACES = 8
_LIMIT = 10 ** (10 + PLACES)  # decimal(18,8), counted in units of its last place
_UNIT = Decimal(1).scaleb(-PLACES)
_CASH = ""
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

_SCHEMA = """
CREATE TABLE IF NOT EXISTS transactions (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id TEXT NOT NULL UNIQUE,
    portfolio TEXT NOT NULL,
    security  TEXT NOT NULL,  -- empty for DEP and WD
    type      TEXT NOT NULL,
    quantity  TEXT NOT NULL,  -- 8 decimals
    price     TEXT NOT NULL,  -- 8 decimals
    date      TEXT NOT NULL,  -- YYYYMMDD
    status    TEXT NOT NULL CHECK (status IN ('NEW', 'PROC', 'ERROR')),
    run       TEXT NOT NULL   -- which run of the CLI stored it: rows of two runs mixed by id ran at once
);
CREATE TABLE IF NOT EXISTS balances (
    portfolio TEXT NOT NULL,
    security  TEXT NOT NULL,     -- empty for cash
    amount    INTEGER NOT NULL,  -- in units of the eighth decimal
    PRIMARY KEY (portfolio, security)
) WITHOUT ROWID;
"""


class Status(StrEnum):
    """What became of a stored transaction."""

    NEW = "NEW"
    """Stored, then the client was killed: it stays like this for ever."""
    PROC = "PROC"
    """Booked."""
    ERROR = "ERROR"
    """Stored, but its balances were not changed."""


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


class Ledger:
    """The ledger file, made when absent; every change is one transaction of its own."""

    def __init__(self, path: Path, *, run: str = "") -> None:
        """Open *path*; what is stored through this object carries the name *run*.

        Raises:
            sqlite3.OperationalError: the file cannot be opened, or stays locked for ``BUSY_SECONDS``.
        """
        self._run = run
        self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        # A killed process loses nothing even so; only a crash of the machine would.
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript("BEGIN IMMEDIATE;" + _SCHEMA + "COMMIT;")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def knows(self, source_id: str) -> bool:
        """Say whether a transaction of this source id is stored, in whatever status."""
        found = self._db.execute("SELECT 1 FROM transactions WHERE source_id = ?", (source_id,)).fetchone()
        return found is not None

    def book(self, row: Row) -> tuple[int, str]:
        """Store *row* and change its balances; when one would overflow, store it as ERROR and change none.

        Returns:
            The transaction's id, and ``""`` or the balance that would overflow: ``security`` or ``cash``.

        Raises:
            AmountOverflowError, DuplicateSourceIdError: nothing was stored.
            sqlite3.OperationalError: the database is away or locked; nothing was stored.
        """
        quantity, price = _stored(row.quantity), _stored(row.price)
        holding, cash = _EFFECTS[row.transaction_type]
        # A deposit's amount is its quantity; with a price of 1 that is the product too.
        value = _units(_EXACT.multiply(quantity, price))
        with self._transaction():
            changes = {_CASH: cash * value}
            if row.security_id:
                changes = {row.security_id: holding * _units(quantity), **changes}
            balances = {security: self._amount(row.portfolio_id, security) for security in changes}
            after = {security: balances[security] + change for security, change in changes.items()}
            too_much = next((security for security in after if abs(after[security]) >= _LIMIT), None)
            number = self._insert(row, quantity, price, Status.PROC if too_much is None else Status.ERROR)
            if too_much is not None:
                return number, "security" if too_much else "cash"
            for security, amount in after.items():
                self._db.execute(
                    "INSERT INTO balances VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET amount = ?3",
                    (row.portfolio_id, security, amount),
                )
            return number, ""

    def store_unfinished(self, row: Row) -> None:
        """Store *row* as NEW, its balances unchanged, as a client leaves it that is killed right then."""
        with self._transaction():
            self._insert(row, _stored(row.quantity), _stored(row.price), Status.NEW)

    def entries(self) -> list[Entry]:
        """Return everything stored, in the order in which it was."""
        return [Entry(*found) for found in self._db.execute("SELECT * FROM transactions ORDER BY id")]

    def balance(self, portfolio: str, security: str = _CASH) -> Decimal:
        """Return what *portfolio* holds of *security*, or its cash."""
        return Decimal(self._amount(portfolio, security)).scaleb(-PLACES, _EXACT)

    @contextmanager
    def _transaction(self) -> Generator[None]:
        # The write lock at once: two readers that both want to write later would block each other.
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _insert(self, row: Row, quantity: Decimal, price: Decimal, status: Status) -> int:
        values = (
            row.source_id,
            row.portfolio_id,
            row.security_id,
            row.transaction_type,
            f"{quantity:f}",
            f"{price:f}",
            row.transaction_date,
            status.value,
            self._run,
        )
        marks = ", ".join("?" * len(values))
        try:
            number = self._db.execute(
                f"INSERT INTO transactions VALUES (NULL, {marks})",  # noqa: S608 - question marks only
                values,
            ).lastrowid
        except sqlite3.IntegrityError as error:
            raise DuplicateSourceIdError(row.source_id) from error
        return number or 0

    def _amount(self, portfolio: str, security: str) -> int:
        found = self._db.execute(
            "SELECT amount FROM balances WHERE portfolio = ? AND security = ?", (portfolio, security)
        ).fetchone()
        return int(found[0]) if found else 0


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
