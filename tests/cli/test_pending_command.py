"""``globeco-allocation pending``: what waits, what is in error, and having it looked up again."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.pending import PostgresPendingExecutions
from globeco_allocation.adapters.postgres.pool import open_pool
from globeco_allocation.domain import AllocatedExecution
from globeco_allocation.domain.pending import PendingStatus
from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.ports.pending import Deferral

Allocate = Callable[..., AllocatedExecution]


def pending(database: DatabaseAddress, *arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    environ = {
        "DB_HOST": database.host,
        "DB_PORT": str(database.port),
        "DB_NAME": database.name,
        "DB_USER": database.user,
        "DB_PASSWORD": database.password,
    }
    return subprocess.run(
        [sys.executable, "-m", "globeco_allocation", "pending", *arguments],
        env={"PATH": os.environ["PATH"], **environ, **changes},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
async def waiting(database: DatabaseAddress, allocate: Allocate) -> DatabaseAddress:
    """A database in which 1 and 2 wait, and 3 and 4 are in error."""
    async with open_pool(database) as pool:
        store = PostgresPendingExecutions(pool)
        await store.defer([Deferral(allocate(key).execution, "away") for key in (1, 2, 3, 4)], most=10)
        await store.give_up(dict.fromkeys((3, 4), "no portfolio\nto book on"))
    return database


async def in_error(database: DatabaseAddress) -> list[int]:
    async with open_pool(database) as pool:
        found = await PostgresPendingExecutions(pool).listed(limit=10, status=PendingStatus.ERROR)
    return [one.execution.execution_service_id for one in found]


def cells(lines: Sequence[str]) -> list[list[str]]:
    return [line.split(maxsplit=4) for line in lines]


def test_list_prints_a_table_with_those_in_error_first(waiting: DatabaseAddress) -> None:
    done = pending(waiting, "list")

    *table, summary = done.stdout.splitlines()
    rows = cells(table)
    assert done.returncode == ExitCode.OK
    assert rows[0] == ["ID", "STATUS", "SINCE", "ATTEMPTS", "REASON"]
    assert [row[:2] for row in rows[1:]] == [
        ["3", "error"],
        ["4", "error"],
        ["1", "pending"],
        ["2", "pending"],
    ]
    assert [row[3:] for row in rows[1::2]] == [["1", "no portfolio to book on"], ["0", "away"]]
    assert summary == "2 pending, 2 in error; 4 shown"


def test_list_can_be_narrowed(waiting: DatabaseAddress) -> None:
    errors = pending(waiting, "list", "--errors")
    first = pending(waiting, "list", "--limit", "1")

    assert [row[0] for row in cells(errors.stdout.splitlines()[1:-1])] == ["3", "4"]
    assert first.stdout.splitlines()[-1] == "2 pending, 2 in error; 1 shown"


def test_list_as_json_is_for_programs(waiting: DatabaseAddress) -> None:
    answer = json.loads(pending(waiting, "list", "--json").stdout)

    assert (answer["pending"], answer["error"]) == (2, 2)
    assert [one["executionServiceId"] for one in answer["executions"]] == [3, 4, 1, 2]
    first = answer["executions"][0]
    assert first.keys() == {"executionServiceId", "status", "since", "attempts", "nextAttempt", "reason"}
    assert first["since"].endswith("Z")


def test_where_nothing_waits_the_list_says_so(database: DatabaseAddress) -> None:
    done = pending(database, "list")

    assert (done.returncode, done.stdout) == (ExitCode.OK, "0 pending, 0 in error; 0 shown\n")


async def test_retry_lets_those_in_error_wait_anew(waiting: DatabaseAddress) -> None:
    done = pending(waiting, "retry")
    again = pending(waiting, "retry")

    assert done.returncode == ExitCode.OK
    assert done.stdout.startswith("2 executions to be looked up again")
    assert again.stdout.startswith("0 executions to be looked up again")
    assert await in_error(waiting) == []


async def test_retry_of_named_ones_leaves_the_others(waiting: DatabaseAddress) -> None:
    done = pending(waiting, "retry", "4")

    assert done.returncode == ExitCode.OK
    assert done.stdout.startswith("1 execution to be looked up again")
    assert await in_error(waiting) == [3]


async def test_retry_names_those_that_are_not_in_error(waiting: DatabaseAddress) -> None:
    done = pending(waiting, "retry", "1", "4", "99")

    assert done.returncode == ExitCode.FAILED
    assert done.stderr == "globeco-allocation: not in error: 1, 99\n"
    assert await in_error(waiting) == [3]


@pytest.mark.parametrize(
    "arguments", [[], ["retry", "x"], ["retry", "0"], ["retry", "2147483648"], ["list", "--limit", "0"]]
)
def test_a_wrong_command_line_is_exit_code_2(database: DatabaseAddress, arguments: list[str]) -> None:
    assert pending(database, *arguments).returncode == ExitCode.USAGE


@pytest.mark.parametrize("what", ["list", "retry"])
def test_a_database_that_is_away_is_told_from_one_that_refuses(database: DatabaseAddress, what: str) -> None:
    away = pending(database, what, DB_HOST="127.0.0.1", DB_PORT="1")
    refused = pending(database, what, DB_NAME="nowhere")

    assert (away.returncode, refused.returncode) == (ExitCode.TRY_AGAIN, ExitCode.FAILED)
    assert "cannot be reached" in away.stderr
    assert "does not exist" in refused.stderr
    assert "Traceback" not in away.stderr + refused.stderr


@pytest.mark.parametrize("what", ["list", "retry"])
def test_a_database_that_is_not_migrated_is_told_what_to_do(
    empty_database: DatabaseAddress, what: str
) -> None:
    done = pending(empty_database, what)

    assert done.returncode == ExitCode.FAILED
    assert "run `globeco-allocation migrate`" in done.stderr
    assert "Traceback" not in done.stderr


def test_all_settings_that_cannot_be_used_are_named(database: DatabaseAddress) -> None:
    done = pending(database, "list", DB_PORT="x", PORT="y")

    assert done.returncode == ExitCode.USAGE
    assert "DB_PORT" in done.stderr
    assert "  PORT" in done.stderr
