"""Portfolio Accounting and its command line, in memory."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from enum import Enum, auto

from globeco_allocation.adapters.bare_name import check_bare
from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow, PrintedCounts
from globeco_allocation.domain.errors import CliNotStartedError


class Fault(Enum):
    """What a run does wrong, on request; each leaves behind what the recorded CLI leaves behind."""

    NONE = auto()
    NOT_STARTED = auto()
    """There is no such program."""
    EXIT_1 = auto()
    """Fails before anything is read."""
    SERVER_DOWN = auto()
    """Exit code 0, every record refused a connection."""
    ANSWER_LOST = auto()
    """Exit code 0, every record booked and reported as cut off."""
    KILLED = auto()
    """Ended past its time limit before it booked anything."""


class MemoryAccounting:
    """The twin of `globeco_allocation.ports.accounting.AccountingCli`.

    Runs follow one another, books are kept by source id, and what is refused stands in the error rows. Each
    record is a request of its own, as with ``--batch-size 1``.

    Args:
        contents: The transaction files by name; they stay as they are.

    Attributes:
        booked: The line of each booked record, by source id. May be changed at any time.
        refusals: Why the CLI refuses a record, by source id.
        fault: What runs do wrong from now on.
        gate: Clear it to let runs hang before their end, set it to let them go on.
        runs: File name and attempt of every run that was started, in their order.
    """

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = contents
        self._turn = asyncio.Lock()
        self._error_rows: dict[str, list[ErrorRow]] = {}
        self.booked: dict[str, tuple[str, ...]] = {}
        self.refusals: dict[str, str] = {}
        self.fault = Fault.NONE
        self.gate = asyncio.Event()
        self.gate.set()
        self.runs: list[tuple[str, int]] = []

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator["MemoryTurn"]:
        """Wait for the turn and hold it; see the port."""
        async with self._turn:
            yield MemoryTurn(self._run)

    async def error_rows(self, file_name: str) -> AsyncIterator[ErrorRow]:
        """Read the last run's error rows; see the port."""
        check_bare(file_name)
        for row in self._error_rows.get(file_name, ()):
            yield row

    async def _run(self, file_name: str, attempt: int) -> AccountingRun:
        check_bare(file_name)
        self._error_rows.pop(file_name, None)
        if file_name not in self._contents:
            raise CliNotStartedError(f"the file {file_name} is gone: nothing was sent")
        if self.fault is Fault.NOT_STARTED:
            raise CliNotStartedError("the accounting CLI was not started: there is no such program")
        self.runs.append((file_name, attempt))
        await self.gate.wait()
        return self._load(file_name)

    def _load(self, file_name: str) -> AccountingRun:
        if self.fault is Fault.EXIT_1:
            return AccountingRun(1, None, "processing failed: failed on request")
        if self.fault is Fault.KILLED:
            return AccountingRun(None, None)
        records = list(csv.reader(io.StringIO(self._contents[file_name].decode(), newline="")))[1:]
        errors = [error for record in records if (error := self._book(record)) is not None]
        if errors:
            self._error_rows[file_name] = errors
        counts = PrintedCounts(len(records), len(records) - len(errors), len(errors))
        return AccountingRun(0, counts)

    def _book(self, record: list[str]) -> ErrorRow | None:
        source_id = record[2]
        post = 'Post "http://accounting.invalid/api/v1/transactions": '
        if source_id in self.refusals:
            return ErrorRow(source_id, self.refusals[source_id])
        if self.fault is Fault.SERVER_DOWN:
            return ErrorRow(source_id, post + "dial tcp 192.0.2.1:8087: connect: connection refused")
        if source_id in self.booked:
            return ErrorRow(source_id, _answer(source_id, "sourceId", "source ID must be unique"))
        self.booked[source_id] = tuple(record)
        return ErrorRow(source_id, post + "EOF") if self.fault is Fault.ANSWER_LOST else None


class MemoryTurn:
    """The turn of `MemoryAccounting`, see `globeco_allocation.ports.accounting.AccountingTurn`."""

    def __init__(self, run: Callable[[str, int], Awaitable[AccountingRun]]) -> None:
        self._run = run

    async def run(self, file_name: str, attempt: int) -> AccountingRun:
        """Load a file; see the port."""
        return await self._run(file_name, attempt)


def _answer(source_id: str, field: str, message: str) -> str:
    """Write what the server answers about the one failed record of a request."""
    failed = {
        "transaction": {"sourceId": source_id},
        "errors": [{"field": field, "message": message, "value": source_id}],
    }
    return "HTTP 207: " + json.dumps({"successful": None, "failed": [failed]}) + "\n"
