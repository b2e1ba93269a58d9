"""No two runs touch accounting at a time: across tasks, processes, and runs whose parent died."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

import psutil
import pytest
import uvloop
from tests.accounting.bench import NAME, PATIENCE, Bench, load

from globeco_allocation.adapters.subprocess_cli import CommandTemplate, SubprocessCli
from globeco_allocation.domain import CliNotStartedError

LOGS = """
import os, sys, time
log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(log, f"begin {sys.argv[1]}\\n".encode())
time.sleep(0.02)
os.write(log, f"end {sys.argv[1]}\\n".encode())
"""
WAITS = """
import os, sys, time
open("../pid.part", "w").write(str(os.getpid()))
os.rename("../pid.part", "../pid")
patience = time.monotonic() + 60
while not os.path.exists("../go") and time.monotonic() < patience: time.sleep(0.01)
os.unlink(sys.argv[1])
open("../ended", "w")
"""
DRIVER = """
import asyncio, sys
from pathlib import Path
from globeco_allocation.adapters.subprocess_cli import CommandTemplate, SubprocessCli

async def main(command, out, *names):
    cli = SubprocessCli(CommandTemplate.parse(command), Path(out), 60)
    for name in names:
        async with cli.turn() as turn:
            await turn.run(name, 1)

asyncio.run(main(*sys.argv[1:]))
"""

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def names(bench: Bench, count: int) -> list[str]:
    made = [f"transactions_20260302_160000_{number}.csv" for number in range(count)]
    for name in made:
        (bench.out / name).write_bytes(bench.content)
    return made


def log_of(bench: Bench) -> list[str]:
    return (bench.out / "log").read_text().splitlines()


def overlapping(log: list[str]) -> bool:
    begun, ended = log[::2], log[1::2]
    return [line.replace("begin", "end") for line in begun] != ended


@contextmanager
def another_process(bench: Bench, source: str, *files: str) -> Generator[subprocess.Popen[bytes]]:
    command = bench.command(source)
    with subprocess.Popen([sys.executable, "-c", DRIVER, command, str(bench.out), *files]) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_runs_of_one_process_follow_one_another_in_order(bench: Bench) -> None:
    cli = bench.cli(LOGS)
    made = names(bench, 5)
    await asyncio.gather(*(load(cli, name, 1) for name in made))

    assert log_of(bench) == [line for name in made for line in (f"begin {name}", f"end {name}")]


def test_runs_of_several_processes_never_overlap(bench: Bench) -> None:
    made = names(bench, 9)
    with (
        another_process(bench, LOGS, *made[:3]) as one,
        another_process(bench, LOGS, *made[3:6]) as two,
        another_process(bench, LOGS, *made[6:]) as three,
    ):
        codes = [process.wait(PATIENCE) for process in (one, two, three)]
    log = log_of(bench)

    assert codes == [0, 0, 0]
    assert len(log) == 18
    assert not overlapping(log)


def test_a_run_whose_parent_was_killed_keeps_its_turn_until_it_ends(bench: Bench) -> None:
    (next_file,) = names(bench, 1)
    with another_process(bench, WAITS, NAME) as parent:
        bench.until_now(lambda: bench.marked("pid"))
        parent.send_signal(signal.SIGKILL)
        parent.wait(PATIENCE)
        hasty = bench.cli(LOGS, turn_seconds=0.3)

        with pytest.raises(CliNotStartedError, match=r"another run went on for over 0\.3 s"):
            asyncio.run(load(hasty, next_file, 1))
        assert not (bench.out / "log").exists()

        patient = bench.cli(LOGS)
        bench.mark("go")
        run = asyncio.run(load(patient, next_file, 1))

    assert run.exit_code == 0
    assert bench.marked("ended")
    assert bench.file.read_bytes() == bench.content, "its file, which it deleted, is there again"


@pytest.mark.parametrize("loop", LOOPS)
def test_a_run_goes_on_when_the_service_shuts_down(bench: Bench, loop: str) -> None:
    cli = bench.cli(WAITS)

    async def shut_down() -> None:
        running = asyncio.create_task(load(cli, NAME, 1))
        await bench.until(lambda: bench.marked("pid"))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(shut_down())
    process = psutil.Process(int((bench.path / "pid").read_text()))

    assert process.is_running()
    assert process.status() != psutil.STATUS_ZOMBIE
    with pytest.raises(CliNotStartedError, match="another run went on"):
        asyncio.run(load(bench.cli(LOGS, turn_seconds=0.2), NAME, 2))
    bench.mark("go")
    bench.until_now(lambda: bench.marked("ended"))
    bench.until_now(lambda: not process.is_running())  # and nobody waits for it


@pytest.mark.parametrize("loop", LOOPS)
def test_runs_work_on_every_event_loop(bench: Bench, loop: str) -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        run = runner.run(load(bench.cli("import time; time.sleep(0.1)"), NAME, 1))

    assert run.exit_code == 0


async def test_who_gives_up_waiting_for_a_turn_leaves_it_to_the_next(bench: Bench) -> None:
    first, second, third = names(bench, 3)
    cli, others = bench.cli(WAITS), bench.cli(LOGS)
    running = asyncio.create_task(load(cli, first, 1))
    await bench.until(lambda: bench.marked("pid"))
    waiting = [asyncio.create_task(load(one, second, 1)) for one in (cli, others)]
    await asyncio.sleep(0.25)
    for task in waiting:
        task.cancel()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    bench.mark("go")
    await running
    run = await load(others, third, 1)

    assert [type(one) for one in ended] == [asyncio.CancelledError] * 2
    assert run.exit_code == 0
    assert log_of(bench) == [f"begin {third}", f"end {third}"]


async def test_a_turn_is_awaited_without_stopping_the_event_loop(bench: Bench) -> None:
    (other,) = names(bench, 1)
    running = asyncio.create_task(load(bench.cli(WAITS), NAME, 1))
    await bench.until(lambda: bench.marked("pid"))
    waiting = asyncio.create_task(load(bench.cli(LOGS), other, 1))
    await asyncio.sleep(0.25)
    assert not waiting.done()
    bench.mark("go")  # which a stopped loop would never come to
    runs = await asyncio.gather(running, waiting)

    assert [run.exit_code for run in runs] == [0, 0]


async def test_a_lock_file_that_somebody_removed_is_made_again(bench: Bench) -> None:
    cli = bench.cli(LOGS)
    await load(cli, NAME, 1)
    (bench.out / ".lane-0.lock").unlink()

    assert (await load(cli, NAME, 2)).exit_code == 0


async def test_a_run_can_be_cancelled_while_it_starts(bench: Bench) -> None:
    cli = bench.cli(WAITS)
    running = asyncio.create_task(load(cli, NAME, 1))
    await bench.until((bench.out / f"{NAME}.stdout.log").exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    bench.mark("go")
    (other,) = names(bench, 1)
    await load(bench.cli(LOGS), other, 1)

    assert bench.marked("ended")
    assert bench.file.read_bytes() == bench.content, "the next turn put it back"


async def test_recovery_waits_for_nobody(bench: Bench) -> None:
    running = asyncio.create_task(load(bench.cli(WAITS), NAME, 1))
    await bench.until(lambda: bench.marked("pid"))
    await asyncio.wait_for(bench.cli(LOGS).recover(), PATIENCE)

    assert not running.done()
    bench.mark("go")
    await running


def test_a_restart_puts_back_what_a_run_deleted_after_its_parent_died(bench: Bench) -> None:
    with another_process(bench, WAITS, NAME) as parent:
        bench.until_now(lambda: bench.marked("pid"))
        parent.kill()
        parent.wait(PATIENCE)
    process = psutil.Process(int((bench.path / "pid").read_text()))
    bench.mark("go")
    bench.until_now(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    assert not bench.file.exists()
    asyncio.run(bench.cli(LOGS).recover())

    assert bench.file.read_bytes() == bench.content


async def test_recovery_without_a_directory_does_nothing(bench: Bench) -> None:
    template = CommandTemplate.parse("cli {filename}")
    await SubprocessCli(template, bench.path / "absent", PATIENCE).recover()

    assert not bench.marked("absent")
