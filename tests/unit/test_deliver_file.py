"""Delivering a file: the run is judged record by record, and each step is recorded."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.deliveries import MemoryDeliveries
from globeco_allocation.domain import (
    AccountingRun,
    CliNotStartedError,
    Delivery,
    DeliveryStatus,
    ErrorRow,
    Outcome,
    PrintedCounts,
    RecordVerdict,
    Reject,
    StoreUnavailableError,
    WrittenFile,
)
from globeco_allocation.domain.use_cases import DeliverFile

NAME = "transactions_20260302_160000_7.csv"
PATIENCE = 5.0
"""Seconds after which a test that waits has failed."""


class StandingClock:
    """A clock that shows noon for ever."""

    def now(self) -> datetime:
        return datetime(2026, 3, 2, 12, tzinfo=UTC)


class ScriptedCli:
    """Ends every run as told: with *run*, or by raising it."""

    def __init__(self, run: AccountingRun | Exception, *rows: ErrorRow) -> None:
        self._run = run
        self._rows = rows
        self.runs: list[tuple[str, int]] = []

    @asynccontextmanager
    async def turn(self) -> "AsyncGenerator[ScriptedCli]":
        yield self

    async def run(self, file_name: str, attempt: int) -> AccountingRun:
        self.runs.append((file_name, attempt))
        if isinstance(self._run, Exception):
            raise self._run
        return self._run

    async def error_rows(self, file_name: str) -> AsyncIterator[ErrorRow]:
        assert file_name == NAME
        for row in self._rows:
            yield row


class HangingCli:
    """Runs for ever."""

    def __init__(self) -> None:
        self.running = asyncio.Event()

    @asynccontextmanager
    async def turn(self) -> "AsyncGenerator[HangingCli]":
        yield self

    async def run(self, file_name: str, attempt: int) -> AccountingRun:
        self.running.set()
        await asyncio.Event().wait()
        raise AssertionError(file_name, attempt)

    async def error_rows(self, file_name: str) -> AsyncIterator[ErrorRow]:
        raise AssertionError(file_name)
        yield


class BusyCli(ScriptedCli):
    """Has no turn to give until told."""

    def __init__(self, run: AccountingRun | Exception) -> None:
        super().__init__(run)
        self.free = asyncio.Event()
        self.asked = asyncio.Event()

    @asynccontextmanager
    async def turn(self) -> "AsyncGenerator[BusyCli]":
        self.asked.set()
        await self.free.wait()
        yield self


class UnusableCli(ScriptedCli):
    """Never has a turn to give."""

    @asynccontextmanager
    async def turn(self) -> "AsyncGenerator[UnusableCli]":
        raise CliNotStartedError("the accounting CLI was not started: the output directory is missing")
        yield self


class RemovedFiles:
    """Remembers which files were removed; writes none."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    async def check(self) -> None:
        pass

    async def write(self, name: str, header: bytes, executions: object, row: object) -> WrittenFile:
        raise AssertionError(name, header, executions, row)

    async def remove(self, name: str) -> None:
        self.removed.append(name)


class CountingDeliveries(MemoryDeliveries):
    """The twin, and how many rejects were handed over at a time."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.handed_over: list[int] = []

    async def rejected(self, delivery_id: int, attempt: int, rejects: Sequence[Reject]) -> None:
        self.handed_over.append(len(rejects))
        await super().rejected(delivery_id, attempt, rejects)


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase(StandingClock())


@pytest.fixture
def deliveries(database: MemoryDatabase) -> CountingDeliveries:
    return CountingDeliveries(database)


@pytest.fixture
def files() -> RemovedFiles:
    return RemovedFiles()


async def written(deliveries: MemoryDeliveries, records: int) -> Delivery:
    delivery = await deliveries.claimed(7, NAME)
    await deliveries.written(delivery.id, WrittenFile(records, 100 * records, "0" * 64))
    return await present(deliveries)


async def present(deliveries: MemoryDeliveries) -> Delivery:
    (delivery,) = await deliveries.of_batch(7)
    return delivery


def ended(total: int, failed: int = 0) -> AccountingRun:
    return AccountingRun(0, PrintedCounts(total, total - failed, failed))


async def test_a_run_in_which_every_record_succeeds_is_delivered(
    deliveries: CountingDeliveries, files: RemovedFiles
) -> None:
    cli = ScriptedCli(ended(3))
    delivery = await written(deliveries, 3)

    outcome = await DeliverFile(deliveries, cli, files)(delivery)

    assert outcome == Outcome(DeliveryStatus.DELIVERED, 3, 0, 0, 0)
    assert cli.runs == [(NAME, 1)]
    assert (await present(deliveries)).outcome == outcome
    assert (await present(deliveries)).status is DeliveryStatus.DELIVERED


async def test_a_run_in_which_some_records_are_refused_is_partial_and_lists_them(
    deliveries: CountingDeliveries, files: RemovedFiles
) -> None:
    delivery = await written(deliveries, 3)
    cli = ScriptedCli(ended(3, failed=1), ErrorRow("AC2", "invalid portfolio id"))

    outcome = await DeliverFile(deliveries, cli, files)(delivery)

    assert (outcome.status, outcome.accepted_count, outcome.rejected_count) == (DeliveryStatus.PARTIAL, 2, 1)
    assert await deliveries.rejects(delivery.id, limit=10) == (
        Reject("AC2", RecordVerdict.REFUSED, "invalid portfolio id"),
    )


async def test_a_cli_that_exits_0_with_everything_refused_is_no_success(
    deliveries: CountingDeliveries, files: RemovedFiles
) -> None:
    delivery = await written(deliveries, 2)
    rows = [ErrorRow(f"AC{key}", "invalid portfolio id") for key in (1, 2)]

    outcome = await DeliverFile(deliveries, ScriptedCli(ended(2, failed=2), *rows), files)(delivery)

    assert (outcome.status, outcome.exit_code) == (DeliveryStatus.FAILED, 0)
    assert (await present(deliveries)).status is DeliveryStatus.FAILED


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(AccountingRun(0, None), id="no-counts"),
        pytest.param(AccountingRun(0, PrintedCounts(2, 2, 0)), id="a-record-vanished"),
        pytest.param(AccountingRun(0, PrintedCounts(3, 2, 0)), id="an-answer-was-not-readable"),
        pytest.param(AccountingRun(0, PrintedCounts(3, 2, 1)), id="no-error-file"),
        pytest.param(AccountingRun(1, None), id="exit-1"),
        pytest.param(AccountingRun(-9, None), id="killed-by-another"),
        pytest.param(AccountingRun(None, None), id="killed-past-its-limit"),
    ],
)
async def test_what_cannot_account_for_every_record_is_never_delivered(
    deliveries: CountingDeliveries, files: RemovedFiles, run: AccountingRun
) -> None:
    delivery = await written(deliveries, 3)

    outcome = await DeliverFile(deliveries, ScriptedCli(run), files)(delivery)

    assert outcome.status is DeliveryStatus.FAILED
    assert outcome.unknown_count >= 1
    assert outcome.accepted_count + outcome.rejected_count + outcome.unknown_count == 3
    assert outcome.error


async def test_a_cli_that_cannot_be_started_fails_the_attempt_with_its_reason(
    deliveries: CountingDeliveries, files: RemovedFiles
) -> None:
    delivery = await written(deliveries, 3)
    cli = ScriptedCli(CliNotStartedError("the accounting CLI was not found"))

    outcome = await DeliverFile(deliveries, cli, files)(delivery)

    assert outcome == Outcome(DeliveryStatus.FAILED, 0, 0, 3, None, "the accounting CLI was not found")
    assert (await present(deliveries)).outcome == outcome


async def test_a_failed_delivery_may_be_tried_again_under_the_next_number(
    deliveries: CountingDeliveries, files: RemovedFiles
) -> None:
    delivery = await written(deliveries, 1)
    await DeliverFile(deliveries, ScriptedCli(CliNotStartedError("not found")), files)(delivery)
    cli = ScriptedCli(ended(1))

    outcome = await DeliverFile(deliveries, cli, files)(await present(deliveries))

    assert outcome.status is DeliveryStatus.DELIVERED
    assert cli.runs == [(NAME, 2)]


async def test_many_rejects_are_handed_over_in_parts(
    deliveries: CountingDeliveries, files: RemovedFiles
) -> None:
    delivery = await written(deliveries, 1201)
    rows = [ErrorRow(f"AC{key}", "refused") for key in range(1, 1202)]

    await DeliverFile(deliveries, ScriptedCli(ended(1201, failed=1201), *rows), files)(delivery)

    assert deliveries.handed_over == [500, 500, 201]
    assert len(await deliveries.rejects(delivery.id, limit=2000)) == 1201


async def test_files_stay_unless_cleaning_up_is_asked_for(
    deliveries: CountingDeliveries, files: RemovedFiles
) -> None:
    await DeliverFile(deliveries, ScriptedCli(ended(1)), files)(await written(deliveries, 1))

    assert files.removed == []


async def test_a_delivered_file_is_removed_when_that_is_asked_for(
    deliveries: CountingDeliveries, files: RemovedFiles
) -> None:
    delivery = await written(deliveries, 1)

    await DeliverFile(deliveries, ScriptedCli(ended(1)), files, remove_delivered=True)(delivery)

    assert files.removed == [NAME]


async def test_a_file_that_was_not_delivered_whole_is_never_removed(
    deliveries: CountingDeliveries, files: RemovedFiles
) -> None:
    delivery = await written(deliveries, 2)
    cli = ScriptedCli(ended(2, failed=1), ErrorRow("AC2", "refused"))

    outcome = await DeliverFile(deliveries, cli, files, remove_delivered=True)(delivery)

    assert outcome.status is DeliveryStatus.PARTIAL
    assert files.removed == []


async def test_a_cancelled_delivery_stays_delivering(
    deliveries: CountingDeliveries, files: RemovedFiles
) -> None:
    cli = HangingCli()
    delivery = await written(deliveries, 1)
    under_way = asyncio.create_task(DeliverFile(deliveries, cli, files)(delivery))
    async with asyncio.timeout(PATIENCE):
        await cli.running.wait()

        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way

    assert (await present(deliveries)).status is DeliveryStatus.DELIVERING
    assert (await present(deliveries)).outcome is None


async def test_nothing_is_started_that_could_not_be_recorded(
    deliveries: CountingDeliveries, files: RemovedFiles, database: MemoryDatabase
) -> None:
    delivery = await written(deliveries, 1)
    cli = ScriptedCli(ended(1))
    database.available = False

    with pytest.raises(StoreUnavailableError):
        await DeliverFile(deliveries, cli, files)(delivery)

    assert cli.runs == []


async def test_a_delivery_without_a_file_is_refused(
    deliveries: CountingDeliveries, files: RemovedFiles
) -> None:
    delivery = await deliveries.claimed(7, NAME)
    cli = ScriptedCli(ended(1))

    with pytest.raises(ValueError, match="write it first"):
        await DeliverFile(deliveries, cli, files)(delivery)

    assert cli.runs == []
    assert (await present(deliveries)).status is DeliveryStatus.CLAIMED


async def test_a_delivery_is_begun_only_when_its_turn_has_come(
    deliveries: CountingDeliveries, files: RemovedFiles
) -> None:
    cli = BusyCli(ended(1))
    delivery = await written(deliveries, 1)
    waiting = asyncio.create_task(DeliverFile(deliveries, cli, files)(delivery))
    async with asyncio.timeout(PATIENCE):
        await cli.asked.wait()
        before = await present(deliveries)
        cli.free.set()
        await waiting

    assert (before.status, before.attempts) == (DeliveryStatus.WRITTEN, 0)
    assert (await present(deliveries)).status is DeliveryStatus.DELIVERED


async def test_a_delivery_that_gets_no_turn_stays_written_with_the_reason(
    deliveries: CountingDeliveries, files: RemovedFiles
) -> None:
    cli = UnusableCli(ended(1))
    delivery = await written(deliveries, 1)

    with pytest.raises(CliNotStartedError):
        await DeliverFile(deliveries, cli, files)(delivery)

    assert (await present(deliveries)).status is DeliveryStatus.WRITTEN
    assert "the output directory is missing" in (await present(deliveries)).error
    assert cli.runs == []
