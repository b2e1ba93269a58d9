"""Whatever ends `demo` and `dev`, nothing that they started outlives them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from tests.processes import command_line

PATIENCE_SECONDS = 60.0


def wait_until(what: Callable[[], bool], about: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:.0f} s: {about}"
        time.sleep(0.02)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


class Started:
    """A command that runs, and whatever it started; its temporary files are in *temporary*."""

    def __init__(self, process: "subprocess.Popen[str]", temporary: Path) -> None:
        self.process = process
        self.temporary = temporary

    def family(self) -> list[psutil.Process]:
        """Return its processes, those in sessions of their own included."""
        found: list[psutil.Process] = []
        for one in psutil.process_iter():
            with suppress(psutil.Error):
                if one.environ().get("TMPDIR") == str(self.temporary) and one.status() != "zombie":
                    found.append(one)
        return found

    def says(self, words: str) -> None:
        """Wait until it says so."""
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            if words in line:
                return
        pytest.fail(f"ended without {words!r}: {said}")

    def runs(self, word: str) -> bool:
        return any(word in command_line(one) for one in self.family())


@contextmanager
def started(arguments: Sequence[str], temporary: Path) -> Generator[Started]:
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, "-m", "globeco_allocation", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        running = Started(process, temporary)
        try:
            yield running
        finally:
            for left in running.family():
                with suppress(psutil.Error):
                    left.kill()


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    made = tmp_path / "temporary"
    made.mkdir()
    made.chmod(0o777)
    return made


def dev(folder: Path) -> list[str]:
    return ["dev", "--port", free_port(), "--trade-service-port", free_port(), "--folder", str(folder)]


def demo(folder: Path) -> list[str]:
    return ["demo", "--output", str(folder)]


@pytest.mark.parametrize("when", ["postgres", "trade_service", "globeco_allocation serve"])
@pytest.mark.parametrize(
    "case",
    [
        (dev, signal.SIGHUP, 0),
        (dev, signal.SIGTERM, 0),
        (demo, signal.SIGTERM, 143),
        (demo, signal.SIGINT, 130),
    ],
)
def test_a_signal_ends_everything_whenever_it_comes(
    case: tuple[Callable[[Path], list[str]], signal.Signals, int], when: str, tmp_path: Path, temporary: Path
) -> None:
    command, number, code = case
    with started(command(tmp_path / "of ours"), temporary) as running:
        wait_until(lambda: running.runs(when), f"{when} runs")
        running.process.send_signal(number)
        output, _ = running.process.communicate(timeout=PATIENCE_SECONDS)

        assert running.process.returncode == code, output
        assert running.family() == []
        assert list(temporary.iterdir()) == []
        assert "Traceback" not in output


def test_a_second_signal_does_not_cut_the_clean_up_short(tmp_path: Path, temporary: Path) -> None:
    with started(dev(tmp_path / "dev-data"), temporary) as running:
        running.says("Ctrl-C stops")
        while running.process.poll() is None:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                with suppress(ProcessLookupError):
                    running.process.send_signal(number)
            time.sleep(0.05)

        assert running.process.returncode == 0
        assert running.family() == []
        assert list(temporary.iterdir()) == []


def test_a_database_that_a_killed_run_left_behind_is_taken_over_and_stopped(
    tmp_path: Path, temporary: Path
) -> None:
    folder = tmp_path / "dev-data"
    with started(dev(folder), temporary) as killed:
        killed.says("Ctrl-C stops")
        killed.process.kill()
        killed.process.wait(PATIENCE_SECONDS)
        with started(dev(folder), temporary) as running:
            running.says("Ctrl-C stops")
            running.process.terminate()
            running.process.wait(PATIENCE_SECONDS)

            assert not running.runs("postgres")
