"""The tables of the simulated Portfolio Accounting: one sqlite file, shared by all runs of the CLI."""

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

BUSY_SECONDS = 30.0
"""How long a run waits for another one's transaction before the database counts as away."""

_RETRY_SECONDS = 0.01
_RUNS = (
    """
CREATE TABLE runs (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT NOT NULL,  -- as in transactions.run
    file    TEXT NOT NULL,
    started TEXT NOT NULL,  -- UTC
    ended   TEXT            -- UTC; absent while it runs, and for ever when it was killed
)""",
    """
CREATE TABLE touched (
    run       INTEGER NOT NULL,
    portfolio TEXT NOT NULL,
    PRIMARY KEY (run, portfolio)
) WITHOUT ROWID""",
    """
CREATE TABLE overlaps (
    portfolio TEXT NOT NULL,
    earlier   INTEGER NOT NULL,
    later     INTEGER NOT NULL,
    PRIMARY KEY (portfolio, earlier, later)
) WITHOUT ROWID""",
)
_TRANSACTIONS = (
    """
CREATE TABLE transactions (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id TEXT NOT NULL UNIQUE,
    portfolio TEXT NOT NULL,
    security  TEXT NOT NULL,  -- empty for DEP and WD
    type      TEXT NOT NULL,
    quantity  TEXT NOT NULL,  -- 8 decimals
    price     TEXT NOT NULL,  -- 8 decimals
    date      TEXT NOT NULL,  -- YYYYMMDD
    status    TEXT NOT NULL CHECK (status IN ('NEW', 'PROC', 'ERROR')),
    run       TEXT NOT NULL,  -- which run of the CLI stored it
    written   INTEGER NOT NULL DEFAULT 0  -- how many of its balances it wrote back, the holding first
)""",
    """
CREATE TABLE balances (
    portfolio TEXT NOT NULL,
    security  TEXT NOT NULL,     -- empty for cash
    amount    INTEGER NOT NULL,  -- in units of the eighth decimal
    version   INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (portfolio, security)
) WITHOUT ROWID""",
)
_VERSION = 1
# Ledgers of version 0 are those in which a row was booked in one step.
_FROM_VERSION_0 = (
    "ALTER TABLE transactions ADD COLUMN written INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE balances ADD COLUMN version INTEGER NOT NULL DEFAULT 1",
    "UPDATE transactions SET written = 2 WHERE status = 'PROC'",
)


def connect(path: Path) -> sqlite3.Connection:
    """Open the ledger file *path*, made when absent, its tables too; the caller closes it.

    Every statement is a transaction of its own, unless `transaction` says otherwise.

    Raises:
        sqlite3.OperationalError: the file cannot be opened, or stays locked for ``BUSY_SECONDS``.
    """
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        # A killed process loses nothing even so; only a crash of the machine would.
        db.execute("PRAGMA synchronous = OFF")
        if _version(db) != _VERSION:
            _log_ahead(db)
            with transaction(db):
                _make_tables(db)
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Generator[None]:
    """Make the statements within one transaction, which is undone when it is left by an exception."""
    # The write lock at once: two readers that both want to write later would block each other.
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


@contextmanager
def snapshot(db: sqlite3.Connection) -> Generator[None]:
    """Make everything read within belong to one instant, whoever writes meanwhile."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")


def _log_ahead(db: sqlite3.Connection) -> None:
    """Let readers and a writer work side by side; needs the file for itself for a moment."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:  # sqlite does not always wait here by itself
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _make_tables(db: sqlite3.Connection) -> None:
    if _version(db) == _VERSION:  # somebody was faster
        return
    older = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'transactions'").fetchone()
    for statement in (*(_FROM_VERSION_0 if older else _TRANSACTIONS), *_RUNS):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {_VERSION}")


def _version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return version
