"""What the port ``AccountingCli`` promises, of the twin in memory, a real process and a Kubernetes Job."""

import asyncio
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from hashlib import sha256
from pathlib import Path

import pytest
from lightkube import KubeConfig
from tests.accounting.bench import order_for
from tests.accounting.permit import Permit
from tests.kubernetes.api_double import NAMESPACE, KubernetesDouble
from tests.kubernetes.pods import Pod, simulated_accounting

from globeco_allocation.adapters.kubernetes_job import JobTemplate, KubernetesJobCli, Patience
from globeco_allocation.adapters.memory.accounting import Fault, MemoryAccounting
from globeco_allocation.adapters.subprocess_cli import CommandTemplate, SubprocessCli
from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow, PrintedCounts, RunOrder
from globeco_allocation.domain.errors import (
    AllocationError,
    CliNotStartedError,
    LeaseLostError,
    RunNotFollowedError,
    StoreUnavailableError,
)
from globeco_allocation.domain.transaction_file import HEADER
from globeco_allocation.entrypoints.simulated.accounting_ledger import Ledger
from globeco_allocation.ports.accounting import AccountingCli

NAME, OTHER_NAME = "transactions_20260302_160000_7.csv", "transactions_20260302_170000_8.csv"
PATIENCE = 30.0

GATED_CLI = """
import os, runpy, sys, time
from pathlib import Path
run, directory = sys.argv.pop(1), Path(sys.argv.pop(1))
(directory / f"{run}.started").touch()
patience = time.monotonic() + 60
while (directory / "held").exists() and time.monotonic() < patience: time.sleep(0.01)
runpy.run_module("globeco_allocation.entrypoints.simulated.accounting_cli", run_name="__main__")
"""


class Accounting(ABC):
    """The port's other side: the files it loads, its books, and its troubles."""

    cli: AccountingCli
    refusal = "there is no such program"

    def counts(self, total: int, succeeded: int, failed: int) -> PrintedCounts | None:
        return PrintedCounts(total, succeeded, failed)

    @abstractmethod
    def has_file(self, name: str, *source_ids: str) -> None: ...

    @abstractmethod
    def still_has_file(self, name: str) -> bool: ...

    @abstractmethod
    def booked(self) -> set[str]: ...

    @abstractmethod
    def started(self) -> int: ...

    @abstractmethod
    def hold_runs(self) -> None: ...

    @abstractmethod
    def let_runs_go(self) -> None: ...

    @abstractmethod
    def is_down(self) -> None: ...

    @abstractmethod
    def is_up(self) -> None: ...

    @abstractmethod
    def loses_answers(self) -> None: ...

    @abstractmethod
    def cannot_be_started(self) -> None: ...

    async def load(
        self, order: RunOrder | None = None, permit: Permit | None = None, *, name: str = NAME
    ) -> AccountingRun:
        async with asyncio.timeout(PATIENCE):
            return await self.cli.run(order or order_for(name), permit or Permit())

    def loading(
        self, order: RunOrder | None = None, permit: Permit | None = None
    ) -> "asyncio.Task[AccountingRun]":
        return asyncio.create_task(self.load(order, permit))

    async def error_rows(self, order: RunOrder | None = None) -> list[ErrorRow]:
        return [row async for row in self.cli.error_rows(order or order_for(NAME))]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():  # noqa: ASYNC110 (what other processes do)
                await asyncio.sleep(0.01)


def content(name: str, *source_ids: str) -> bytes:
    """Return a file with a portfolio of its own: runs over one would not be safe side by side."""
    ids = f"{sha256(name.encode()).hexdigest()[:24]},68336002fe95851f0a2aeda9"
    rows = (f"{ids},{source_id},BUY,100.00000000,50.12500000,20260302\n" for source_id in source_ids)
    return HEADER + "".join(rows).encode()


class InMemory(Accounting):
    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.cli = self.twin = MemoryAccounting(self.contents)

    def has_file(self, name: str, *source_ids: str) -> None:
        self.contents[name] = content(name, *source_ids)

    def still_has_file(self, name: str) -> bool:
        return name in self.contents

    def booked(self) -> set[str]:
        return set(self.twin.booked)

    def started(self) -> int:
        return len(self.twin.runs)

    def hold_runs(self) -> None:
        self.twin.gate.clear()

    def let_runs_go(self) -> None:
        self.twin.gate.set()

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

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directory = path / "out"
        self.directory.mkdir()
        self.fault = path / "fault"
        self.ledger = path / "ledger"
        self.program = path / "portfolio-cli"
        self.program.symlink_to(sys.executable)
        (path / "gated_cli.py").write_text(GATED_CLI)
        self.is_up()
        self.cli = SubprocessCli(
            CommandTemplate.parse(
                f"{self.program} {path}/gated_cli.py {{run}} {path}"
                " process --file {filename} --output-dir {output_dir} --batch-size 1"
            ),
            self.directory,
            PATIENCE,
            environment={
                **os.environ,
                "SIMULATED_ACCOUNTING_LEDGER": str(self.ledger),
                "SIMULATED_ACCOUNTING_FAULT": f"@{self.fault}",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
        )

    def has_file(self, name: str, *source_ids: str) -> None:
        (self.directory / name).write_bytes(content(name, *source_ids))

    def still_has_file(self, name: str) -> bool:
        return (self.directory / name).exists()

    def booked(self) -> set[str]:
        with Ledger(self.ledger) as ledger:
            return {entry.source_id for entry in ledger.entries()}

    def started(self) -> int:
        return len(list(self.path.glob("*.started")))

    def hold_runs(self) -> None:
        (self.path / "held").touch()

    def let_runs_go(self) -> None:
        (self.path / "held").unlink()

    def is_down(self) -> None:
        self.fault.write_text("server-down")

    def is_up(self) -> None:
        self.fault.write_text("")

    def loses_answers(self) -> None:
        self.fault.write_text("eof")

    def cannot_be_started(self) -> None:
        self.program.unlink()


class AsJob(Accounting):
    """The simulated CLI as the process of a Kubernetes Job; nobody may read what it prints."""

    refusal = "Forbidden"

    def __init__(self, path: Path, kubernetes: KubernetesDouble) -> None:
        self.directory = path / "out"
        self.directory.mkdir()
        self.fault = path / "fault"
        self.ledger = path / "ledger"
        self.is_up()
        self.gate = asyncio.Event()
        self.gate.set()
        self.pods = 0
        self.kubernetes = kubernetes
        kubernetes.cluster.claims = {"files": self.directory}
        kubernetes.cluster.handler = self.process
        self.job_cli = KubernetesJobCli(
            JobTemplate(image="accounting-cli:1", claim="files", timeout_seconds=60, grace_seconds=0),
            self.directory,
            namespace=NAMESPACE,
            patience=Patience(margin=0.2, shortest_pause=0.01),
            config=KubeConfig.from_file(
                kubernetes.write_kubeconfig(path / "kubeconfig", path / "token")
            ).get(),
        )
        self.cli = self.job_cli

    async def process(self, pod: Pod) -> int:
        self.pods += 1
        await self.gate.wait()
        variables = {
            "SIMULATED_ACCOUNTING_LEDGER": str(self.ledger),
            "SIMULATED_ACCOUNTING_FAULT": f"@{self.fault}",
        }
        return await simulated_accounting(variables)(pod)

    def counts(self, total: int, succeeded: int, failed: int) -> PrintedCounts | None:
        assert total == succeeded + failed
        return None

    def has_file(self, name: str, *source_ids: str) -> None:
        (self.directory / name).write_bytes(content(name, *source_ids))

    def still_has_file(self, name: str) -> bool:
        return (self.directory / name).exists()

    def booked(self) -> set[str]:
        with Ledger(self.ledger) as ledger:
            return {entry.source_id for entry in ledger.entries()}

    def started(self) -> int:
        return self.pods

    def hold_runs(self) -> None:
        self.gate.clear()

    def let_runs_go(self) -> None:
        self.gate.set()

    def is_down(self) -> None:
        self.fault.write_text("server-down")

    def is_up(self) -> None:
        self.fault.write_text("")

    def loses_answers(self) -> None:
        self.fault.write_text("eof")

    def cannot_be_started(self) -> None:
        self.kubernetes.permitted.remove("create")


@pytest.fixture(params=["memory", "process", "job"])
async def accounting(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Accounting]:
    if request.param == "memory":
        yield InMemory()
    elif request.param == "process":
        yield AsProcess(tmp_path)
    else:
        async with KubernetesDouble() as kubernetes:
            jobs = AsJob(tmp_path, kubernetes)
            async with jobs.job_cli:
                yield jobs
            kubernetes.assert_one_job_an_attempt()
            kubernetes.assert_lanes_kept()


async def test_a_good_file_is_booked_counted_and_leaves_no_error_rows(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1", "AC2", "AC3")
    run = await accounting.load()

    assert (run.exit_code, run.counts) == (0, accounting.counts(3, 3, 0))
    assert run.completed
    assert await accounting.error_rows() == []
    assert accounting.booked() == {"AC1", "AC2", "AC3"}


async def test_a_file_stays_after_it_was_loaded(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1")
    await accounting.load()

    assert accounting.still_has_file(NAME)


async def test_exit_code_0_with_everything_refused_is_no_success(accounting: Accounting) -> None:
    accounting.is_down()
    accounting.has_file(NAME, "AC1", "AC2")
    run = await accounting.load()
    rows = await accounting.error_rows()

    assert (run.exit_code, run.counts) == (0, accounting.counts(2, 0, 2))
    assert [row.source_id for row in rows] == ["AC1", "AC2"]
    assert accounting.booked() == set()


async def test_what_an_earlier_attempt_left_is_not_taken_for_this_ones(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1", "AC2")
    accounting.is_down()
    first = await accounting.load()
    accounting.is_up()
    second = await accounting.load(order_for(NAME, 2))

    assert first.counts == accounting.counts(2, 0, 2)
    assert second.counts == accounting.counts(2, 2, 0)
    assert await accounting.error_rows(order_for(NAME, 2)) == []


async def test_known_source_ids_are_named_and_booked_only_once(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1")
    accounting.has_file(OTHER_NAME, "AC1", "AC2")
    await accounting.load()
    run = await accounting.load(name=OTHER_NAME)
    (row,) = await accounting.error_rows(order_for(OTHER_NAME))

    assert run.counts == accounting.counts(2, 1, 1)
    assert row.source_id == "AC1"
    assert "must be unique" in row.message
    assert accounting.booked() == {"AC1", "AC2"}


async def test_lost_answers_are_told_whether_booked_or_not(accounting: Accounting) -> None:
    accounting.loses_answers()
    accounting.has_file(NAME, "AC1", "AC2")
    await accounting.load()
    rows = await accounting.error_rows()

    assert [row.message.rpartition(": ")[2] for row in rows] == ["EOF", "EOF"]
    assert accounting.booked() == {"AC1", "AC2"}


async def test_a_run_that_ended_is_told_of_whenever_it_is_asked_for(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1", "AC2")
    first, again = Permit(), Permit()
    await accounting.load(permit=first)
    run = await accounting.load(permit=again)

    assert run.counts == accounting.counts(2, 2, 0)
    assert run.completed
    assert accounting.started() == 1
    assert (first.begun, again.begun) == (1, 0)


async def test_a_run_asked_for_by_several_at_once_is_one_run(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1", "AC2")
    permits = [Permit() for _ in range(3)]
    runs = await asyncio.gather(*(accounting.load(permit=permit) for permit in permits))

    assert [run.counts for run in runs] == [accounting.counts(2, 2, 0)] * 3
    assert accounting.started() == 1
    assert sum(permit.begun for permit in permits) == 1


async def test_a_run_goes_on_when_whoever_asked_is_cancelled_and_is_found_again(
    accounting: Accounting,
) -> None:
    accounting.has_file(NAME, "AC1", "AC2")
    accounting.hold_runs()
    asking = accounting.loading()
    await accounting.until(lambda: accounting.started() == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    again = Permit()
    successor = accounting.loading(permit=again)
    await asyncio.sleep(0.2)
    assert not successor.done()
    accounting.let_runs_go()
    run = await successor

    assert run.counts == accounting.counts(2, 2, 0)
    assert accounting.started() == 1
    assert again.begun == 0
    assert accounting.still_has_file(NAME)


@pytest.mark.parametrize("refusal", [LeaseLostError("lost"), StoreUnavailableError("away")])
async def test_without_a_permit_nothing_is_started(accounting: Accounting, refusal: AllocationError) -> None:
    accounting.has_file(NAME, "AC1")
    with pytest.raises(type(refusal)):
        await accounting.load(permit=Permit(refusal=refusal))
    started = accounting.started()
    run = await accounting.load()

    assert started == 0
    assert run.counts == accounting.counts(1, 1, 0)


async def test_what_finds_a_run_again_is_told_before_its_end(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1")
    accounting.hold_runs()
    permit = Permit()
    asking = accounting.loading(permit=permit)
    await accounting.until(lambda: len(permit.told) == 2)
    ended = asking.done()
    accounting.let_runs_go()
    await asking

    assert not ended
    assert permit.told[0] == "begin"
    assert permit.told[1] != ""


async def test_a_run_is_followed_though_what_finds_it_again_was_not_stored(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1")
    run = await accounting.load(permit=Permit(loss=StoreUnavailableError("away")))

    assert run.counts == accounting.counts(1, 1, 0)


async def test_a_run_that_another_one_goes_on_with_is_left_to_it(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1")
    with pytest.raises(LeaseLostError):
        await accounting.load(permit=Permit(loss=LeaseLostError("lost")))
    successor = Permit()
    run = await accounting.load(permit=successor)

    assert run.counts == accounting.counts(1, 1, 0)
    assert (accounting.started(), successor.begun) == (1, 0)


async def test_a_run_that_is_known_but_cannot_be_found_is_not_started_again(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1")
    permit = Permit()
    run = await accounting.load(order_for(NAME, uid="process:elsewhere:1:1"), permit)

    assert (run.exit_code, run.counts, run.completed) == (None, None, False)
    assert (accounting.started(), permit.told) == (0, [])


async def test_an_attempt_is_not_begun_behind_a_later_one(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1")
    await accounting.load(order_for(NAME, 2))

    with pytest.raises(RunNotFollowedError):
        await accounting.load(order_for(NAME, 1))
    assert accounting.started() == 1


async def test_runs_of_one_lane_follow_one_another(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1")
    accounting.has_file(OTHER_NAME, "AC2")
    accounting.hold_runs()
    permit = Permit()
    first = accounting.loading(order_for(NAME))
    await accounting.until(lambda: accounting.started() == 1)
    second = accounting.loading(order_for(OTHER_NAME), permit)
    await asyncio.sleep(0.3)
    begun = permit.begun
    accounting.let_runs_go()
    await asyncio.gather(first, second)

    assert begun == 0
    assert accounting.started() == 2


async def test_runs_of_different_lanes_go_on_side_by_side(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1")
    accounting.has_file(OTHER_NAME, "AC2")
    accounting.hold_runs()
    loading = [
        accounting.loading(order_for(name, lane=lane, lane_count=2))
        for lane, name in enumerate((NAME, OTHER_NAME))
    ]
    await accounting.until(lambda: accounting.started() == 2)
    accounting.let_runs_go()

    assert [run.counts for run in await asyncio.gather(*loading)] == [accounting.counts(1, 1, 0)] * 2


async def test_a_run_of_another_lane_count_waits_for_all_others(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1")
    accounting.has_file(OTHER_NAME, "AC2")
    accounting.hold_runs()
    permit = Permit()
    old = accounting.loading(order_for(NAME, lane=0, lane_count=2))
    await accounting.until(lambda: accounting.started() == 1)
    new = accounting.loading(order_for(OTHER_NAME, lane=1, lane_count=3), permit)
    await asyncio.sleep(0.3)
    begun = permit.begun
    accounting.let_runs_go()
    await asyncio.gather(old, new)

    assert begun == 0
    assert accounting.started() == 2


async def test_many_runs_of_changing_lane_counts_all_end(accounting: Accounting) -> None:
    names = [f"transactions_20260302_16000{number}_{number}.csv" for number in range(4)]
    for number, name in enumerate(names):
        accounting.has_file(name, f"AC{number}", f"AC1{number}")
    orders = [order_for(name, lane_count=1 + number % 2) for number, name in enumerate(names)]
    runs = await asyncio.gather(*(accounting.load(order) for order in orders))

    assert [run.counts for run in runs] == [accounting.counts(2, 2, 0)] * 4
    assert len(accounting.booked()) == 8


async def test_a_cli_that_cannot_be_started_sends_nothing(accounting: Accounting) -> None:
    accounting.has_file(NAME, "AC1")
    accounting.cannot_be_started()

    with pytest.raises(CliNotStartedError, match=accounting.refusal):
        await accounting.load()
    assert accounting.still_has_file(NAME)
    assert accounting.booked() == set()


async def test_a_file_that_is_gone_starts_nothing(accounting: Accounting) -> None:
    with pytest.raises(CliNotStartedError, match="is gone"):
        await accounting.load()


async def test_a_file_without_an_error_file_has_no_error_rows(accounting: Accounting) -> None:
    assert await accounting.error_rows() == []


async def test_where_runs_can_be_kept_apart_the_check_finds_nothing(accounting: Accounting) -> None:
    await accounting.cli.check()


@pytest.mark.parametrize("name", ["", "../a.csv", "a/b.csv", ".a.csv", "-a.csv"])
async def test_only_a_bare_name_is_taken(accounting: Accounting, name: str) -> None:
    with pytest.raises(ValueError, match="not a bare file name"):
        await accounting.load(order_for(name))
    with pytest.raises(ValueError, match="not a bare file name"):
        await accounting.error_rows(order_for(name))
