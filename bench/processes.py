"""The processes that are measured: started, waited for, watched, ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_PATIENCE_SECONDS = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """Something under measurement did not do what it must."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers.

    Attributes:
        port: Where it listens, on this machine.
        process: Its process; workers are its children.
        ready_seconds: From its start until it was ready.
    """

    port: int
    process: "subprocess.Popen[bytes]"
    ready_seconds: float

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """CPU time of the process and its living children, without those that have ended."""
        return sum(sum(one.cpu_times()[:2]) for one in self._family())

    def memory_mib(self) -> float:
        """Resident memory, pages that several of its processes share counted once."""
        return sum(_proportional_kib(one.pid) for one in self._family()) / 1024

    def peak_mib(self) -> float:
        """The largest resident memory that the process ever had; `forget_peak` begins anew."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise BenchError("the kernel does not say the peak of a process's memory")

    def forget_peak(self) -> None:
        """Let the peak be what it is now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def get(self, path: str) -> bytes:
        """GET a path."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=_PATIENCE_SECONDS) as answer:
            return answer.read()

    def post(self, path: str, headers: Mapping[str, str] | None = None) -> dict[str, object]:
        """POST nothing to a path."""
        request = urllib.request.Request(f"{self.url}{path}", data=b"", headers=dict(headers or {}))
        with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS) as answer:
            return json.loads(answer.read())

    def _family(self) -> list[psutil.Process]:
        family = psutil.Process(self.process.pid)
        return [family, *family.children(recursive=True)]


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def server(
    arguments: list[str],
    port: int,
    environ: Mapping[str, str],
    *,
    ready: str | None = None,
    log: Path | None = None,
) -> Generator[Running]:
    """Run ``python -m ARGUMENTS`` until the block ends.

    Args:
        arguments: The module and what it is given.
        port: Where it will listen.
        environ: Its environment, beside ours.
        ready: A path that answers 200 when it is ready; else it is once it accepts connections.
        log: Where its standard output goes; as deployed, it is written either way.

    Raises:
        BenchError: it ended, or was not ready in time.
    """
    start = time.perf_counter()
    with (log or Path(os.devnull)).open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=out,
        )
    try:
        _wait(process, port, ready, " ".join(arguments))
        yield Running(port, process, time.perf_counter() - start)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, ready: str | None, what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchError(f"{what} ended with exit code {process.returncode}")
        with suppress(OSError):
            if ready is None:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{ready}", timeout=1):
                return
        time.sleep(0.01)
    raise BenchError(f"{what} was not ready in time")


def _proportional_kib(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
