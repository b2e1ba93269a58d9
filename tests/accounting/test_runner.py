"""Runs of real processes: how they are started, how they end, and what they leave."""

import asyncio
import json
import os
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.accounting.bench import NAME, PATIENCE, Bench, load

from globeco_allocation.adapters.memory.clock import MemoryClock
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.deliveries import MemoryDeliveries
from globeco_allocation.adapters.memory.files import MemoryFiles
from globeco_allocation.adapters.subprocess_cli import CommandTemplate, SubprocessCli
from globeco_allocation.domain import CliNotStartedError, DeliveryStatus, PrintedCounts, WrittenFile
from globeco_allocation.domain.use_cases import DeliverFile

RESULTS = "=== Processing Results ===\\nTotal Records: 1\\nSuccess Records: 1\\nError Records: 0"
SUCCEEDS = f'print("{RESULTS}")'
TELLS = """
import json, os, sys
facts = {"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ), "session": os.getsid(0)}
json.dump(facts, open("facts.json", "w"))
assert sys.stdin.read() == ""
"""


async def test_a_run_gets_the_bare_name_and_the_directory_it_runs_in(bench: Bench) -> None:
    cli = bench.cli(TELLS, environment={"PATH": os.environ["PATH"], "DB_PASSWORD": "x", "TOKEN": "x"})
    run = await load(cli, NAME, 1)
    facts = json.loads((bench.out / "facts.json").read_text())

    assert run.exit_code == 0
    assert facts["argv"] == [NAME, str(bench.out)]
    assert facts["cwd"] == str(bench.out)
    assert facts["session"] != os.getsid(0)
    assert {"DB_PASSWORD", "TOKEN"}.isdisjoint(facts["env"])
    assert facts["env"]["PATH"] == os.environ["PATH"]


async def test_a_run_inherits_our_own_environment_without_secrets(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    monkeypatch.setenv("GLOBECO_PA_SERVER_HOST", "accounting")
    await load(bench.cli(TELLS), NAME, 1)
    text = (bench.out / "facts.json").read_text()

    assert "hunter2" not in text
    assert json.loads(text)["env"]["GLOBECO_PA_SERVER_HOST"] == "accounting"


async def test_a_run_that_ends_leaves_its_counts_and_its_outputs(bench: Bench) -> None:
    run = await load(bench.cli(SUCCEEDS), NAME, 1)

    assert (run.exit_code, run.counts) == (0, PrintedCounts(1, 1, 0))
    assert bench.leftovers() == [NAME, f"{NAME}.stderr.log", f"{NAME}.stdout.log"]


async def test_a_failed_run_tells_its_exit_code_and_its_last_words(bench: Bench) -> None:
    run = await load(bench.cli('import sys; sys.exit("processing failed: no header")'), NAME, 1)

    assert (run.exit_code, run.counts, run.complaint) == (1, None, "processing failed: no header")


async def test_a_run_ended_by_another_signal_tells_its_number(bench: Bench) -> None:
    run = await load(bench.cli("import os; os.kill(os.getpid(), 9)"), NAME, 1)

    assert run.exit_code == -9


async def test_many_runs_leave_no_zombies_no_threads_and_no_open_files(bench: Bench) -> None:
    us = psutil.Process()
    cli = bench.cli(SUCCEEDS)
    await load(cli, NAME, 1)
    before = (us.num_fds(), us.children())
    for attempt in range(2, 6):
        await load(cli, NAME, attempt)

    assert (us.num_fds(), us.children()) == before
    await bench.until(lambda: not [one for one in threading.enumerate() if "accounting-cli" in one.name])


HANGS_WITH_A_CHILD = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open("pids", "w").write(f"{os.getpid()} {child.pid}")
time.sleep(60)
"""
IGNORES_TERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + HANGS_WITH_A_CHILD


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE  # left to an init that reaps nobody
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("program", [HANGS_WITH_A_CHILD, IGNORES_TERM], ids=["ends on TERM", "ignores TERM"])
async def test_a_run_past_its_time_is_killed_with_its_children(bench: Bench, program: str) -> None:
    began = time.monotonic()
    run = await load(bench.cli(program, timeout_seconds=3, grace_seconds=0.5), NAME, 1)
    took = time.monotonic() - began
    pids = [int(pid) for pid in (bench.out / "pids").read_text().split()]

    assert run.exit_code is None
    assert 3 <= took < 9
    assert len(pids) == 2
    await bench.until(lambda: all(map(_gone, pids)))


async def test_a_child_that_ignores_term_does_not_outlive_its_parent_that_heeds_it(bench: Bench) -> None:
    program = HANGS_WITH_A_CHILD.replace(
        '"import time', "\"import signal, time; signal.signal(15, signal.SIG_IGN); open('armed', 'w')"
    )
    run = await load(bench.cli(program, timeout_seconds=3, grace_seconds=20), NAME, 1)
    pids = [int(pid) for pid in (bench.out / "pids").read_text().split()]

    assert run.exit_code is None
    assert (bench.out / "armed").exists()
    await bench.until(lambda: all(map(_gone, pids)))


async def test_a_run_that_ends_well_in_its_grace_counts_as_killed_all_the_same(bench: Bench) -> None:
    program = (
        f"import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(0))\n{SUCCEEDS}\ntime.sleep(60)"
    )
    run = await load(bench.cli(program, timeout_seconds=1.5), NAME, 1)

    assert run.exit_code is None


async def test_a_run_past_its_time_is_not_left_running_by_a_shutdown(bench: Bench) -> None:
    heeds = "import signal; signal.signal(15, lambda *_: open('warned', 'w').close())\n" + HANGS_WITH_A_CHILD
    cli = bench.cli(heeds, timeout_seconds=3, grace_seconds=PATIENCE)
    running = asyncio.create_task(load(cli, NAME, 1))
    await bench.until((bench.out / "warned").exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    pids = [int(pid) for pid in (bench.out / "pids").read_text().split()]

    await bench.until(lambda: all(map(_gone, pids)))


async def test_a_flood_of_output_takes_no_memory(bench: Bench) -> None:
    floods = f"import sys\nfor _ in range(2000): sys.stdout.write('x' * 10000 + '\\n')\n{SUCCEEDS}"
    cli = bench.cli(floods)
    tracemalloc.start()
    try:
        run = await load(cli, NAME, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert run.counts == PrintedCounts(1, 1, 0)
    assert (bench.out / f"{NAME}.stdout.log").stat().st_size > 20_000_000
    assert peak < 2_000_000


async def test_what_earlier_attempts_left_is_put_aside_never_replaced(bench: Bench) -> None:
    cli = bench.cli(f"import sys\nopen(sys.argv[1] + '.errors.csv', 'w').write('errors')\n{SUCCEEDS}")
    for attempt in (1, 2, 2, 3):
        await load(cli, NAME, attempt)

    errors = [name for name in bench.leftovers() if ".errors.csv" in name]
    assert errors == [
        f"{NAME}.errors.csv{ending}" for ending in ("", ".attempt-1", ".attempt-1.1", ".attempt-2")
    ]
    assert len([name for name in bench.leftovers() if ".stdout.log" in name]) == 4


async def test_an_input_that_the_cli_deletes_is_there_again(bench: Bench) -> None:
    inode = bench.file.stat().st_ino
    await load(bench.cli(f"import os, sys\nos.unlink(sys.argv[1])\n{SUCCEEDS}"), NAME, 1)

    assert bench.file.read_bytes() == bench.content
    assert bench.file.stat().st_ino == inode
    assert list((bench.out / ".kept").iterdir()) == []


def _absent(path: Path) -> str:
    return str(path / "no-such-cli")


def _not_executable(path: Path) -> str:
    (path / "cli").write_text("#!/bin/sh\n")
    return str(path / "cli")


def _no_program(path: Path) -> str:
    (path / "cli").write_text("just text\n")
    (path / "cli").chmod(0o755)
    return str(path / "cli")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (_absent, r"\(no-such-cli\) was not started: there is no such program"),
        (_not_executable, r"\(cli\) was not started: it may not be run"),
        (_no_program, r"\(cli\) was not started: it is not a program"),
    ],
)
async def test_a_program_that_cannot_run_is_told_without_a_path(
    bench: Bench, program: Callable[[Path], str], reason: str
) -> None:
    template = CommandTemplate.parse(f"{program(bench.path)} {{filename}}")

    with pytest.raises(CliNotStartedError, match=reason) as caught:
        await load(SubprocessCli(template, bench.out, PATIENCE), NAME, 1)

    assert "/" not in str(caught.value)
    assert bench.leftovers() == [NAME]
    assert list((bench.out / ".kept").iterdir()) == []


async def test_too_long_an_argument_is_no_run(bench: Bench) -> None:
    template = CommandTemplate.parse(f"{sys.executable} -c {'x' * 200_000} {{filename}}")

    with pytest.raises(CliNotStartedError, match="too long"):
        await load(SubprocessCli(template, bench.out, PATIENCE), NAME, 1)


async def test_without_its_directory_nothing_starts(bench: Bench) -> None:
    cli = bench.cli(SUCCEEDS)
    bench.out.rename(bench.path / "elsewhere")

    with pytest.raises(CliNotStartedError, match="output directory is missing"):
        await load(cli, NAME, 1)


async def test_after_a_failed_start_the_lane_is_free(bench: Bench) -> None:
    with pytest.raises(CliNotStartedError):
        await load(bench.cli(SUCCEEDS), "absent.csv", 1)

    assert (await load(bench.cli(SUCCEEDS, turn_seconds=0), NAME, 1)).exit_code == 0


def test_a_template_without_a_file_is_refused_at_once(bench: Bench) -> None:
    with pytest.raises(ValueError, match=r"must hold \{filename\}"):
        SubprocessCli(CommandTemplate.parse("cli process"), bench.out, PATIENCE)


DOCKER = """#!/bin/sh
echo "$@" >> "{log}"
case "$1" in run) trap '' TERM; exec sleep 60;; esac
"""


async def test_a_container_past_its_time_is_killed_by_its_name(bench: Bench) -> None:
    docker, log = bench.path / "docker", bench.path / "log"
    docker.write_text(DOCKER.format(log=log))
    docker.chmod(0o755)
    template = CommandTemplate.parse(f"{docker} run --rm image process --file /data/{{filename}}")
    run = await load(SubprocessCli(template, bench.out, 2.0, grace_seconds=0.2), NAME, 2)

    name = "globeco-transactions_20260302_160000_7-2"
    assert run.exit_code is None
    assert log.read_text().splitlines() == [
        f"run --name {name} image process --file /data/{NAME}",
        f"kill {name}",
    ]


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        ("", DeliveryStatus.DELIVERED, ""),
        ("refuse-all", DeliveryStatus.FAILED, "0 of 2 records booked, 2 refused"),
        ("server-down", DeliveryStatus.FAILED, "2 not known to be booked"),
        ("killed", DeliveryStatus.FAILED, "exit code -9"),
        ("exit-1", DeliveryStatus.FAILED, "failed on request"),
        ("garbage", DeliveryStatus.FAILED, "printed no counts"),
        ("unreadable-answer", DeliveryStatus.FAILED, "2 not known to be booked"),
        ("hang", DeliveryStatus.FAILED, "killed past its time limit"),
    ],
)
async def test_a_delivery_has_the_outcome_that_its_run_earned(
    bench: Bench, fault: str, status: DeliveryStatus, error: str
) -> None:
    ids = "683b6b9620f302c879a5fef4,68336002fe95851f0a2aeda9"
    rows = "".join(f"{ids},AC{number},BUY,100.00000000,50.12500000,20260302\n" for number in (1, 2))
    header = "portfolio_id,security_id,source_id,transaction_type,quantity,price,transaction_date\n"
    bench.file.write_text(header + rows)
    template = CommandTemplate.parse(
        f"{sys.executable} -m globeco_allocation.entrypoints.simulated.accounting_cli"
        " process --file {filename} --output-dir {output_dir}"
    )
    environment = {**os.environ, "SIMULATED_ACCOUNTING_FAULT": fault}
    limit = 2.0 if fault == "hang" else PATIENCE
    cli = SubprocessCli(template, bench.out, limit, grace_seconds=1, environment=environment)
    deliveries = MemoryDeliveries(MemoryDatabase(MemoryClock()))
    delivery = await deliveries.claimed(2, NAME)
    await deliveries.written(delivery.id, WrittenFile(2, bench.file.stat().st_size, ""))
    (delivery,) = await deliveries.of_batch(2)
    outcome = await DeliverFile(deliveries, cli, MemoryFiles())(delivery)

    assert outcome.status is status
    assert error in outcome.error
    assert bench.file.read_text() == header + rows
