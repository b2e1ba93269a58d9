"""The accounting server behind the simulated CLI: what it answers to a batch, as the CLI tells of it.

Source of every rule here: contract "Portfolio Accounting CLI" ("One bad row spoils the report of its whole
batch") and its golden cases.
"""

import json
import os
import signal
import sqlite3
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from globeco_allocation.entrypoints.simulated.accounting_faults import Fault, WantedFault
from globeco_allocation.entrypoints.simulated.accounting_files import Row, shortest
from globeco_allocation.entrypoints.simulated.accounting_ledger import (
    AmountOverflowError,
    DuplicateSourceIdError,
    Entry,
    Ledger,
)

LARGEST_BATCH = 1000

_DATABASE_AWAY = 'pq: database "pa" is not currently accepting connections'


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
        self, ledger: Ledger, *, address: str, fault: WantedFault, seconds_per_row: float, timeout: float
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
        self._sent = 0
        self._stored = 0

    def post(self, rows: Sequence[Row]) -> Answer:
        """Take one batch, and tell of it as the CLI would."""
        self._sent += len(rows)
        match self._fault.kind:
            case Fault.HANG | Fault.HANG_IGNORING_TERM:
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
        if self._loses_answer(len(rows)):
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
        if self._fault.kind is Fault.REFUSE_ALL:
            raise _RefusedError("transaction", "transaction validation failed: [refused on request]", index)
        entry = self._store(row, index)
        self._stored += 1
        if self._fault.kind is Fault.KILLED and self._stored == (self._fault.number or 1):
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            reason = self._ledger.settle(entry, self._seconds_per_row)
        except sqlite3.OperationalError as error:
            reason = f"failed to update balance: {error}"
        if reason:
            raise _RefusedError("processing", f"Failed to persist balance changes: {reason}", index)
        return entry.id

    def _store(self, row: Row, index: str) -> Entry:
        """Store one row as NEW.

        Raises:
            _RefusedError: it was not stored.
        """
        in_create = "repository error in create for transaction: "
        if self._fault.kind is Fault.DATABASE_DOWN:
            raise _RefusedError("repository", in_create + _DATABASE_AWAY, index)
        try:
            if self._ledger.knows(row.source_id):
                raise _RefusedError("sourceId", "source ID must be unique", row.source_id)
            return self._ledger.store(row)
        except AmountOverflowError as error:
            raise _RefusedError("repository", in_create + "pq: numeric field overflow", index) from error
        except DuplicateSourceIdError as error:  # another run was faster
            raise _RefusedError("repository", "duplicate key violation", index) from error
        except sqlite3.OperationalError as error:
            raise _RefusedError("repository", f"{in_create}{error}", index) from error

    def _loses_answer(self, rows: int) -> bool:
        """Say whether the answer about the last *rows* that were sent never arrives."""
        kind, number = self._fault
        return kind is Fault.EOF and (number is None or self._sent - rows < number <= self._sent)


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
