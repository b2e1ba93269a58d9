"""What the port ``AccountingCli`` promises, of the twin in memory and of a real process."""

import asyncio
import os
import sys
from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from globeco_allocation.adapters.memory.accounting import Fault, MemoryAccounting
from globeco_allocation.adapters.subprocess_cli import CommandTemplate, SubprocessCli
from globeco_allocation.domain import (
    AccountingRun,
    CliNotStartedError,
    DeliveryStatus,
    ErrorRow,
    Judge,
    Outcome,
    PrintedCounts,
)
from globeco_allocation.domain.transaction_file import HEADER
from globeco_allocation.entrypoints.simulated.accounting_ledger import Ledger
from globeco_allocation.ports.accounting import AccountingCli

NAME, OTHER_NAME = "transactions_20260302_160000_7.csv", "transactions_20260302_170000_8.csv"
PATIENCE = 30.0


class Accounting(ABC):
    """The port's other side: the files it loads, its books, and its troubles."""

    cli: AccountingCli

    @abstractmethod
    def has_file(self, name: str, *source_ids: str) -> None: ...

    @abstractmethod
    def still_has_file(self, name: str) -> bool: ...

    @abstractmethod
    def booked(self) -> set[str]: ...

    @abstractmethod
    def is_down(self) -> None: ...

    @abstractmethod
    def is_up(self) -> None: ...

    @abstractmethod
    def loses_answers(self) -> None: ...

    @abstractmethod
    def cannot_be_started(self) -> None: ...

    async def load(self, name: str, attempt: int = 1) -> AccountingRun:
        async with asyncio.timeout(PATIENCE), self.cli.turn() as turn:
            return await turn.run(name, attempt)

    async def error_rows(self, name: str) -> list[ErrorRow]:
        return [row async for row in self.cli.error_rows(name)]

    async def outcome(self, name: str, records: int, attempt: int = 1) -> Outcome:
        run = await self.load(name, attempt)
        judge = Judge(records)
        for row in await self.error_rows(name):
            judge.see(row)
        return judge.outcome(run)


def content(*source_ids: str) -> bytes:
    ids = "683b6b9620f302c879a5fef4,68336002fe95851f0a2aeda9"
    rows = (f"{ids},{source_id},BUY,100.00000000,50.12500000,20260302\n" for source_id in source_ids)
    return HEADER + "".join(rows).encode()


class InMemory(Accounting):
    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.cli = self.twin = MemoryAccounting(self.contents)

    def has_file(self, name: str, *source_ids: str) -> None:
        self.contents[name] = content(*source_ids)

    def still_has_file(self, name: str) -> bool:
        return name in self.contents

    def booked(self) -> set[str]:
        return set(self.twin.booked)

    def is_down(self) -> None:
        self.twin.fault = Fault.SERVER_DOWN

    def is_up(self) -> None:
        self.twin.fault = Fault.NONE

    def loses_answers(self) -> None:
        self.twin.fault = Fault.ANSWER_LOST

    def cannot_be_started(self) -> None:
        self.twin.fault = Fault.NOT_STARTED


class AsProcess(Accounting):
    """The simulated CLI, which deletes its input as the real one does without ``--skip-sort``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.fault = directory / "fault"
        self.ledger = directory / "ledger"
        self.program = directory / "portfolio-cli"
        self.program.symlink_to(sys.executable)
        self.is_up()
        self.cli = SubprocessCli(
            CommandTemplate.parse(
                f"{self.program} -m globeco_allocation.entrypoints.simulated.accounting_cli"
                " process --file {filename} --output-dir {output_dir} --batch-size 1"
            ),
            directory,
            PATIENCE,
            environment={
                **os.environ,
                "SIMULATED_ACCOUNTING_LEDGER": str(self.ledger),
                "SIMULATED_ACCOUNTING_FAULT": f"@{self.fault}",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
        )

    def has_file(self, name: str, *source_ids: str) -> None:
        (self.directory / name).write_bytes(content(*source_ids))

    def still_has_file(self, name: str) -> bool:
        return (self.directory / name).exists()

    def booked(self) -> set[str]:
        with Ledger(self.ledger) as ledger:
            return {entry.source_id for entry in ledger.entries()}

    def is_down(self) -> None:
        self.fault.write_text("server-down")

    def is_up(self) -> None:
        self.fault.write_text("")

    def loses_answers(self) -> None:
        self.fault.write_text("eof")

    def cannot_be_started(self) -> None:
        self.program.unlink()


@pytest.fixture(params=["memory", "process"])
def accounting(request: pytest.FixtureRequest, tmp_path: Path) -> Accounting:
    return InMemory() if request.param == "memory" else AsProcess(tmp_path)


async def test_a_good_file_is_booked_counted_and_leaves_no_error_rows(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1", "AC2", "AC3")
    run = await accounting.load(NAME)

    assert (run.exit_code, run.counts) == (0, PrintedCounts(total=3, succeeded=3, failed=0))
    assert await accounting.error_rows(NAME) == []
    assert accounting.booked() == {"AC1", "AC2", "AC3"}


async def test_a_file_stays_after_it_was_loaded(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1")
    await accounting.load(NAME)

    assert accounting.still_has_file(NAME)


async def test_exit_code_0_with_everything_refused_is_no_success(accounting: Accounting) -> None:
    accounting.is_down()
    accounting.has_file(NAME, "AC1", "AC2")
    run = await accounting.load(NAME)
    rows = await accounting.error_rows(NAME)

    assert (run.exit_code, run.counts) == (0, PrintedCounts(total=2, succeeded=0, failed=2))
    assert [row.source_id for row in rows] == ["AC1", "AC2"]
    assert accounting.booked() == set()


async def test_what_an_earlier_attempt_left_is_not_taken_for_this_ones(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1", "AC2")
    accounting.is_down()
    first = await accounting.outcome(NAME, records=2)
    accounting.is_up()
    second = await accounting.outcome(NAME, records=2, attempt=2)

    assert (first.status, first.unknown_count) == (DeliveryStatus.FAILED, 2)
    assert second.status is DeliveryStatus.DELIVERED
    assert await accounting.error_rows(NAME) == []


async def test_known_source_ids_are_named_and_booked_only_once(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1")
    accounting.has_file(OTHER_NAME, "AC1", "AC2")
    await accounting.load(NAME)
    outcome = await accounting.outcome(OTHER_NAME, records=2)

    assert outcome.status is DeliveryStatus.FAILED
    assert "already has rows under 1 of our source ids" in outcome.error
    assert accounting.booked() == {"AC1", "AC2"}


async def test_lost_answers_are_unknown_whether_booked_or_not(accounting: Accounting) -> None:
    accounting.loses_answers()
    accounting.has_file(NAME, "AC1", "AC2")
    outcome = await accounting.outcome(NAME, records=2)

    assert (outcome.status, outcome.unknown_count) == (DeliveryStatus.FAILED, 2)
    assert accounting.booked() == {"AC1", "AC2"}


async def test_a_cli_that_cannot_be_started_sends_nothing(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1")
    accounting.cannot_be_started()

    with pytest.raises(CliNotStartedError, match="there is no such program"):
        await accounting.load(NAME)

    assert accounting.still_has_file(NAME)
    assert accounting.booked() == set()


async def test_a_file_that_is_gone_starts_nothing(accounting: Accounting) -> None:
    with pytest.raises(CliNotStartedError, match="is gone"):
        await accounting.load(NAME)


async def test_several_runs_take_turns_and_all_end(accounting: Accounting) -> None:
    names = [f"transactions_20260302_16000{number}_{number}.csv" for number in range(4)]
    for number, name in enumerate(names):
        accounting.has_file(name, f"AC{number}", f"AC1{number}")
    runs = await asyncio.gather(*(accounting.load(name) for name in names))

    assert [run.counts for run in runs] == [PrintedCounts(2, 2, 0)] * 4
    assert len(accounting.booked()) == 8


async def test_a_file_without_an_error_file_has_no_error_rows(accounting: Accounting) -> None:
    assert await accounting.error_rows(NAME) == []


@pytest.mark.parametrize("name", ["", "../a.csv", "a/b.csv", ".a.csv", "-a.csv"])
async def test_only_a_bare_name_is_taken(accounting: Accounting, name: str) -> None:
    with pytest.raises(ValueError, match="not a bare file name"):
        await accounting.load(name)
    with pytest.raises(ValueError, match="not a bare file name"):
        await accounting.error_rows(name)
