"""The command line: help that is there at once, settings checked at once, exit codes for scripts."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from globeco_allocation import __version__
from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.entrypoints.cli import COMMANDS, main
from globeco_allocation.entrypoints.exit_codes import MEANINGS, ExitCode


def run(*arguments: str, environ: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "globeco_allocation", *arguments],
        env={"PATH": os.environ["PATH"], **(environ or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environ_of(database: DatabaseAddress) -> dict[str, str]:
    return {
        "DB_HOST": database.host,
        "DB_PORT": str(database.port),
        "DB_NAME": database.name,
        "DB_USER": database.user,
        "DB_PASSWORD": database.password,
    }


def loaded_by(*arguments: str) -> set[str]:
    """Return the modules that a command line loads until it exits."""
    code = f"""
import sys, json
from globeco_allocation.entrypoints.cli import main
try:
    main({list(arguments)!r})
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_loads_nothing_heavy(command: str) -> None:
    loaded = loaded_by(*filter(None, [command, "--help"]))

    heavy = {
        "litestar",
        "uvicorn",
        "asyncpg",
        "psycopg",
        "yoyo",
        "aiohttp",
        "msgspec",
        "structlog",
        "asyncio",
    }
    assert not loaded & heavy


def test_help_names_every_command_and_every_exit_code() -> None:
    done = run("--help")

    assert done.returncode == 0
    for word in [*COMMANDS, *MEANINGS.values()]:
        assert word in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_of_its_own(command: str) -> None:
    module = importlib.import_module(f"globeco_allocation.entrypoints.commands.{command}")

    assert callable(module.run)
    assert run(command, "--help").returncode == 0


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])

    assert caught.value.code == 0
    assert capsys.readouterr().out.strip() == f"globeco-allocation {__version__}"


@pytest.mark.parametrize(
    "arguments", [[], ["sned"], ["send", "--wait", "56"], ["config"], ["serve", "--port"]]
)
def test_a_wrong_command_line_is_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert caught.value.code == ExitCode.USAGE


def test_config_check_prints_every_fault_at_once() -> None:
    done = run("config", "check", environ={"PORT": "x", "LOG_LEVEL": "loud", "DB_PASSWORD": "s3cret"})

    assert done.returncode == ExitCode.USAGE
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "2 settings cannot be used:",
        "  PORT holds 'x'; it may hold a whole number from 0 to 65535",
        "  LOG_LEVEL holds 'loud'; it may hold debug, info, warning or error",
    ]


@pytest.mark.parametrize("command", [("config", "check"), ("serve",)])
def test_a_command_that_cannot_be_used_is_told_with_the_reason(command: tuple[str, ...]) -> None:
    done = run(*command, environ={"CLI_COMMAND": "docker run -d image --file /data/{filename}"})

    assert done.returncode == ExitCode.USAGE
    assert "CLI_COMMAND must not detach its container: a run ends when its program does (" in done.stderr
    assert "Traceback" not in done.stderr


def test_config_check_shows_what_counts_and_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    done = run(
        "config",
        "check",
        environ={"DATABASE_HOST": "db.example.org", "DB_PASSWORD_FILE": str(file), "LOG_LEVEL": "DEBUG"},
    )
    shown = {line.split(" = ")[0].strip(): line.split(" = ")[1] for line in done.stdout.splitlines()}

    assert done.returncode == ExitCode.OK
    assert shown["DB_HOST"] == "db.example.org  (from DATABASE_HOST)"
    assert shown["DB_PASSWORD"] == "******  (from DB_PASSWORD_FILE)"
    assert shown["LOG_LEVEL"] == "debug  (from LOG_LEVEL)"
    assert shown["PORT"] == "8089  (default)"
    assert shown["CLI_COMMAND"] == " (default)"
    assert "s3cret" not in done.stdout + done.stderr


def test_migrate_says_what_it_does_and_may_be_repeated(empty_database: DatabaseAddress) -> None:
    first = run("migrate", environ=environ_of(empty_database))
    second = run("migrate", environ=environ_of(empty_database))

    assert (first.returncode, second.returncode) == (ExitCode.OK, ExitCode.OK)
    assert "applied 0001" in first.stdout
    assert "nothing to apply" in second.stdout


def test_migrate_tells_a_database_that_is_away_from_one_that_refuses(database: DatabaseAddress) -> None:
    away = run("migrate", environ={**environ_of(database), "DB_HOST": "127.0.0.1", "DB_PORT": "1"})
    refused = run("migrate", environ={**environ_of(database), "DB_NAME": "allocation_db"})

    assert away.returncode == ExitCode.TRY_AGAIN
    assert refused.returncode == ExitCode.FAILED
    assert "DB_NAME=postgres" in refused.stderr
    assert "Traceback" not in away.stderr + refused.stderr


def test_migrate_keeps_trying_for_as_long_as_it_is_told_to(database: DatabaseAddress) -> None:
    done = run(
        "migrate", "--wait", "2.5", environ={**environ_of(database), "DB_HOST": "127.0.0.1", "DB_PORT": "1"}
    )

    assert done.returncode == ExitCode.TRY_AGAIN
    assert done.stdout.count("trying again") == 2


def test_migrate_names_all_settings_that_cannot_be_used() -> None:
    done = run("migrate", environ={"DB_PORT": "x", "PORT": "y"})

    assert done.returncode == ExitCode.USAGE
    assert "DB_PORT" in done.stderr
    assert "  PORT" in done.stderr
