"""Services of their own databases and neighbours, for causes to be made."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from psycopg import sql
from tests.http.bench import report
from tests.process.service_process import wait_until

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.migrate import migrate
from globeco_allocation.entrypoints.stack import call, simulated_cli_command


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class Place:
    """One service, alone in its namespace, with a database, a directory and neighbours of its own."""

    def __init__(self, name: str, directory: Path, server: DatabaseAddress, stack: ExitStack) -> None:
        self.name = name
        self.port, self.trade_port = free_port(), free_port()
        self.directory = directory / name
        self.directory.mkdir()
        self.files, self.fault = self.directory / "files", self.directory / "fault"
        self.database = replace(server, name=f"alarms_{name}")
        with connect(server, {}) as owner:
            owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.database.name)))
        migrate(self.database, lambda _: None)
        self.settings: dict[str, str] = {}
        self.command: tuple[str, ...] = ()
        self.service: subprocess.Popen[bytes] | None = None
        self._trade: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()
        self._stack = stack
        self._keys = 0
        stack.callback(self.end)

    @property
    def environment(self) -> dict[str, str]:
        """What the service, and commands beside it, are set up with."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "PORT": str(self.port),
            "BIND_ADDRESS": "127.0.0.1",
            "DB_HOST": self.database.host,
            "DB_PORT": str(self.database.port),
            "DB_NAME": self.database.name,
            "DB_USER": self.database.user,
            "DB_PASSWORD": self.database.password,
            "MIGRATE_ON_START": "false",
            "TRADE_SERVICE_URL": f"http://127.0.0.1:{self.trade_port}",
            "OUTPUT_DIR": str(self.files),
            "CLI_COMMAND": simulated_cli_command(),
            "SIMULATED_ACCOUNTING_LEDGER": str(self.directory / "ledger.sqlite3"),
            "SIMULATED_ACCOUNTING_FAULT": f"@{self.fault}",
            "DELIVERY_RETRY_MAX_ATTEMPTS": "1",
            "LOG_LEVEL": "WARNING",
            **self.settings,
        }

    def start(self) -> None:
        """Start the service, and wait until it answers."""
        with (self.directory / "log").open("ab") as log:
            self.service = subprocess.Popen(
                [*self.command, sys.executable, "-m", "globeco_allocation", "serve"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers_or_ended, f"{self.name} answers")
        if self.service.poll() is not None:
            raise RuntimeError(f"{self.name} ended: {(self.directory / 'log').read_text()[-2000:]}")

    def _answers_or_ended(self) -> bool:
        assert self.service is not None
        return self.service.poll() is not None or self.get("/healthz") == 200

    def trade_service(self) -> None:
        """Start its Trade Service, which knows every execution."""
        module = "globeco_allocation.entrypoints.simulated.trade_service"
        self._trade = subprocess.Popen(
            [sys.executable, "-m", module, "--port", str(self.trade_port)], stdout=subprocess.DEVNULL
        )

    def end_trade_service(self) -> None:
        """End it."""
        if self._trade is not None:
            self._trade.terminate()
            self._trade.wait(10)
            self._trade = None

    def does(self, fault: str) -> None:
        """Let every run of the CLI that begins from now on do something wrong; nothing if empty."""
        self.fault.write_text(fault)

    def get(self, path: str) -> int:
        """GET; return the status, 0 where nobody answers."""
        try:
            return call(f"http://127.0.0.1:{self.port}{path}", seconds=10)[0]
        except (OSError, ValueError):
            return 0

    def post(self, **changes: object) -> int:
        """Post one more execution; return the status, 0 where nobody answers."""
        self._keys += 1
        return self.call("/api/v1/executions", [report(self._keys, **changes)])

    def call(self, path: str, body: object) -> int:
        """POST; return the status, 0 where nobody answers."""
        try:
            url = f"http://127.0.0.1:{self.port}{path}"
            return call(url, json.dumps(body).encode(), seconds=15)[0]
        except (OSError, ValueError):
            return 0

    def send(self) -> int:
        """Send what waits."""
        return self.call("/api/v1/executions/send", {})

    def run(self, *arguments: str) -> None:
        """Run a command beside the service."""
        command = [sys.executable, "-m", "globeco_allocation", *arguments]
        subprocess.run(command, env=self.environment, check=True, capture_output=True)

    def again_and_again(self, step: Callable[[], object], seconds: float = 0.3) -> Callable[[], None]:
        """Do something until the end, or until what is returned is called."""
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(seconds) and not self._ending.is_set():
                with suppress(ProcessLookupError):
                    step()

        threading.Thread(target=work, daemon=True).start()
        return stop.set

    def end(self) -> None:
        """End everything of this place."""
        self._ending.set()
        self.end_trade_service()
        if self.service is not None and self.service.poll() is None:
            self.service.kill()
            self.service.wait(10)
