"""The whole stack on one machine: database, Trade Service, accounting CLI and the service itself.

The database is the embedded one; the neighbours are simulated after their recorded behaviour. Everything runs
as real processes, and ends with the block that started it.
"""

import json
import os
import re
import select
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.entrypoints.embedded_database import EmbeddedDatabaseError, embedded_database
from globeco_allocation.entrypoints.end_signals import EndSignals

READY_SECONDS = 60.0
"""How long the service may take until it is ready; the first time it creates its tables."""

STOP_SECONDS = 20.0
"""How long a process may take to end by itself."""

_SIMULATED = "globeco_allocation.entrypoints.simulated"
_URL = re.compile(r"http://\S+")
_POLL_SECONDS = 0.05
_LOOPBACK = "127.0.0.1"
# Whatever proxy the environment names, it is not between us and our own processes.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StackError(Exception):
    """A part of the stack did not come up."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack.

    Attributes:
        url: Where the service answers.
        trade_service_url: Where the simulated Trade Service answers.
        database: The embedded database.
        output: Where transaction files are written.
        ledger: What the simulated Portfolio Accounting has booked (SQLite).
        log: The service's log; None when it goes to standard output.
        service: The service's process.
    """

    url: str
    trade_service_url: str
    database: DatabaseAddress
    output: Path
    ledger: Path
    log: Path | None
    service: subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What the stack is made of.

    Attributes:
        data: The database's directory.
        output: Where transaction files, the ledger and the log go.
        port: The service's; 0 takes a free one.
        trade_service_port: The simulated Trade Service's; 0 takes a free one.
        unknown: Execution-service ids that the Trade Service does not know.
        log: Where the service's log goes; None for standard output.
        environment: More settings of the service.
    """

    data: Path
    output: Path
    port: int = 0
    trade_service_port: int = 0
    unknown: Sequence[int] = ()
    log: Path | None = None
    environment: Mapping[str, str] | None = None


@contextmanager
def running_stack(options: StackOptions, signals: EndSignals) -> Generator[Stack]:
    """Start everything, wait until the service is ready, and stop everything in reverse.

    Only the waiting may be interrupted by one of the *signals*: whatever has begun is always ended.

    Raises:
        StackError: a part cannot be had, or did not come up in time; the message says why.
        ToldToEnd: a signal came before the service was ready.
    """
    _check_port(options.port, "--port")
    _check_port(options.trade_service_port, "--trade-service-port")
    _make_folders(options)
    with ExitStack() as stack:
        try:
            database = stack.enter_context(embedded_database(options.data))
        except EmbeddedDatabaseError as error:
            raise StackError(str(error)) from error
        trade_url = stack.enter_context(_trade_service(options, signals))
        port = options.port or _free_port()
        environment = _environment(options, port, database, trade_url)
        service = stack.enter_context(_service(environment, options.log))
        url = f"http://{_LOOPBACK}:{port}"
        with signals.may_interrupt():
            _wait_until_ready(url, service, options.log)
        yield Stack(url, trade_url, database, options.output, _ledger(options), options.log, service)


def _environment(
    options: StackOptions, port: int, database: DatabaseAddress, trade_url: str
) -> dict[str, str]:
    """Return the service's environment: ours, but for where everything is."""
    inherited = {name: value for name, value in os.environ.items() if name != "DB_PASSWORD_FILE"}
    return {
        **inherited,
        "PORT": str(port),
        "BIND_ADDRESS": _LOOPBACK,  # it asks nobody for a password
        "DB_HOST": database.host,
        "DB_PORT": str(database.port),
        "DB_NAME": database.name,
        "DB_USER": database.user,
        "DB_PASSWORD": database.password,
        "DB_POOLER": "none",
        "MIGRATE_ON_START": "true",
        "TRADE_SERVICE_URL": trade_url,
        "OUTPUT_DIR": str(options.output),
        "CLI_COMMAND": simulated_cli_command(),
        "SIMULATED_ACCOUNTING_LEDGER": str(_ledger(options)),
        **(options.environment or {}),
    }


def _ledger(options: StackOptions) -> Path:
    return options.output / "accounting-ledger.sqlite3"


def simulated_cli_command() -> str:
    """Return a CLI_COMMAND that runs the simulated accounting CLI with the flags that we recommend."""
    return (
        f"{shlex.quote(sys.executable)} -m {_SIMULATED}.accounting_cli process "
        "--file {output_dir}/{filename} --output-dir {output_dir} --batch-size 1 --skip-sort"
    )


def _check_port(port: int, option: str) -> None:
    """Find out at once whether a port can be had; 0 always can."""
    try:
        socket.create_server((_LOOPBACK, port)).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StackError(f"port {port} cannot be had ({reason}); name another with {option}") from error


def _make_folders(options: StackOptions) -> None:
    try:
        options.data.parent.mkdir(parents=True, exist_ok=True)
        options.output.mkdir(parents=True, exist_ok=True)
        if options.log is not None:
            options.log.touch()
    except OSError as error:
        raise StackError(f"cannot write to {error.filename}: {error.strerror}") from error


@contextmanager
def _trade_service(options: StackOptions, signals: EndSignals) -> Generator[str]:
    command = [sys.executable, "-m", f"{_SIMULATED}.trade_service", "--port", str(options.trade_service_port)]
    if options.unknown:
        command += ["--unknown", ",".join(map(str, options.unknown))]
    with _process(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 (it is a pipe)
        with signals.may_interrupt():
            spoke, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
        match = _URL.search(process.stdout.readline().decode()) if spoke else None
        if match is None:
            raise StackError(
                f"the simulated Trade Service did not start on port {options.trade_service_port}"
            )
        yield match[0]


@contextmanager
def _service(environment: Mapping[str, str], log: Path | None) -> Generator[subprocess.Popen[bytes]]:
    with ExitStack() as stack:
        sink = stack.enter_context(log.open("ab")) if log else None
        command = [sys.executable, "-m", "globeco_allocation", "serve"]
        yield stack.enter_context(_process(command, stdout=sink, environment=environment))


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path | None) -> None:
    deadline = time.monotonic() + READY_SECONDS
    where = f"; its log is {log}" if log else ""
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StackError(f"the service ended with exit code {process.returncode}{where}")
        try:
            with _OPENER.open(f"{url}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(_POLL_SECONDS)
    raise StackError(f"the service was not ready within {READY_SECONDS:.0f} seconds{where}")


@contextmanager
def _process(
    command: Sequence[str],
    *,
    stdout: int | IO[bytes] | None,
    environment: Mapping[str, str] | None = None,
) -> Generator[subprocess.Popen[bytes]]:
    """Run a process of ours in a session of its own, so that Ctrl-C reaches only us, and end it."""
    with subprocess.Popen(  # noqa: S603 (our own modules)
        command, stdout=stdout, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def call(url: str, body: bytes | None = None, *, seconds: float = 60.0) -> tuple[int, dict[str, Any]]:
    """GET *url*, or POST *body* to it, and return the status and the JSON object of the answer.

    Raises:
        OSError: nobody answers.
        ValueError: the answer is no JSON.
    """
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with _OPENER.open(request, timeout=seconds) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
