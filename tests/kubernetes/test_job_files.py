"""The simulated accounting CLI as the Job's process: files, error rows, and what earlier attempts left."""

import asyncio
import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.kubernetes.job_runs import JobRuns, Permit, order_of
from tests.kubernetes.pods import simulated_accounting

from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow, RunOrder
from globeco_allocation.domain.errors import CliNotStartedError
from globeco_allocation.domain.transaction_file import HEADER

ORDER = order_of()
ERRORS = f"{ORDER.file_name}.errors.csv"
MARK = f"{ORDER.file_name}.completed.attempt-"
SUCCEEDED = AccountingRun(0, None)


@dataclass
class Accounting:
    """Portfolio Accounting behind the Jobs, with a fault of the test's choice."""

    runs: JobRuns
    fault: Path

    async def load(self, order: RunOrder) -> AccountingRun:
        async with asyncio.timeout(30), self.runs.runner() as cli:
            return await cli.run(order, Permit())

    async def error_rows(self, order: RunOrder) -> list[ErrorRow]:
        async with self.runs.runner() as cli:
            return [row async for row in cli.error_rows(order)]


@pytest.fixture
def accounting(runs: JobRuns, tmp_path: Path) -> Accounting:
    fault = tmp_path / "fault"
    fault.write_text("")
    runs.kubernetes.cluster.claims = {runs.template.claim: runs.directory}
    runs.kubernetes.cluster.handler = simulated_accounting(
        {
            "SIMULATED_ACCOUNTING_LEDGER": str(tmp_path / "ledger"),
            "SIMULATED_ACCOUNTING_FAULT": f"@{fault}",
        }
    )
    return Accounting(runs, fault)


def content(*source_ids: str) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for source_id in source_ids:
        portfolio, security = "683b6b9620f302c879a5fef4", "68336002fe95851f0a2aeda9"
        rows.writerow([portfolio, security, source_id, "BUY", "100.00000000", "50.12500000", "20260302"])
    return HEADER.decode() + text.getvalue()


async def test_a_good_file_leaves_no_error_rows_and_stays(accounting: Accounting) -> None:
    accounting.runs.has_file(ORDER, content("AC1", "AC2"))

    assert await accounting.load(ORDER) == SUCCEEDED
    assert await accounting.error_rows(ORDER) == []
    assert names(accounting) == {ORDER.file_name, f"{MARK}1"}


async def test_what_is_refused_is_known_by_name(accounting: Accounting) -> None:
    accounting.runs.has_file(ORDER, content("AC1", "AC2"))
    accounting.fault.write_text("server-down")
    run = await accounting.load(ORDER)
    rows = await accounting.error_rows(ORDER)

    assert run == SUCCEEDED  # exit code 0 is not success
    assert [row.source_id for row in rows] == ["AC1", "AC2"]
    assert all("connection refused" in row.message for row in rows)


async def test_what_an_earlier_attempt_left_is_put_aside_before_the_start(accounting: Accounting) -> None:
    accounting.runs.has_file(ORDER, content("AC1"))
    accounting.fault.write_text("server-down")
    await accounting.load(ORDER)
    accounting.fault.write_text("")
    again = replace(ORDER, attempt=2)

    assert await accounting.load(again) == SUCCEEDED
    assert await accounting.error_rows(again) == []
    assert names(accounting) == {ORDER.file_name, f"{ERRORS}.attempt-1", f"{MARK}1", f"{MARK}2"}


async def test_what_a_found_run_left_is_its_own(accounting: Accounting) -> None:
    accounting.runs.has_file(ORDER, content("AC1"))
    accounting.fault.write_text("server-down")
    await accounting.load(ORDER)
    found = await accounting.load(ORDER)

    assert found == SUCCEEDED
    assert [row.source_id for row in await accounting.error_rows(ORDER)] == ["AC1"]


async def test_a_cli_that_fails_is_a_run_that_was_cut_off(accounting: Accounting) -> None:
    accounting.runs.has_file(ORDER, content("AC1"))
    accounting.fault.write_text("exit-1")
    run = await accounting.load(ORDER)

    assert run == AccountingRun(None, None, f"the Job {ORDER.name} failed (BackoffLimitExceeded)")
    assert names(accounting) == {ORDER.file_name}


async def test_a_file_that_is_gone_starts_nothing(accounting: Accounting) -> None:
    with pytest.raises(CliNotStartedError, match="is gone"):
        await accounting.load(ORDER)

    assert accounting.runs.kubernetes.store.created == []


async def test_an_output_directory_that_cannot_be_used_starts_nothing(accounting: Accounting) -> None:
    accounting.runs.has_file(ORDER)
    errors = accounting.runs.directory / ERRORS
    errors.write_text("")
    for number in ["", *(f".{number}" for number in range(1, 1000))]:
        (errors.parent / f"{ERRORS}.attempt-0{number}").touch()

    with pytest.raises(CliNotStartedError, match="output directory cannot be used"):
        await accounting.load(ORDER)

    assert accounting.runs.kubernetes.store.created == []


@pytest.mark.parametrize("name", ["", "../a.csv", "a/b.csv", ".a.csv", "-a.csv"])
async def test_only_a_bare_name_is_taken(accounting: Accounting, name: str) -> None:
    order = replace(ORDER, file_name=name)

    with pytest.raises(ValueError, match="not a bare file name"):
        await accounting.load(order)
    with pytest.raises(ValueError, match="not a bare file name"):
        await accounting.error_rows(order)


def names(accounting: Accounting) -> set[str]:
    return {path.name for path in accounting.runs.directory.iterdir()}
