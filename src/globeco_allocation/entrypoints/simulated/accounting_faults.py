"""What the simulated Portfolio Accounting does wrong, on request (``SIMULATED_ACCOUNTING_FAULT``)."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Self


class Fault(StrEnum):
    """What a run does wrong; a number may follow after a colon where the text says so."""

    NONE = ""
    SERVER_DOWN = "server-down"
    """Nothing listens: every batch is refused a connection."""
    SERVER_500 = "server-500"
    """Every batch is answered 500; nothing is stored."""
    SERVER_HANGS = "server-hangs"
    """No batch is answered within ``--timeout``; nothing is stored."""
    DATABASE_DOWN = "accounting-database-down"
    """Every row fails, for the server cannot reach its database; nothing is stored."""
    EOF = "eof"
    """Every row is booked, and every batch reported as cut off. ``eof:K``: that of the Kth row sent only."""
    REFUSE_ALL = "refuse-all"
    """The server refuses every row for good; nothing is stored."""
    UNREADABLE_ANSWER = "unreadable-answer"
    """201 without JSON: rows are counted neither as success nor as error; nothing is stored."""
    SLOW = "slow"
    """``slow:MS``: each new row takes MS milliseconds, whatever SIMULATED_ACCOUNTING_MS_PER_ROW says."""
    HANG = "hang"
    """Sleeps for ever at the first row, before it is stored."""
    HANG_IGNORING_TERM = "hang-ignoring-term"
    """The same, and SIGTERM does not end it."""
    KILLED = "killed"
    """Stores the first new row as NEW and dies by SIGKILL: no output, no error file. ``killed:K``, also
    ``killed-at:K``: the Kth new row, after those before it were booked."""
    EXIT_1 = "exit-1"
    """Fails before anything is read. ``exit-1:N``: the first N runs do, counted beside the ledger."""
    GARBAGE = "garbage"
    """Prints nonsense, does nothing, and exits with 0."""
    DELETE_INPUT = "delete-input"
    """Deletes its input as soon as it has read it, ``--skip-sort`` or not; else it behaves."""


_NUMBER_ALLOWED = (Fault.EOF, Fault.KILLED, Fault.EXIT_1, Fault.SLOW)
_NUMBER_NEEDED = (Fault.SLOW,)
_OTHER_NAMES = {"killed-at": "killed"}


class WantedFault(NamedTuple):
    """A fault and its number, None where none was given."""

    kind: Fault = Fault.NONE
    number: int | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Read ``SIMULATED_ACCOUNTING_FAULT``: a fault, or ``@`` and a file that holds one.

        The file is read anew by each run, so that a test may change the fault of a service that runs
        already; absent or empty, it means none.

        Raises:
            ValueError: there is no such fault.
        """
        text = environment.get("SIMULATED_ACCOUNTING_FAULT", "")
        if text.startswith("@"):
            path = Path(text[1:])
            text = path.read_text(encoding="utf-8") if path.exists() else ""
        return cls.parse(text)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a fault as it is written: ``server-down``, ``killed:3``; underscores do for hyphens.

        Raises:
            ValueError: there is no such fault, or its number is missing, superfluous or below 1.

        >>> WantedFault.parse("killed_at:3")
        WantedFault(kind=<Fault.KILLED: 'killed'>, number=3)
        """
        name, colon, number = text.strip().replace("_", "-").partition(":")
        kind = Fault(_OTHER_NAMES.get(name, name))
        if not colon:
            if kind in _NUMBER_NEEDED:
                raise ValueError(f"a number is missing: {text!r}")
            return cls(kind)
        if kind not in _NUMBER_ALLOWED or not (number.isascii() and number.isdigit() and int(number)):
            raise ValueError(f"no such fault: {text!r}")
        return cls(kind, int(number))
