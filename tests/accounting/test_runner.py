"""Runs of real processes: how they are started, how they end, and what they leave."""

import asyncio
import fcntl
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
from tests.accounting.bench import NAME, PATIENCE, Bench, load, order_for
from tests.accounting.permit import Permit
from tests.processes import has_ended

from globeco_allocation.adapters.subprocess_cli import CommandTemplate, SubprocessCli
from globeco_allocation.adapters.subprocess_cli.living_process import ProcessMark
from globeco_allocation.domain.accounting_run import PrintedCounts
from globeco_allocation.domain.errors import (
    CliNotStartedError,
    LeaseLostError,
    RunNotFollowedError,
    StoreUnavailableError,
)

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
    assert bench.leftovers() == [
        NAME,
        f"{NAME}.run.json",
        f"{NAME}.stderr.log",
        f"{NAME}.stdout.log",
    ]
    assert list((bench.out / ".running").iterdir()) == []


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


@pytest.mark.parametrize("program", [HANGS_WITH_A_CHILD, IGNORES_TERM], ids=["ends on TERM", "ignores TERM"])
async def test_a_run_past_its_time_is_killed_with_its_children(bench: Bench, program: str) -> None:
    began = time.monotonic()
    run = await load(bench.cli(program, timeout_seconds=3, grace_seconds=0.5), NAME, 1)
    took = time.monotonic() - began
    pids = [int(pid) for pid in (bench.out / "pids").read_text().split()]

    assert (run.exit_code, run.timed_out) == (None, True)
    assert 3 <= took < 9
    assert len(pids) == 2
    await bench.until(lambda: all(map(has_ended, pids)))


async def test_a_child_that_ignores_term_does_not_outlive_its_parent_that_heeds_it(bench: Bench) -> None:
    program = HANGS_WITH_A_CHILD.replace(
        '"import time', "\"import signal, time; signal.signal(15, signal.SIG_IGN); open('armed', 'w')"
    )
    run = await load(bench.cli(program, timeout_seconds=3, grace_seconds=20), NAME, 1)
    pids = [int(pid) for pid in (bench.out / "pids").read_text().split()]

    assert run.exit_code is None
    assert (bench.out / "armed").exists()
    await bench.until(lambda: all(map(has_ended, pids)))


async def test_a_run_that_ends_well_in_its_grace_counts_as_killed_all_the_same(bench: Bench) -> None:
    program = (
        f"import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(0))\n{SUCCEEDS}\ntime.sleep(60)"
    )
    run = await load(bench.cli(program, timeout_seconds=1.5), NAME, 1)

    assert (run.exit_code, run.timed_out, run.completed) == (None, True, False)


async def test_a_run_past_its_time_is_not_left_running_by_a_shutdown(bench: Bench) -> None:
    heeds = "import signal; signal.signal(15, lambda *_: open('warned', 'w').close())\n" + HANGS_WITH_A_CHILD
    cli = bench.cli(heeds, timeout_seconds=3, grace_seconds=PATIENCE)
    running = asyncio.create_task(load(cli, NAME, 1))
    await bench.until((bench.out / "warned").exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    pids = [int(pid) for pid in (bench.out / "pids").read_text().split()]

    await bench.until(lambda: all(map(has_ended, pids)))


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
    (bench.out / f"{NAME}.errors.csv.attempt-1").write_text("somebody's")
    for attempt in (1, 2, 3):
        await load(cli, NAME, attempt)

    errors = [name for name in bench.leftovers() if ".errors.csv" in name]
    assert errors == [
        f"{NAME}.errors.csv{ending}" for ending in ("", ".attempt-1", ".attempt-1.1", ".attempt-2")
    ]
    for kind in (".stdout.log", ".stderr.log", ".run.json"):
        kept = [name for name in bench.leftovers() if kind in name]
        assert kept == [f"{NAME}{kind}{ending}" for ending in ("", ".attempt-1", ".attempt-2")]


async def test_a_run_is_written_down_for_whoever_comes_after(bench: Bench) -> None:
    permit = Permit()
    await load(bench.cli(SUCCEEDS), NAME, 3, permit, lane=2, lane_count=4)
    path = bench.out / f"{NAME}.run.json"
    record = json.loads(path.read_text())

    assert (record["run"], record["attempt"]) == ("allocation-20260302-160000-7-a3", 3)
    assert (record["lane"], record["lane_count"]) == (2, 4)
    assert permit.told == ["begin", record["uid"]]
    assert ProcessMark.parse(record["uid"]) is not None
    assert path.stat().st_mode & 0o777 == 0o664


async def test_a_run_that_cannot_be_stored_as_identified_is_followed_all_the_same(bench: Bench) -> None:
    run = await load(bench.cli(SUCCEEDS), permit=Permit(loss=StoreUnavailableError("away")))

    assert run.exit_code == 0


async def test_a_run_whose_delivery_another_one_goes_on_with_is_left_to_it(bench: Bench) -> None:
    cli = bench.cli(f"import time\ntime.sleep(0.5)\n{SUCCEEDS}")
    with pytest.raises(LeaseLostError):
        await load(cli, permit=Permit(loss=LeaseLostError("lost")))
    successor = Permit()
    run = await load(cli, permit=successor)

    assert run.counts == PrintedCounts(1, 1, 0)
    assert successor.told == []


async def test_an_earlier_attempt_is_not_told_by_what_a_later_one_left(bench: Bench) -> None:
    cli = bench.cli(SUCCEEDS)
    await load(cli, NAME, 2)

    with pytest.raises(RunNotFollowedError, match="attempt 2 was begun"):
        await load(cli, NAME, 1)


async def test_a_run_whose_record_cannot_be_read_is_not_started_again(bench: Bench) -> None:
    cli = bench.cli(SUCCEEDS)
    await load(cli, NAME, 1)
    (bench.out / f"{NAME}.run.json").write_text("{")
    told = [await load(cli, NAME, 1) for _ in range(2)]

    assert [(run.exit_code, run.counts, run.completed) for run in told] == [(None, None, False)] * 2
    assert (await load(cli, NAME, 2)).exit_code == 0


async def test_a_known_run_whose_directory_was_lost_is_not_started_again(bench: Bench) -> None:
    permit = Permit()
    await load(bench.cli(SUCCEEDS), NAME, 1, permit)
    for path in bench.out.iterdir():
        if path.is_file():
            path.unlink()
    again = Permit()
    run = await load(bench.cli(SUCCEEDS), NAME, 1, again, uid=permit.told[1])

    assert (run.counts, run.completed) == (None, False)
    assert again.told == []


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
    assert list((bench.out / ".running").iterdir()) == []


async def test_too_long_an_argument_is_no_run(bench: Bench) -> None:
    template = CommandTemplate.parse(f"{sys.executable} -c {'x' * 200_000} {{filename}}")

    with pytest.raises(CliNotStartedError, match="too long"):
        await load(SubprocessCli(template, bench.out, PATIENCE), NAME, 1)


async def test_without_its_directory_nothing_starts_and_nothing_is_known(bench: Bench) -> None:
    cli, permit = bench.cli(SUCCEEDS), Permit()
    bench.out.rename(bench.path / "elsewhere")

    with pytest.raises(RunNotFollowedError, match="output directory is missing"):
        await load(cli, NAME, 1, permit)
    with pytest.raises(CliNotStartedError, match="output directory is missing"):
        await cli.check()
    assert permit.told == []


async def test_after_a_failed_start_the_lane_is_free(bench: Bench) -> None:
    with pytest.raises(CliNotStartedError):
        await load(bench.cli(SUCCEEDS), "absent.csv", 1)

    assert (await load(bench.cli(SUCCEEDS, timeout_seconds=1), NAME, 1)).exit_code == 0


async def test_a_check_finds_nothing_wrong_and_leaves_nothing(bench: Bench) -> None:
    await bench.cli(SUCCEEDS).check()

    assert [path.name for path in bench.out.iterdir()] == [NAME]


async def test_where_locks_keep_nobody_out_nothing_is_delivered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lets_everybody_in(_descriptor: int, _kind: int) -> None:
        """Lock as some network mounts do."""

    monkeypatch.setattr(fcntl, "flock", lets_everybody_in)

    with pytest.raises(CliNotStartedError, match="file locks do not work in OUTPUT_DIR"):
        await bench.cli(SUCCEEDS).check()


async def test_a_template_without_a_file_is_a_fault_where_it_is_used(bench: Bench) -> None:
    cli, permit = SubprocessCli(CommandTemplate.parse("cli process"), bench.out, PATIENCE), Permit()

    with pytest.raises(CliNotStartedError, match=r"CLI_COMMAND\) must hold \{filename\}"):
        await cli.check()
    with pytest.raises(CliNotStartedError, match=r"must hold \{filename\}"):
        await cli.run(order_for(), permit)
    assert permit.told == []
