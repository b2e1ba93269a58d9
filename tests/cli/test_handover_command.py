"""``globeco-allocation handover``: find what the Go implementation left, and give a database back to it."""

from collections.abc import Callable

import pytest
from tests.cli.office import Office
from tests.postgres.test_adoption import EXECUTIONS, FIRST_ROW, INDEXES, LAST_BATCH, fill

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.migrate import migrate
from globeco_allocation.entrypoints.cli import main
from globeco_allocation.entrypoints.exit_codes import ExitCode

Handover = Callable[..., tuple[int, str, str]]


@pytest.fixture
def handover(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Handover:
    """Run the command on a database; returns how it ended and what it said."""

    def run(database: DatabaseAddress, *arguments: str, name: str = "") -> tuple[int, str, str]:
        settings = {
            "DB_HOST": database.host,
            "DB_PORT": str(database.port),
            "DB_NAME": name or database.name,
            "DB_USER": database.user,
            "DB_PASSWORD": database.password,
        }
        for key, value in settings.items():
            monkeypatch.setenv(key, value)
        capfd.readouterr()
        code = main(["handover", *arguments])
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


def line_of(database: DatabaseAddress, said: str) -> list[str]:
    (found,) = [line.split("  ") for line in said.splitlines() if line.startswith(f"{database.name} ")]
    return [cell.strip() for cell in found if cell.strip()]


def test_the_data_are_found_although_the_settings_name_a_database_that_was_never_made(
    handover: Handover, empty_database: DatabaseAddress
) -> None:
    fill(empty_database, INDEXES["as the Go implementation makes them"], FIRST_ROW, LAST_BATCH, EXECUTIONS)

    code, said, _ = handover(empty_database, "find", name="allocation_db_that_was_never_made")

    assert code == ExitCode.OK
    assert line_of(empty_database, said) == [
        *(empty_database.name, "Go", "5", "2", "2"),
        *("2025-06-02T14:00:00Z", "nobody"),
    ]
    assert "name allocation_db_that_was_never_made, WHICH HOLDS NONE." in said


def test_an_adopted_database_is_shown_as_such(handover: Handover, empty_database: DatabaseAddress) -> None:
    fill(empty_database, INDEXES["as the Go implementation makes them"], FIRST_ROW, LAST_BATCH, EXECUTIONS)
    migrate(empty_database, print)

    code, said, _ = handover(empty_database, "find")

    assert code == ExitCode.OK
    assert line_of(empty_database, said)[1] == "Go, adopted"
    assert f"name {empty_database.name}." in said


def test_a_server_that_does_not_answer_is_worth_another_try(handover: Handover) -> None:
    code, _, error = handover(DatabaseAddress("127.0.0.1", 1, "postgres", "postgres"), "find")

    assert code == ExitCode.TRY_AGAIN
    assert "cannot be reached" in error


def test_a_database_without_anything_of_ours_is_not_touched(
    handover: Handover, empty_database: DatabaseAddress
) -> None:
    fill(empty_database, INDEXES["as the Go implementation makes them"], FIRST_ROW)

    code, _, error = handover(empty_database, "back")

    assert code == ExitCode.FAILED
    assert "holds nothing of this service" in error


@pytest.mark.parametrize(
    ("leave", "word"),
    [
        (Office.claimed, "1 batches are claimed and not written"),
        (Office.written, "1 files are not delivered"),
        (Office.waiting, "1 files are not delivered"),
        (Office.failed, "1 files have failed"),
        (Office.stopped, "1 stop of all delivery"),
    ],
)
def test_what_only_this_service_would_end_is_in_the_way(
    office: Office, handover: Handover, leave: Callable[[Office], object], word: str
) -> None:
    leave(office)

    code, _, error = handover(office.database, "back")

    assert code == ExitCode.FAILED
    assert word in error
    assert office.sql("SELECT count(*) FROM batch_claim")[0][0]


def test_a_window_that_ends_in_the_future_is_in_the_way(office: Office, handover: Handover) -> None:
    office.sql(
        "INSERT INTO batch_history (start_time, previous_start_time)"
        " SELECT now() + interval '1 hour', max(start_time) FROM batch_history"
    )

    code, _, error = handover(office.database, "back", "--check")

    assert code == ExitCode.FAILED
    assert "end in the future" in error


def test_refused_records_are_named_before_they_are_forgotten(office: Office, handover: Handover) -> None:
    batch = office.partial(3, "AC2").batch_id

    code, said, _ = handover(office.database, "back", "--check")

    assert code == ExitCode.OK
    assert f"of batch {batch}." in said
    assert "Nothing is in the way." in said


def test_a_database_that_go_never_saw_is_given_back_with_a_warning(
    office: Office, handover: Handover
) -> None:
    code, said, _ = handover(office.database, "back")

    assert code == ExitCode.OK
    assert "Given back." in said
    assert "It never worked here" in said
    assert office.sql("SELECT to_regclass('batch_claim') IS NULL")[0][0]
