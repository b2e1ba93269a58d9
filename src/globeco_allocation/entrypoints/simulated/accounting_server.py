"""The accounting server behind the simulated CLI: what it answers to a batch, as the CLI tells of it.

Source of every rule here: contract "Portfolio Accounting CLI" ("One bad row spoils the report of its whole
batch") and its golden cases.
"""

import json
import os
import signal
import sqlite3
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Self

from globeco_allocation.entrypoints.simulated.accounting_files import Row, shortest
from globeco_allocation.entrypoints.simulated.accounting_ledger import (
    AmountOverflowError,
    DuplicateSourceIdError,
    Ledger,
)

LARGEST_BATCH = 1000

_DATABASE_AWAY = 'pq: database "pa" is not currently accepting connections'


class Fault(StrEnum):
    """What a run does wrong, on request."""

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
    """Every row is booked, and every batch reported as cut off."""
    REFUSE_ALL = "refuse-all"
    """The server refuses every row for good; nothing is stored."""
    UNREADABLE_ANSWER = "unreadable-answer"
    """201 without JSON: rows are counted neither as success nor as error; nothing is stored."""
    HANG = "hang"
    """Sleeps for ever at the first row, before it is stored."""
    KILLED = "killed"
    """Stores the first new row as NEW and dies by SIGKILL: no output, no error file."""
    EXIT_1 = "exit-1"
    """Fails before anything is read."""
    GARBAGE = "garbage"
    """Prints nonsense, does nothing, and exits with 0."""

    @classmethod
    def wanted(cls, environment: Mapping[str, str]) -> Self:
        """Read ``SIMULATED_ACCOUNTING_FAULT``: a name, or ``@`` and a file that holds one.

        The file is read anew by each run, so that a test may change the fault of a service that runs
        already; absent or empty, it means none.

        Raises:
            ValueError: there is no such fault.
        """
        text = environment.get("SIMULATED_ACCOUNTING_FAULT", "")
        if text.startswith("@"):
            path = Path(text[1:])
            text = path.read_text(encoding="utf-8").strip() if path.exists() else ""
        return cls(text)


class Answer(NamedTuple):
    """How a batch ended for the CLI: all rows accepted, or one error for all; neither when unreadable."""

    accepted: int = 0
    error: str = ""


class _RefusedError(Exception):
    """A row in ``failed``: the field, the message and the value that the server names."""

    def __init__(self, field: str, message: str, value: str) -> None:
        super().__init__(message)
        self.error = {"field": field, "message": message, "value": value}


class AccountingServer:
    """Books batches in a ledger, row by row, each at its own risk."""

    def __init__(
        self, ledger: Ledger, *, address: str, fault: Fault, seconds_per_row: float, timeout: float
    ) -> None:
        """Serve *ledger*.

        Args:
            ledger: where rows are stored.
            address: ``host:port``, as it appears in messages.
            fault: what goes wrong.
            seconds_per_row: how long a new row takes.
            timeout: seconds after which the client gives up a request.
        """
        self._ledger = ledger
        self._address = address
        self._fault = fault
        self._seconds_per_row = seconds_per_row
        self._timeout = timeout

    def post(self, rows: Sequence[Row]) -> Answer:
        """Take one batch, and tell of it as the CLI would."""
        match self._fault:
            case Fault.HANG:
                while True:
                    signal.pause()
            case Fault.SERVER_DOWN:
                return self._broken(f"dial tcp {self._address}: connect: connection refused")
            case Fault.SERVER_HANGS:
                time.sleep(self._timeout)
                return self._broken(
                    "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
                )
            case Fault.SERVER_500:
                body = _json(
                    {"error": {"code": "INTERNAL_ERROR", "message": "Failed to create transactions"}}
                )
                return Answer(error=f"HTTP 500: {body}")
            case Fault.UNREADABLE_ANSWER:
                return Answer()
            case _:
                return self._answer(rows)

    def _broken(self, reason: str) -> Answer:
        return Answer(error=f'Post "http://{self._address}/api/v1/transactions": {reason}')

    def _answer(self, rows: Sequence[Row]) -> Answer:
        if len(rows) > LARGEST_BATCH:
            now = datetime.now(UTC)
            message = f"Maximum {LARGEST_BATCH} transactions per batch"
            error = {
                "code": "BATCH_TOO_LARGE",
                "message": message,
                "timestamp": f"{now:%Y-%m-%dT%H:%M:%S.%f}000Z",
            }
            return Answer(error=f"HTTP 400: {_json({'error': error})}\n")
        successful: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for index, row in enumerate(rows):
            try:
                number = self._book(row, f"index_{index}")
            except _RefusedError as refused:
                failed.append({"transaction": _transaction(row), "errors": [refused.error]})
            else:
                successful.append(_booked(number, row))
        if self._fault is Fault.EOF:
            return self._broken("EOF")
        if not failed:
            return Answer(accepted=len(rows))
        summary = {
            "totalRequested": len(rows),
            "successful": len(successful),
            "failed": len(failed),
            "successRate": _rate(len(successful), len(rows)),
        }
        body = _json({"successful": successful or None, "failed": failed, "summary": summary})
        return Answer(error=f"HTTP 207: {body}\n")

    def _book(self, row: Row, index: str) -> int:
        """Store one row and return its id; *index* is its place in the batch, as the server names it.

        Raises:
            _RefusedError: it was not booked.
        """
        _check(row, index)
        if self._fault is Fault.REFUSE_ALL:
            raise _RefusedError("transaction", "transaction validation failed: [refused on request]", index)
        in_create = "repository error in create for transaction: "
        if self._fault is Fault.DATABASE_DOWN:
            raise _RefusedError("repository", in_create + _DATABASE_AWAY, index)
        try:
            if self._ledger.knows(row.source_id):
                raise _RefusedError("sourceId", "source ID must be unique", row.source_id)
            if self._fault is Fault.KILLED:
                self._ledger.store_unfinished(row)
                os.kill(os.getpid(), signal.SIGKILL)
            if self._seconds_per_row:
                time.sleep(self._seconds_per_row)  # outside the transaction: runs side by side stay so
            number, overflowing = self._ledger.book(row)
        except AmountOverflowError as error:
            raise _RefusedError("repository", in_create + "pq: numeric field overflow", index) from error
        except DuplicateSourceIdError as error:  # another run was faster
            raise _RefusedError("repository", "duplicate key violation", index) from error
        except sqlite3.OperationalError as error:
            raise _RefusedError("repository", f"{in_create}{error}", index) from error
        if overflowing:
            reason = "repository error in update for balance: pq: numeric field overflow"
            message = f"Failed to persist balance changes: failed to update {overflowing} balance: {reason}"
            raise _RefusedError("processing", message, index)
        return number


def _check(row: Row, index: str) -> None:
    """Refuse what the server refuses before it looks into its database."""
    for field, value in (("portfolioId", row.portfolio_id), ("securityId", row.security_id)):
        if value and not (value.isascii() and value.isalnum()):
            raise _RefusedError(field, "must be 24 alphanumeric characters", value)
    price = Decimal(row.price)
    if price <= 0:
        raise _RefusedError("price", "must be positive", shortest(price))
    if not Decimal(row.quantity):
        raise _RefusedError("transaction", "transaction validation failed: [quantity cannot be zero]", index)


def _transaction(row: Row) -> dict[str, Any]:
    return {
        "portfolioId": row.portfolio_id,
        "securityId": row.security_id or None,
        "sourceId": row.source_id,
        **_particulars(row),
    }


def _booked(number: int, row: Row) -> dict[str, Any]:
    return {
        "id": number,
        "portfolioId": row.portfolio_id,
        "securityId": row.security_id or None,
        "sourceId": row.source_id,
        "status": "PROC",
        **_particulars(row),
        "reprocessingAttempts": 0,
        "version": 2,
    }


def _particulars(row: Row) -> dict[str, str]:
    return {
        "transactionType": row.transaction_type,
        "quantity": shortest(Decimal(row.quantity)),
        "price": shortest(Decimal(row.price)),
        "transactionDate": row.transaction_date,
    }


def _rate(successful: int, requested: int) -> float | int:
    rate = successful / requested * 100
    return int(rate) if rate.is_integer() else rate


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
