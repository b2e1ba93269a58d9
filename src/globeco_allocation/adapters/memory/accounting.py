"""Portfolio Accounting and its command line, in memory."""

import asyncio
import csv
import io
import json
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import partial
from itertools import combinations

from globeco_allocation.adapters.bare_name import check_bare
from globeco_allocation.adapters.memory.accounting_runs import CutOff, RunSpan
from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow, PrintedCounts, RunOrder
from globeco_allocation.domain.errors import CliNotStartedError, RunNotFollowedError, StoreUnavailableError
from globeco_allocation.ports.accounting import RunPermit


class Fault(Enum):
    """What a run does wrong, on request; each leaves behind what the recorded CLI leaves behind."""

    NONE = auto()
    NOT_STARTED = auto()
    """There is no such program."""
    NOT_FOLLOWED = auto()
    """Nobody can tell what became of a run that is asked for; nothing is started."""
    EXIT_1 = auto()
    """Fails before anything is read."""
    SERVER_DOWN = auto()
    """Exit code 0, every record refused a connection."""
    ANSWER_LOST = auto()
    """Exit code 0, every record booked and reported as cut off."""
    KILLED = auto()
    """Ended past its time limit before it booked anything."""


@dataclass(slots=True)
class _Run:
    order: RunOrder
    task: "asyncio.Task[AccountingRun] | None" = None
    result: AccountingRun | None = None
    error_rows: list[ErrorRow] = field(default_factory=list[ErrorRow])


class MemoryAccounting:
    """The twin of `globeco_allocation.ports.accounting.AccountingCli`.

    Runs are known by their names for ever, go on by themselves when whoever asked for them is cancelled, and
    keep to their lanes. Books are kept by source id, and what is refused stands in the error rows. Each
    record is a request of its own, as with ``--batch-size 1``.

    Args:
        contents: The transaction files by name; they stay as they are.

    Attributes:
        booked: The line of each booked record, by source id. May be changed at any time.
        stored: Source ids of records that are stored without being booked: these are refused as known too.
        accepted: How often each source id was posted without being refused.
        refusals: Why the CLI refuses a record, by source id.
        unbookable: Source ids that are stored, and whose balances then fail.
        lost_answers: Source ids whose answers are lost after they were booked.
        fault: What runs do wrong from now on.
        cut_off: How runs are killed from now on, if at all.
        unusable: Why nothing may be run from here, as `check` says it; empty where all is well.
        seconds_per_record: How long a record takes, on the event loop's clock.
        patience_seconds: How long an order waits for its lane, on the event loop's clock.
        keeps_lanes: False plants the fault that the locks of lanes are forgotten.
        gate: Clear it to let runs hang before their first record, set it to let them go on.
        runs: File name and attempt of every run that was started, in their order.
        spans: When each of them went on.
    """

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = contents
        self._runs: dict[str, _Run] = {}
        self._starting: list[RunOrder] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._moment = 0
        self.booked: dict[str, tuple[str, ...]] = {}
        self.stored: set[str] = set()
        self.accepted: Counter[str] = Counter()
        self.refusals: dict[str, str] = {}
        self.unbookable: set[str] = set()
        self.lost_answers: set[str] = set()
        self.fault = Fault.NONE
        self.cut_off: CutOff | None = None
        self.unusable = ""
        self.seconds_per_record = 0.0
        self.patience_seconds = 3600.0
        self.keeps_lanes = True
        self.gate = asyncio.Event()
        self.gate.set()
        self.runs: list[tuple[str, int]] = []
        self.spans: dict[str, RunSpan] = {}

    @property
    def overlaps(self) -> list[tuple[RunSpan, RunSpan]]:
        """Runs that touched a portfolio at the same time: there must never be any."""
        return [pair for pair in combinations(self.spans.values(), 2) if pair[0].overlaps(pair[1])]

    @property
    def booked_twice(self) -> set[str]:
        """Source ids that were posted more than once without being refused: there must never be any."""
        return {source_id for source_id, times in self.accepted.items() if times > 1}

    async def check(self) -> None:
        """Make sure that runs can be started from here; see the port."""
        if self.unusable:
            raise CliNotStartedError(self.unusable)

    async def run(self, order: RunOrder, permit: RunPermit) -> AccountingRun:
        """Find the order's run, or start it, and wait for its end; see the port."""
        check_bare(order.file_name)
        if self.fault is Fault.NOT_FOLLOWED:
            raise RunNotFollowedError(f"the accounting CLI's run {order.name} cannot be followed")
        try:
            async with asyncio.timeout(self.patience_seconds):
                run = await self._found_or_turn(order)
        except TimeoutError as error:
            raise RunNotFollowedError(
                f"the accounting CLI's run {order.name} has not had its turn"
            ) from error
        if run is None:
            with self._lane_held(order):
                self._require_start(order)
                await permit.begin()
                run = self._start(order)
            with suppress(StoreUnavailableError):
                await permit.identified(f"memory:{order.name}")
        if run.result is None and run.task is not None:
            return await asyncio.shield(run.task)
        return run.result or AccountingRun(None, None, "what was written down of its start is lost")

    async def error_rows(self, order: RunOrder) -> AsyncGenerator[ErrorRow]:
        """Read the ended run's error rows; see the port."""
        check_bare(order.file_name)
        run = self._runs.get(order.name)
        for row in run.error_rows if run else ():
            yield row

    async def _found_or_turn(self, order: RunOrder) -> _Run | None:
        """Find the order's run, or wait until it may be started."""
        while True:
            if order.name in self._runs:
                return self._runs[order.name]
            if order.uid:
                return _Run(order)
            if any(_is_later(run.order, order) for run in self._runs.values()):
                raise RunNotFollowedError(
                    f"the accounting CLI's run {order.name} is over: a later one was begun"
                )
            if not any(self._excludes(other, order) for other in self._under_way()):
                return None
            await self._change()

    def _under_way(self) -> list[RunOrder]:
        return self._starting + [run.order for run in self._runs.values() if run.result is None]

    def _excludes(self, one: RunOrder, other: RunOrder) -> bool:
        if one.name == other.name:
            return True
        return self.keeps_lanes and (one.lane_count != other.lane_count or one.lane == other.lane)

    @contextmanager
    def _lane_held(self, order: RunOrder) -> Generator[None]:
        self._starting.append(order)
        try:
            yield
        finally:
            self._starting.remove(order)
            self._tell_change()

    def _require_start(self, order: RunOrder) -> None:
        if order.file_name not in self._contents:
            raise CliNotStartedError(f"the file {order.file_name} is gone: nothing was sent")
        if self.fault is Fault.NOT_STARTED:
            raise CliNotStartedError("the accounting CLI was not started: there is no such program")

    def _start(self, order: RunOrder) -> _Run:
        records = list(csv.reader(io.StringIO(self._contents[order.file_name].decode(), newline="")))[1:]
        portfolios = frozenset(record[0] for record in records)
        self.runs.append((order.file_name, order.attempt))
        self.spans[order.name] = RunSpan(
            order.name, order.lane, order.lane_count, portfolios, begin=self._next_moment()
        )
        run = self._runs[order.name] = _Run(order)
        # A task of its own: it outlives whoever asked for it, as a process does.
        run.task = asyncio.get_running_loop().create_task(self._live(run, records), name=order.name)
        run.task.add_done_callback(partial(self._end, run))
        return run

    async def _live(self, run: _Run, records: list[list[str]]) -> AccountingRun:
        await self.gate.wait()
        return await self._load(run, records, self.fault, self.cut_off)

    def _end(self, run: _Run, task: "asyncio.Task[AccountingRun]") -> None:
        # A run that ends with its event loop was killed.
        run.result = AccountingRun(-9, None) if task.cancelled() else task.result()
        self.spans[run.order.name] = replace(self.spans[run.order.name], end=self._next_moment())
        self._tell_change()

    async def _load(
        self, run: _Run, records: list[list[str]], fault: Fault, cut_off: CutOff | None
    ) -> AccountingRun:
        if fault is Fault.EXIT_1:
            return AccountingRun(1, None, "processing failed: failed on request")
        if fault is Fault.KILLED:
            return AccountingRun(None, None, timed_out=True)
        errors: list[ErrorRow] = []
        for number, record in enumerate(records):
            if cut_off is not None and number == cut_off.after:
                if cut_off.one_in_flight and record[2] not in self.booked:
                    self.stored.add(record[2])
                return AccountingRun(-9, None)
            await asyncio.sleep(self.seconds_per_record)
            error = self._book(record, fault)
            if error is not None:
                errors.append(error)
        run.error_rows = errors
        return AccountingRun(0, PrintedCounts(len(records), len(records) - len(errors), len(errors)))

    def _book(self, record: list[str], fault: Fault) -> ErrorRow | None:
        source_id = record[2]
        post = 'Post "http://accounting.invalid/api/v1/transactions": '
        if source_id in self.refusals:
            return ErrorRow(source_id, self.refusals[source_id])
        if fault is Fault.SERVER_DOWN:
            return ErrorRow(source_id, post + "dial tcp 192.0.2.1:8087: connect: connection refused")
        if source_id in self.booked or source_id in self.stored:
            return ErrorRow(source_id, _answer(source_id, "sourceId", "source ID must be unique"))
        self.accepted[source_id] += 1
        if source_id in self.unbookable:
            self.stored.add(source_id)
            return ErrorRow(source_id, _answer(source_id, "processing", "failed to process transaction"))
        self.booked[source_id] = tuple(record)
        lost = fault is Fault.ANSWER_LOST or source_id in self.lost_answers
        return ErrorRow(source_id, post + "EOF") if lost else None

    def _next_moment(self) -> int:
        self._moment += 1
        return self._moment

    async def _change(self) -> None:
        """Wait until a run has ended, or has not been started after all."""
        change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(change)
        try:
            await change
        finally:
            with suppress(ValueError):
                self._waiting.remove(change)

    def _tell_change(self) -> None:
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            if not change.done():
                change.set_result(None)


def _is_later(one: RunOrder, than: RunOrder) -> bool:
    return one.file_name == than.file_name and one.attempt > than.attempt


def _answer(source_id: str, field_name: str, message: str) -> str:
    """Write what the server answers about the one failed record of a request."""
    failed = {
        "transaction": {"sourceId": source_id},
        "errors": [{"field": field_name, "message": message, "value": source_id}],
    }
    return "HTTP 207: " + json.dumps({"successful": None, "failed": [failed]}) + "\n"
