"""Portfolio Accounting with everything that can go wrong in it, on top of its twin."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from tests.simulation.faults import CALM

from globeco_allocation.adapters.memory.accounting import Fault, MemoryAccounting
from globeco_allocation.adapters.memory.accounting_runs import CutOff
from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow, PrintedCounts, RunOrder
from globeco_allocation.domain.errors import CliNotStartedError

_POST = 'Post "http://accounting.invalid/api/v1/transactions": '
_REFUSED = _POST + "dial tcp 192.0.2.1:8087: connect: connection refused"
_CUT = (_POST + "EOF", "HTTP 502: bad gateway")


class Books(MemoryAccounting):
    """The accounting twin, whose runs go wrong by chance.

    Attributes:
        odds: How likely what goes wrong.
        foreign: Source ids under which rows of somebody else stand.
        once_foreign: Those under which such rows stood at any time.
        doomed: Runs, by name, that are killed at their next record.
        cut_offs: How many runs of each file were cut off.
        blurred: Files of which a run was cut off that had other faults before, or left neither counts nor an
            error file: what it stored, nobody can know.
        unreported: Source ids of rows that are stored without being booked, while the report that said so was
            lost: that they are known then counts as booked (design, "Verdicts").
    """

    def __init__(
        self, contents: dict[str, bytes], random: Random, starting: Callable[[RunOrder], None]
    ) -> None:
        super().__init__(contents)
        self._files: dict[str, bytes] = contents
        self._random = random
        self._starting_now = starting
        self._is_down = False
        self._vanished: dict[str, set[str]] = {}
        self.odds = CALM
        self.foreign: set[str] = set()
        self.once_foreign: set[str] = set()
        self.doomed: set[str] = set()
        self.unreported: set[str] = set()
        self.cut_offs: Counter[str] = Counter()
        self.blurred: set[str] = set()
        self.seconds_per_record = 0.1
        self.patience_seconds = 30.0

    @property
    def under_way(self) -> list[str]:
        """The names of the runs that go on."""
        return [name for name, span in self.spans.items() if span.end is None]

    def calm_down(self) -> None:
        """Let nothing go wrong any more."""
        self.odds, self._is_down = CALM, False
        self.doomed.clear()
        self.seconds_per_record = 0.05

    def collide(self, source_id: str) -> None:
        """Put a row of somebody else under a source id."""
        self.foreign.add(source_id)
        self.once_foreign.add(source_id)
        self.stored.add(source_id)

    def mend(self) -> None:
        """Take the foreign rows out of the books."""
        self.stored -= self.foreign
        self.foreign.clear()

    def _require_start(self, order: RunOrder) -> None:
        super()._require_start(order)
        if self._happens(self.odds.refused_start):
            raise CliNotStartedError("the accounting CLI was not started: too many processes")

    def _start(self, order: RunOrder) -> Any:  # noqa: ANN401 - the twin's own
        if order.file_name not in self._files:  # since it was looked for
            raise CliNotStartedError(f"the file {order.file_name} is gone")
        self._starting_now(order)
        return super()._start(order)

    async def _load(
        self,
        run: Any,  # noqa: ANN401 - the twin's own
        records: list[list[str]],
        fault: Fault,
        cut_off: CutOff | None,  # noqa: ARG002 - drawn here
    ) -> AccountingRun:
        if self._happens(self.odds.exit_1):
            return AccountingRun(self._random.choice((1, None)), None, "processing failed")
        end, ends_at = self._early_end(len(records))
        file_name = run.order.file_name
        errors: list[ErrorRow] = []
        total = 0
        for number, record in enumerate(records):
            await asyncio.sleep(self.seconds_per_record)
            if number == ends_at or run.order.name in self.doomed:
                self._leave_in_flight(record[2])
                self._lose_report(errors)
                self.cut_offs[file_name] += 1
                if errors or total < number:
                    self.blurred.add(file_name)
                return end
            if self._happens(self.odds.vanishes):
                continue
            total += 1
            error = self._book(record, fault)
            if error is not None:
                errors.append(error)
        if self._happens(self.odds.eats_input):
            self._files.pop(file_name, None)
        return self._report(run, errors, total, len(records))

    def _early_end(self, count: int) -> tuple[AccountingRun, int]:
        """Draw how the run ends if it is cut off, and at which record; at none: behind the last one."""
        end = AccountingRun(self._random.choice((-9, None)), None)
        if self._happens(self.odds.timed_out):
            return replace(end, timed_out=True), self._random.randrange(count)
        return end, self._random.randrange(count) if self._happens(self.odds.killed) else count

    def _report(
        self,
        run: Any,  # noqa: ANN401 - the twin's own
        errors: list[ErrorRow],
        total: int,
        count: int,
    ) -> AccountingRun:
        lost_counts, lost_errors = self._happens(self.odds.no_counts), self._happens(self.odds.no_error_file)
        if lost_errors:
            self._lose_report(errors)
        else:
            run.error_rows = errors
        if lost_counts:
            if lost_errors or total < count:
                self.blurred.add(run.order.file_name)
            return AccountingRun(0, None)
        counts = PrintedCounts(total, total - len(errors), len(errors))
        return AccountingRun(self._random.choice((0, None)), counts)

    def _book(self, record: list[str], fault: Fault) -> ErrorRow | None:
        odds, source_id = self.odds, record[2]
        if self._happens(odds.down):
            self._is_down = not self._is_down
        if self._is_down or self._happens(odds.unreachable):
            return ErrorRow(source_id, _REFUSED)
        if self._happens(odds.not_stored) and source_id not in self.booked and source_id not in self.stored:
            return ErrorRow(source_id, _database_away(source_id))
        if self._happens(odds.cut_answer):
            if self._happens(0.5) and (error := super()._book(record, fault)) is not None:
                self._lose_report([error])
            return ErrorRow(source_id, self._random.choice(_CUT))
        return super()._book(record, fault)

    def _leave_in_flight(self, source_id: str) -> None:
        if source_id not in self.booked and source_id not in self.refusals and self._happens(0.5):
            self.stored.add(source_id)

    def _lose_report(self, errors: list[ErrorRow]) -> None:
        self.unreported.update(one.source_id for one in errors if '"processing"' in one.message)

    def _happens(self, odds: float) -> bool:
        return odds > 0 and self._random.random() < odds


def _database_away(source_id: str) -> str:
    failed = {
        "transaction": {"sourceId": source_id},
        "errors": [{"field": "repository", "message": "database is away", "value": source_id}],
    }
    body: Mapping[str, Any] = {"successful": None, "failed": [failed]}
    return "HTTP 207: " + json.dumps(body) + "\n"
