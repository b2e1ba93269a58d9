"""``docker run`` as the accounting CLI: one container for an attempt, found by its name whoever died."""

import asyncio
import json
import signal
import sys
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.accounting.bench import NAME, PATIENCE, Bench, load
from tests.accounting.permit import Permit
from tests.processes import has_ended

from globeco_allocation.adapters.subprocess_cli import CommandTemplate, SubprocessCli
from globeco_allocation.domain.accounting_run import PrintedCounts
from globeco_allocation.domain.errors import CliNotStartedError, RunNotFollowedError

RUN = "allocation-20260302-160000-7-a1"
RESULTS = "=== Processing Results ===\\nTotal Records: 1\\nSuccess Records: 1\\nError Records: 0"
SUCCEEDS = f'import sys\nprint("{RESULTS}")\nprint("processing failed: a word", file=sys.stderr)'
WAITS = f"""
import os, sys, time
print("begun", flush=True)
patience = time.monotonic() + 60
while not os.path.exists("go") and time.monotonic() < patience: time.sleep(0.01)
print("{RESULTS}")
"""
IGNORES_TERM = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{WAITS}"


class Engine:
    """The fake engine, and a runner that uses it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.path = bench.path / "engine"
        self.path.mkdir()
        self.program = self.path / "docker"
        source = Path(__file__).with_name("fake_docker.py").read_text()
        self.program.write_text(f"#!{sys.executable}\n{source}")
        self.program.chmod(0o755)

    def cli(self, source: str | None = SUCCEEDS, timeout_seconds: float = PATIENCE) -> SubprocessCli:
        image = "absent"
        if source is not None:
            image = str(self.path / "image.py")
            Path(image).write_text(source)
        template = CommandTemplate.parse(
            f"{self.program} run --rm -v {{output_dir}}:/data {image} process --file /data/{{filename}}"
        )
        return SubprocessCli(template, self.bench.out, timeout_seconds, grace_seconds=1)

    def away(self, *, is_away: bool) -> None:
        if is_away:
            (self.path / "away").touch()
        else:
            (self.path / "away").unlink()

    def go(self) -> None:
        (self.path / "go").touch()

    def calls(self, command: str) -> list[str]:
        path = self.path / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(command)]

    def state(self, run: str = RUN) -> dict[str, str | int]:
        path = self.path / "containers" / run / "state.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def running(self, run: str = RUN) -> bool:
        return self.state(run).get("Status") == "running"

    def client(self) -> psutil.Process:
        record = json.loads((self.bench.out / f"{NAME}.run.json").read_text())
        return psutil.Process(int(record["uid"].split(":")[2]))


@pytest.fixture
def engine(bench: Bench) -> Generator[Engine]:
    engine = Engine(bench)
    yield engine
    for folder in (engine.path / "containers").glob("*"):
        with suppress(psutil.NoSuchProcess, KeyError):
            if engine.running(folder.name):
                psutil.Process(int(engine.state(folder.name)["Pid"])).kill()


async def left_running(engine: Engine, source: str = WAITS) -> None:
    """A container that goes on although the command that started it was killed."""
    asking = asyncio.create_task(load(engine.cli(source)))
    await engine.bench.until(engine.running)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    client = engine.client()
    client.kill()
    await engine.bench.until(lambda: has_ended(client))


async def test_a_container_is_named_labelled_and_kept(engine: Engine) -> None:
    run = await load(engine.cli())

    assert (run.exit_code, run.counts, run.complaint) == (
        0,
        PrintedCounts(1, 1, 0),
        "processing failed: a word",
    )
    (line,) = engine.calls("run")
    assert line.startswith(
        f"run --name {RUN} --label globeco.allocation.run={RUN} -v {engine.bench.out}:/data"
    )
    assert line.endswith(f"process --file /data/{NAME}")
    assert engine.state()["Status"] == "exited"


async def test_a_container_that_ended_is_told_of_again(engine: Engine) -> None:
    await load(engine.cli("import sys; sys.exit('processing failed: no header')"))
    again = Permit()
    run = await load(engine.cli(), permit=again)

    assert (run.exit_code, run.counts, run.complaint) == (1, None, "processing failed: no header")
    assert again.told == []
    assert len(engine.calls("run")) == 1


async def test_a_container_that_outlived_its_command_is_waited_for(engine: Engine) -> None:
    await left_running(engine)
    again = Permit()
    successor = asyncio.create_task(load(engine.cli(WAITS), permit=again))
    await asyncio.sleep(0.5)
    assert not successor.done()
    engine.go()
    run = await successor

    assert (run.exit_code, run.counts) == (0, PrintedCounts(1, 1, 0)), "from the engine's own copy"
    assert again.told == []
    assert len(engine.calls("run")) == 1


async def test_a_container_is_found_though_all_that_was_written_down_is_lost(engine: Engine) -> None:
    await left_running(engine)
    for path in engine.bench.out.iterdir():
        if path.is_file() and path != engine.bench.file:
            path.unlink()
    engine.go()
    await engine.bench.until(lambda: engine.state()["Status"] == "exited")
    again = Permit()
    run = await load(engine.cli(), permit=again)

    assert (run.exit_code, run.counts) == (0, PrintedCounts(1, 1, 0))
    assert again.told == []


async def test_the_next_run_of_a_lane_waits_for_a_container_that_outlived_its_command(engine: Engine) -> None:
    await left_running(engine)
    other = "transactions_20260302_170000_8.csv"
    (engine.bench.out / other).write_bytes(engine.bench.content)
    permit = Permit()
    following = asyncio.create_task(load(engine.cli(WAITS), other, permit=permit))
    await asyncio.sleep(0.5)
    begun = permit.begun
    engine.go()
    await following

    assert begun == 0
    assert len(engine.calls("run")) == 2


@pytest.mark.parametrize("program", [WAITS, IGNORES_TERM], ids=["ends on TERM", "ignores TERM"])
async def test_a_container_past_its_limit_is_ended(engine: Engine, program: str) -> None:
    run = await load(engine.cli(program, timeout_seconds=2))

    assert (run.exit_code, run.timed_out) == (None, True)
    assert engine.calls("container kill") == [f"container kill {RUN}"]
    assert engine.state()["Status"] == "exited"


async def test_a_container_that_outlived_its_command_is_ended_past_its_limit(engine: Engine) -> None:
    await left_running(engine)
    run = await load(engine.cli(WAITS, timeout_seconds=2))

    assert (run.exit_code, run.timed_out) == (None, True)
    assert engine.calls("container stop") == [f"container stop -t 1 {RUN}"]


async def test_while_the_engine_is_away_nothing_is_started(engine: Engine) -> None:
    engine.away(is_away=True)
    permit = Permit()
    with pytest.raises(RunNotFollowedError, match="gave no answer"):
        await load(engine.cli(), permit=permit)
    engine.away(is_away=False)
    run = await load(engine.cli(), permit=permit)

    assert run.exit_code == 0
    assert permit.begun == 1


async def test_without_its_program_an_engine_gives_no_answer(engine: Engine) -> None:
    cli = engine.cli()
    engine.program.unlink()

    with pytest.raises(RunNotFollowedError, match="gave no answer"):
        await load(cli)


async def test_an_engine_that_went_away_in_a_run_is_asked_again(engine: Engine) -> None:
    asking = asyncio.create_task(load(engine.cli(WAITS)))
    await engine.bench.until(engine.running)
    engine.away(is_away=True)
    engine.client().send_signal(signal.SIGKILL)
    with pytest.raises(RunNotFollowedError):
        await asking
    engine.away(is_away=False)
    engine.go()
    run = await load(engine.cli(WAITS))

    assert run.counts == PrintedCounts(1, 1, 0)
    assert len(engine.calls("run")) == 1


async def test_a_name_that_is_taken_meanwhile_is_the_run(engine: Engine) -> None:
    (engine.path / "slow-create").touch()
    asking = asyncio.create_task(load(engine.cli(WAITS)))
    await engine.bench.until(lambda: len(engine.calls("run")) == 1)
    (engine.path / "image.py").write_text(WAITS)
    other = await asyncio.create_subprocess_exec(engine.program, "_shim", *_rival(engine))
    await engine.bench.until(engine.running)
    (engine.path / "slow-create").unlink()
    await asyncio.sleep(0.5)
    assert not asking.done()
    engine.go()
    run = await asking
    await other.wait()

    assert (run.exit_code, run.counts) == (0, PrintedCounts(1, 1, 0))
    assert len(engine.calls("run")) == 1


def _rival(engine: Engine) -> tuple[str, str]:
    """What starts a container of the run's name behind the runner's back."""
    (engine.path / "containers" / RUN).mkdir(parents=True)
    return RUN, str(engine.path / "image.py")


@pytest.mark.parametrize(
    ("source", "reason"),
    [(None, "pull access denied"), ("", "failed to create task")],
    ids=["no such image", "no such program in it"],
)
async def test_a_container_that_never_began_was_not_started(
    engine: Engine, source: str | None, reason: str
) -> None:
    cli = engine.cli(source)
    if source is not None:
        (engine.path / "image.py").unlink()

    with pytest.raises(CliNotStartedError, match=f"the container engine refused .*{reason}"):
        await load(cli)
    assert engine.bench.file.exists()
    assert (await load(engine.cli(), NAME, 2)).exit_code == 0


async def test_old_containers_of_ours_are_removed_when_there_is_time(engine: Engine) -> None:
    cli = engine.cli()
    await load(cli, NAME, 1)
    await load(cli, NAME, 2)

    (line,) = engine.calls("container prune")
    assert line.split()[2:] == [
        "--force", "--filter", "label=globeco.allocation.run", "--filter", "until=86430s",
    ]  # fmt: skip
