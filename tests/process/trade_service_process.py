"""A simulated Trade Service as a process of its own."""

import signal
import socket
import subprocess
import sys
from typing import Self


class TradeServiceProcess:
    """A simulated Trade Service that can be stopped, or hang, and come back at the same address."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it, and stop it with the block."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        module = "globeco_allocation.entrypoints.simulated.trade_service"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, "--port", str(self._port)], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it listens

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def hang(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        if self._process is None:
            self.start()
        else:
            self._process.send_signal(signal.SIGCONT)
