"""No two runs touch a portfolio at a time: across tasks, processes, hosts, and runs whose parent died."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import uvloop
from tests.accounting.bench import NAME, PATIENCE, Bench, load
from tests.accounting.permit import Permit
from tests.processes import has_ended

from globeco_allocation.adapters.subprocess_cli.lane_lock import COMMON_NAME, lane_lock_name
from globeco_allocation.domain.accounting_run import PrintedCounts
from globeco_allocation.domain.errors import RunNotFollowedError

LOGS = """
import os, sys, time
log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(log, f"begin {sys.argv[1]}\\n".encode())
time.sleep(0.02)
os.write(log, f"end {sys.argv[1]}\\n".encode())
"""
RESULTS = "=== Processing Results ===\\nTotal Records: 1\\nSuccess Records: 1\\nError Records: 0"
WAITS = f"""
import os, sys, time
mark = sys.argv[1] + ".pid"
open("../" + mark + ".part", "w").write(str(os.getpid()))
os.rename("../" + mark + ".part", "../" + mark)
patience = time.monotonic() + 60
while not os.path.exists("../go") and time.monotonic() < patience: time.sleep(0.01)
os.unlink(sys.argv[1])
print("{RESULTS}")
open("../ended", "w")
"""
HANGS = WAITS.replace('"../go"', '"../never"')
DRIVER = """
import asyncio, sys
from pathlib import Path
from tests.accounting.bench import load
from globeco_allocation.adapters.subprocess_cli import CommandTemplate, SubprocessCli

async def main(command, out, *names):
    cli = SubprocessCli(CommandTemplate.parse(command), Path(out), 60)
    for name in names:
        await load(cli, name, 1)

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


@contextmanager
def run_without_its_parent(bench: Bench, source: str = WAITS) -> Generator[psutil.Process]:
    """A run of the first file that goes on although whoever started it was killed."""
    with another_process(bench, source, NAME) as parent:
        bench.until_now(lambda: started(bench))
        bench.until_now(lambda: json.loads(record_path(bench).read_text())["uid"] != "")
        parent.kill()
        parent.wait(PATIENCE)
    process = process_of(bench)
    try:
        yield process
    finally:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def started(bench: Bench, name: str = NAME) -> bool:
    return bench.marked(f"{name}.pid")


def process_of(bench: Bench, name: str = NAME) -> psutil.Process:
    return psutil.Process(int((bench.path / f"{name}.pid").read_text()))


def record_path(bench: Bench) -> Path:
    return bench.out / f"{NAME}.run.json"


async def test_runs_of_one_lane_never_overlap(bench: Bench) -> None:
    cli = bench.cli(LOGS)
    made = names(bench, 5)
    await asyncio.gather(*(load(cli, name, 1) for name in made))
    log = log_of(bench)

    assert len(log) == 10
    assert not overlapping(log)


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


async def test_runs_of_different_lanes_go_on_side_by_side(bench: Bench) -> None:
    made = names(bench, 3)
    cli = bench.cli(WAITS)
    running = [
        asyncio.create_task(load(cli, name, lane=lane, lane_count=3)) for lane, name in enumerate(made)
    ]
    await bench.until(lambda: all(started(bench, name) for name in made))
    bench.mark("go")

    assert [run.exit_code for run in await asyncio.gather(*running)] == [0, 0, 0]


async def test_another_lane_count_waits_for_every_run_of_the_old_one(bench: Bench) -> None:
    *old, new = names(bench, 3)
    cli = bench.cli(WAITS)
    running = [asyncio.create_task(load(cli, name, lane=lane, lane_count=2)) for lane, name in enumerate(old)]
    await bench.until(lambda: all(started(bench, name) for name in old))
    changed = asyncio.create_task(load(bench.cli(LOGS), new, lane=3, lane_count=4))
    await asyncio.sleep(0.3)
    assert not changed.done()
    assert not (bench.out / "log").exists()
    bench.mark("go")
    runs = await asyncio.gather(*running, changed)

    assert [run.exit_code for run in runs] == [0, 0, 0]
    assert (bench.out / COMMON_NAME).read_text() == "4"


async def test_lane_counts_that_keep_changing_all_have_their_turn(bench: Bench) -> None:
    made = names(bench, 6)
    cli = bench.cli(LOGS)
    await asyncio.gather(*(load(cli, name, lane=0, lane_count=1 + at % 3) for at, name in enumerate(made)))

    assert not overlapping(log_of(bench))


def test_a_run_whose_parent_was_killed_is_found_waited_for_and_told_of(bench: Bench) -> None:
    with run_without_its_parent(bench) as process:
        permit = Permit()

        async def successor() -> tuple[int | None, PrintedCounts | None]:
            waiting = asyncio.create_task(load(bench.cli(WAITS), NAME, 1, permit))
            await asyncio.sleep(0.3)
            assert not waiting.done()
            bench.mark("go")
            run = await waiting
            return run.exit_code, run.counts

        told = asyncio.run(successor())

    assert told == (None, PrintedCounts(1, 1, 0))
    assert permit.told == [], "it was not started again"
    assert has_ended(process)
    assert bench.file.read_bytes() == bench.content, "its file, which it deleted, is there again"


def test_a_run_whose_parent_was_killed_keeps_its_lane_until_it_ends(bench: Bench) -> None:
    (next_file,) = names(bench, 1)
    with run_without_its_parent(bench):
        patient = bench.cli(LOGS)

        async def next_one() -> None:
            waiting = asyncio.create_task(load(patient, next_file))
            await asyncio.sleep(0.5)
            assert not (bench.out / "log").exists()
            bench.mark("go")
            await waiting

        asyncio.run(next_one())

    assert bench.marked("ended")
    assert log_of(bench) == [f"begin {next_file}", f"end {next_file}"]


@pytest.mark.parametrize("asked_again", [True, False], ids=["its own order", "the next one of its lane"])
def test_a_run_past_its_limit_is_ended_by_whoever_comes_after_its_parent(
    bench: Bench, asked_again: bool
) -> None:
    (next_file,) = names(bench, 1)
    with run_without_its_parent(bench, HANGS) as process:
        limit = bench.cli(LOGS, timeout_seconds=1.5, grace_seconds=2)
        if not asked_again:
            asyncio.run(load(limit, next_file))
        run = asyncio.run(load(limit, NAME))

        assert has_ended(process)
    assert (run.exit_code, run.timed_out, run.completed) == (None, True, False)
    assert bench.file.exists()


def test_a_run_whose_parent_died_before_writing_it_down_is_found_by_its_output(bench: Bench) -> None:
    with run_without_its_parent(bench, HANGS) as process:
        record = json.loads(record_path(bench).read_text())
        record_path(bench).write_text(json.dumps({**record, "uid": ""}))
        run = asyncio.run(load(bench.cli(LOGS, timeout_seconds=1.5, grace_seconds=2), NAME))

        assert has_ended(process)
    assert run.timed_out


def test_a_run_of_another_host_is_waited_for_and_never_ended(bench: Bench) -> None:
    permit = Permit()
    with run_without_its_parent(bench, HANGS) as process:
        record = json.loads(record_path(bench).read_text())
        record_path(bench).write_text(json.dumps({**record, "host": "elsewhere", "uid": ""}))
        hasty = bench.cli(LOGS, timeout_seconds=1, grace_seconds=0.2)

        with pytest.raises(RunNotFollowedError, match="has not had its turn"):
            asyncio.run(load(hasty, NAME, 1, permit))
        assert not has_ended(process)
    assert permit.told == []


@pytest.mark.parametrize("order", ["its own", "the next one's", "another lane count's"])
def test_a_run_whose_locks_somebody_removed_is_waited_for_all_the_same(bench: Bench, order: str) -> None:
    (next_file,) = names(bench, 1)
    with run_without_its_parent(bench):
        for name in (COMMON_NAME, lane_lock_name(0)):
            (bench.out / name).unlink()

        async def successor() -> None:
            name = NAME if order == "its own" else next_file
            count = 2 if order == "another lane count's" else 1
            waiting = asyncio.create_task(load(bench.cli(LOGS), name, lane_count=count))
            await asyncio.sleep(0.5)
            assert not (bench.out / "log").exists()
            assert not waiting.done()
            bench.mark("go")
            await waiting

        asyncio.run(successor())

    assert bench.marked("ended")
    assert (bench.out / "log").exists() == (order != "its own")


def test_a_run_known_by_its_process_is_waited_for_when_its_directory_was_lost(bench: Bench) -> None:
    permit = Permit()
    with run_without_its_parent(bench, WAITS.replace("os.unlink(sys.argv[1])", "")):
        uid = json.loads(record_path(bench).read_text())["uid"]
        for path in bench.out.iterdir():
            if path.is_file():
                path.unlink()

        async def successor() -> None:
            waiting = asyncio.create_task(load(bench.cli(LOGS), NAME, 1, permit, uid=uid))
            await asyncio.sleep(0.5)
            assert not waiting.done()
            bench.mark("go")
            await waiting

        asyncio.run(successor())

    assert permit.told == []
    assert not (bench.out / "log").exists()


def test_a_parent_that_is_paused_keeps_nobody_waiting(bench: Bench) -> None:
    (next_file,) = names(bench, 1)
    with another_process(bench, WAITS, NAME) as parent:
        bench.until_now(lambda: started(bench))
        bench.until_now(lambda: json.loads(record_path(bench).read_text())["uid"] != "")
        parent.send_signal(signal.SIGSTOP)
        bench.mark("go")
        told = asyncio.run(load(bench.cli(LOGS), NAME))
        asyncio.run(load(bench.cli(LOGS), NAME, 2))
        asyncio.run(load(bench.cli(LOGS), next_file))
        parent.send_signal(signal.SIGCONT)
        code = parent.wait(PATIENCE)

    assert told.counts == PrintedCounts(1, 1, 0)
    assert code != 0, "the paused one is told that a later attempt was begun"
    assert json.loads(record_path(bench).read_text())["attempt"] == 2
    assert len(log_of(bench)) == 4


@pytest.mark.parametrize("loop", LOOPS)
def test_a_run_goes_on_when_the_service_shuts_down(bench: Bench, loop: str) -> None:
    cli = bench.cli(WAITS)

    async def shut_down() -> None:
        running = asyncio.create_task(load(cli, NAME, 1))
        await bench.until(lambda: started(bench))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(shut_down())
    process = process_of(bench)

    assert not has_ended(process)
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(load(bench.cli(LOGS), NAME, 2), 0.3))
    assert not (bench.out / "log").exists()
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
    await bench.until(lambda: started(bench, first))
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
    await bench.until(lambda: started(bench))
    waiting = asyncio.create_task(load(bench.cli(LOGS), other, 1))
    await asyncio.sleep(0.25)
    assert not waiting.done()
    bench.mark("go")  # which a stopped loop would never come to
    runs = await asyncio.gather(running, waiting)

    assert [run.exit_code for run in runs] == [0, 0]


async def test_a_lock_file_that_somebody_removed_is_made_again(bench: Bench) -> None:
    cli = bench.cli(LOGS)
    await load(cli, NAME, 1)
    (bench.out / lane_lock_name(0)).unlink()

    assert (await load(cli, NAME, 2)).exit_code == 0


async def test_a_run_that_is_cancelled_while_it_starts_goes_on(bench: Bench) -> None:
    class CancelsAtTheStart(Permit):
        async def begin(self) -> None:
            await super().begin()
            asyncio.get_running_loop().call_soon(running.cancel)

    permit = CancelsAtTheStart()
    running = asyncio.create_task(load(bench.cli(WAITS), NAME, 1, permit))
    with pytest.raises(asyncio.CancelledError):
        await running
    bench.mark("go")
    again = Permit()
    run = await load(bench.cli(LOGS), NAME, 1, again)

    assert (permit.told, again.told) == (["begin"], [])
    assert run.counts == PrintedCounts(1, 1, 0)
    assert bench.file.read_bytes() == bench.content


async def test_a_run_that_is_cancelled_before_its_permit_was_never_begun(bench: Bench) -> None:
    asked = asyncio.Event()

    class NeverAnswers(Permit):
        async def begin(self) -> None:
            asked.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(load(bench.cli(LOGS), NAME, 1, NeverAnswers()))
    await asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    again = Permit()
    await load(bench.cli(LOGS), NAME, 1, again)

    assert again.begun == 1
    assert len(log_of(bench)) == 2
