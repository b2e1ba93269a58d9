"""A server process under test, and what it says."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any

import psutil
from tests.processes import command_line

from globeco_allocation.entrypoints.stack import call

PATIENCE_SECONDS = 30.0
"""Longer than anything takes on a busy machine; a test that waits for so long has failed."""


def wait_until(what: Callable[[], bool], about: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for a condition, looking often."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s: {about}"
        time.sleep(0.02)


class ServiceProcess:
    """``globeco-allocation serve`` as a real process; made by `service_process`."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        self.stderr = ""
        self._hanging_up = False
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read_log, args=(process.stdout,)),
            threading.Thread(target=self._read_stderr, args=(process.stderr,)),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def url(self) -> str:
        """Where it answers; waits until it listens."""
        return f"http://127.0.0.1:{self.logged('listening')['port']}"

    def logged(self, message: str) -> dict[str, Any]:
        """Wait until it has logged *message*, and return the line."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            over = self.process.poll() is not None and not self._reading()
            found.extend(line for line in tuple(self.log) if line.get("message") == message)
            assert found or not over, f"ended without saying {message!r}"
            return bool(found)

        wait_until(look, f"the log says {message!r}")
        return found[0]

    def hang_up_on_its_log(self) -> None:
        """Close our end of its standard output, after a request that it logs."""
        self._hanging_up = True
        self.get("/api/v1/executions?limit=1")
        self._readers[0].join(PATIENCE_SECONDS)
        assert not self._readers[0].is_alive()

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """GET a path."""
        return call(f"{self.url}{path}", seconds=PATIENCE_SECONDS)

    def post(self, path: str, body: object) -> tuple[int, dict[str, Any]]:
        """POST a body to a path."""
        return call(f"{self.url}{path}", json.dumps(body).encode(), seconds=PATIENCE_SECONDS)

    def is_ready(self) -> bool:
        """Tell whether it is ready now."""
        return self.get("/readyz")[0] == 200

    def database_check(self) -> str:
        """Return what it says of its database."""
        return str(self.get("/readyz")[1]["checks"].get("database"))

    def is_connected(self) -> bool:
        """Tell whether somebody is connected to it."""
        port = int(self.url.rpartition(":")[2])
        connections = psutil.Process(self.process.pid).net_connections("tcp")
        return any(one.status == psutil.CONN_ESTABLISHED and one.laddr[1] == port for one in connections)

    def children(self, word: str) -> list[psutil.Process]:
        """Return the processes it started that have *word* in their command lines."""
        return [one for one in psutil.Process(self.process.pid).children() if word in command_line(one)]

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal, unless it has ended."""
        self.process.send_signal(number)

    def exit_code(self) -> int:
        """Wait for its end."""
        code = self.process.wait(PATIENCE_SECONDS)
        for reader in self._readers:
            reader.join(PATIENCE_SECONDS)
        return code

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        with suppress(ProcessLookupError):  # workers that are left would keep our pipes open
            os.killpg(self.process.pid, signal.SIGKILL)
        self.exit_code()

    def _reading(self) -> bool:
        return any(reader.is_alive() for reader in self._readers)

    def _read_log(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self.log.append(json.loads(line))
                if self._hanging_up:
                    break

    def _read_stderr(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self.stderr += line.decode()


@contextmanager
def service_process(settings: Mapping[str, str]) -> Generator[ServiceProcess]:
    """Start the service with these settings over a clean environment, and end it with the block."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **settings}
    process = subprocess.Popen(
        [sys.executable, "-m", "globeco_allocation", "serve"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    service = ServiceProcess(process)
    try:
        yield service
    finally:
        service.close()


@contextmanager
def trade_service_process(delay_ms: float) -> Generator[str]:
    """Run a Trade Service that knows every execution and takes so many milliseconds; yields its address."""
    command = [sys.executable, "-m", "globeco_allocation.entrypoints.simulated.trade_service"]
    with subprocess.Popen(
        [*command, "--port", "0", "--delay-ms", str(delay_ms)], stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().decode().split()[-1]
        finally:
            process.terminate()
            process.wait(10)
