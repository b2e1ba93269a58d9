"""Which runs of the simulated accounting CLI touched which portfolio, and which of them at the same time.

Accounting itself keeps no such list: it is how tests and operators see that the rule "never two runs over
one portfolio at once" (contract "Portfolio Accounting CLI", "Never two at once") was kept or broken.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple


class Run(NamedTuple):
    """A run of the CLI; *ended* is empty while it runs, and for ever when it was killed."""

    number: int
    name: str
    file: str
    started: str
    ended: str
    portfolios: tuple[str, ...]


class Overlap(NamedTuple):
    """The run *later* began to send rows of *portfolio* while the process of the run *earlier* lived."""

    portfolio: str
    earlier: int
    later: int


class RunRegister:
    """Where one process enters its run.

    A run that has begun holds a lock that ends with its process, however that dies. A later one looks at the
    locks in the transaction in which it begins itself; so no overlap is missed, and no clock is trusted.
    """

    def __init__(self, db: sqlite3.Connection, locks: Path) -> None:
        """Enter runs in *db*; *locks* is a file beside it, made when absent."""
        self._db = db
        self._locks = locks
        self._number = 0
        self._held = -1

    def begin(self, name: str, file: str, portfolios: Iterable[str]) -> None:
        """Enter this process's run, in a transaction that the caller has opened for writing.

        Raises:
            OSError: the locks cannot be had.
        """
        self._held = os.open(self._locks, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
        entered = self._db.execute(
            "INSERT INTO runs (name, file, started) VALUES (?, ?, ?)", (name, file, _now())
        )
        self._number = entered.lastrowid or 0
        fcntl.lockf(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._number)
        self._db.executemany(
            "INSERT OR IGNORE INTO touched VALUES (?, ?)",
            ((self._number, portfolio) for portfolio in portfolios),
        )
        shared = self._db.execute(
            "SELECT theirs.run, portfolio FROM touched AS mine JOIN touched AS theirs USING (portfolio)"
            " JOIN runs ON runs.number = theirs.run AND runs.ended IS NULL"
            " WHERE mine.run = ?1 AND theirs.run <> ?1 ORDER BY theirs.run",
            (self._number,),
        ).fetchall()
        for run, rows in groupby(shared, key=itemgetter(0)):
            if self._lives(run):
                overlaps = [(portfolio, run, self._number) for _, portfolio in rows]
                self._db.executemany("INSERT INTO overlaps VALUES (?, ?, ?)", overlaps)

    def end(self) -> None:
        """Note the end of the run, if one was begun."""
        if self._held >= 0:
            self._db.execute("UPDATE runs SET ended = ? WHERE number = ?", (_now(), self._number))
            os.close(self._held)
            self._held = -1

    def _lives(self, run: int) -> bool:
        try:
            fcntl.lockf(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, run)
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes
            return True
        fcntl.lockf(self._held, fcntl.LOCK_UN, 1, run)
        return False


def runs(db: sqlite3.Connection) -> Iterator[Run]:
    """Yield every run, in the order in which they began."""
    touched: dict[int, list[str]] = {}
    for run, portfolio in db.execute("SELECT run, portfolio FROM touched ORDER BY run, portfolio"):
        touched.setdefault(run, []).append(portfolio)
    for number, name, file, started, ended in db.execute("SELECT * FROM runs ORDER BY number"):
        yield Run(number, name, file, started, ended or "", tuple(touched.get(number, ())))


def overlaps(db: sqlite3.Connection) -> list[Overlap]:
    """Return every pair of runs that were over one portfolio at the same time."""
    found = db.execute("SELECT portfolio, earlier, later FROM overlaps ORDER BY later, earlier, portfolio")
    return [Overlap(*row) for row in found]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
