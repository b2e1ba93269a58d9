"""Secrets stay where they were put: everything that the service lets out is searched for them."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql
from tests.process.conftest import StartService, trade_service
from tests.process.records import records
from tests.process.service_process import PATIENCE_SECONDS, ServiceProcess, wait_until

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.entrypoints.api_tokens import Right, line_of, new_token
from globeco_allocation.entrypoints.stack import simulated_cli_command

__all__ = ["trade_service"]

PASSWORD = "canary-of-the-password/1?"
OTHERS = {  # of a pod's environment, which the CLI has no use for either
    "API_TOKEN_FILE": "/canary-of-a-path",
    "AWS_SECRET_ACCESS_KEY": "canary-of-a-key",
    "PGPASSWORD": "canary-of-libpq",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=canary-of-tracing",
}
GETS = ["executions", "executions/1", "executions/1/delivery", "executions/x", "batches", "batches/2", "no"]


class CommandLines:
    """Every command line on this machine, as anybody on it can see them, for as long as the block lasts."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._over = threading.Event()

    def watch(self) -> None:
        while not self._over.wait(0.01):
            for one in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    self.seen.add(one.read_bytes())

    def end(self) -> None:
        self._over.set()


@pytest.fixture
def command_lines() -> Generator[CommandLines]:
    watched = CommandLines()
    thread = threading.Thread(target=watched.watch)
    thread.start()
    try:
        yield watched
    finally:
        watched.end()
        thread.join(10)


def spied_on(directory: Path) -> str:
    """Return a CLI_COMMAND that leaves behind what it was started with."""
    spy = directory / "spy"
    spy.write_text(
        f"#!/bin/sh\ncat /proc/$$/environ >>{directory}/environ\ncat /proc/$$/cmdline >>{directory}/cmdline\n"
        'exec "$@"\n'
    )
    spy.chmod(0o755)
    return f"{spy} {simulated_cli_command()}"


@contextmanager
def given(how: str, directory: Path) -> Generator[dict[str, str]]:
    """Hand the password over, in the environment or in a file."""
    if how == "environment":
        yield {"DB_PASSWORD": PASSWORD}
        return
    file = directory / "password"
    file.write_text(PASSWORD + "\n")
    yield {"DB_PASSWORD": "", "DB_PASSWORD_FILE": str(file)}


def command(environ: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """Run one of our commands; return its exit code and all that it says."""
    done = subprocess.run(
        [sys.executable, "-m", "globeco_allocation", *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def said_by(service: ServiceProcess) -> str:
    return json.dumps(service.log, ensure_ascii=False) + service.stderr


@pytest.fixture
def database_of_canary(
    admin: psycopg.Connection, empty_database: DatabaseAddress
) -> Generator[DatabaseAddress]:
    """An empty database, and a role of ours whose password is the canary: some servers check it."""
    name = f"allocation_test_canary_{os.getpid()}"
    role = sql.Identifier(name)
    admin.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(role, sql.Literal(PASSWORD)))
    try:
        yield replace(empty_database, user=name, password=PASSWORD)
    finally:
        with connect(empty_database, {}) as owner:
            owner.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(role))
        admin.execute(sql.SQL("DROP ROLE {}").format(role))


@pytest.mark.parametrize("how", ["environment", "file"])
def test_nothing_that_the_service_lets_out_holds_a_secret(  # noqa: PLR0917 (fixtures)
    how: str,
    database_of_canary: DatabaseAddress,
    start_service: StartService,
    trade_service: str,
    command_lines: CommandLines,
    tmp_path: Path,
) -> None:
    reader, sender = new_token(), new_token()
    tokens = tmp_path / "tokens"
    tokens.write_text("\n".join([line_of("a", Right.READ, reader), line_of("b", Right.SEND, sender)]))
    let_out: list[str] = []
    with given(how, tmp_path) as password:
        settings = {
            **password,
            **OTHERS,
            "API_TOKENS_FILE": str(tokens),
            "TRADE_SERVICE_URL": trade_service,
            "CLI_COMMAND": spied_on(tmp_path),
            "LOG_LEVEL": "debug",
        }
        service = start_service(database_of_canary, **settings)
        wait_until(service.is_ready, "the service is ready")
        with httpx.Client(base_url=service.url, timeout=PATIENCE_SECONDS) as client:

            def ask(method: str, path: str, token: str = "", body: object = None) -> int:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                answer = client.request(method, path, json=body, headers=headers)
                let_out.append(f"{answer.headers}{answer.text}")
                return answer.status_code

            assert ask("POST", "/api/v1/executions", sender, records(2)) == 201
            assert ask("POST", "/api/v1/executions/send", sender) == 200
            assert ask("POST", "/api/v1/executions/send", reader) == 403
            assert ask("POST", "/api/v1/executions/send", "canary-of-a-stranger") == 401
            for token in (sender, reader, ""):
                for path in GETS:
                    ask("GET", f"/api/v1/{path}", token)
            for path in (
                "/healthz",
                "/readyz",
                "/metrics",
                "/docs",
                "/docs/openapi.json",
                f"/?token={sender}",
            ):
                ask("GET", path)
            with connect(database_of_canary, {}) as owner:  # a fault that nobody has thought of
                owner.execute("ALTER TABLE execution ALTER COLUMN received_timestamp TYPE text")
            assert ask("GET", "/api/v1/executions", reader) == 500
            assert ask("GET", "/api/v1/executions/1", sender) == 500

        environ = {
            "DB_HOST": database_of_canary.host,
            "DB_PORT": str(database_of_canary.port),
            "DB_NAME": database_of_canary.name,
            "DB_USER": database_of_canary.user,
            **settings,
        }
        for arguments in (("config", "check"), ("migrate",), ("batches", "list"), ("pending", "list")):
            code, said = command(environ, *arguments)
            assert (arguments, code) == (arguments, 0)
            let_out.append(said)
        service.signal()
        assert service.exit_code() == 0
        let_out.append(said_by(service))
    assert "Traceback" in let_out[-1]  # of the fault: what a crash says is searched, too

    let_out += [one.read_text("utf-8", "replace") for one in (tmp_path / "files").rglob("*") if one.is_file()]
    inherited = (tmp_path / "environ").read_bytes()
    assert b"SIMULATED_ACCOUNTING_LEDGER=" in inherited  # it was looked at
    everything = "\n".join(let_out).encode() + inherited + (tmp_path / "cmdline").read_bytes()
    everything += b"\n".join(command_lines.seen)
    assert b"globeco_allocation\0migrate" in everything  # its command line was seen
    for secret in (PASSWORD, "canary-of", reader, sender):
        assert secret.encode() not in everything.replace(b"/canary-of-a-path", b"")
    assert b"DB_" not in inherited
    assert b"TOKEN" not in inherited


@pytest.mark.parametrize("how", ["environment", "file"])
def test_a_start_that_fails_tells_no_secret(
    how: str, someone: DatabaseAddress, start_service: StartService, tmp_path: Path
) -> None:
    with given(how, tmp_path) as password:
        service = start_service(replace(someone, password=""), **password)
        if service.process.poll() is None:
            wait_until(
                lambda: (
                    service.process.poll() is not None
                    or any(line["message"] == "database ready" for line in tuple(service.log))
                ),
                "the service has knocked",
            )
        if service.process.poll() is None:
            pytest.skip("this server checks no passwords")
        assert service.exit_code() == 1
    said = said_by(service)
    assert "does not let role" in said
    assert "canary-of" not in said


@pytest.mark.parametrize(
    "wrong",
    [
        {"TRADE_SERVICE_URL": "http://user:canary-of-an-address@host:8082"},
        {"TRADE_SERVICE_URL": "postgres://user:canary-of-an-address@host"},
        {"DB_HOST": "//user:canary-of-an-address@host/x"},
        {"DB_HOST": "user:canary-of-an-address@host"},
        {"DATABASE_HOST": "postgresql://user:canary-of-an-address@host/db"},
        {"CORS_ALLOWED_ORIGINS": "https://user:canary-of-an-address@host"},
        {"DB_PASSWORD": "canary-of-one", "DB_PASSWORD_FILE": "/etc/hostname"},
        {"PORT": "x", "DB_PASSWORD": "canary-of-one"},
    ],
)
def test_faults_in_the_settings_tell_no_secret(wrong: dict[str, str]) -> None:
    for arguments in (("serve",), ("config", "check")):
        code, said = command(wrong, *arguments)
        assert code == 2
        assert next(iter(wrong)) in said
        assert "canary-of" not in said
