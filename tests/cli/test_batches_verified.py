"""``globeco-allocation batches verify``: what was written once is what the database says, and what stands."""

import os
import pty
import subprocess
from contextlib import suppress

import pytest
from tests.cli.office import Office, refused

from globeco_allocation.entrypoints.commands import batch_verification
from globeco_allocation.entrypoints.exit_codes import ExitCode


def test_good_files_are_as_they_were_written(office: Office) -> None:
    files = office.written(12, lanes=3, largest=2) + office.written(2)

    said = office.run("verify")

    assert (said.code, said.err) == (ExitCode.OK, "")
    assert sorted(said.lines[:-1]) == sorted(f"{one.file_name}: as it was written" for one in files)
    assert said.lines[-1] == f"{len(files)} files made again from the database: 0 differences"


def test_an_execution_that_was_changed_in_the_database_is_found(office: Office) -> None:
    (good,), (bad,) = office.written(2), office.written(2)
    office.sql("UPDATE execution SET average_price = average_price + 0.00000001 WHERE id = 3")

    said = office.run("verify")

    assert said.code == ExitCode.FAILED
    assert said.line(bad.file_name).endswith("DIFFERENT: its executions have changed since it was written")
    assert said.line(good.file_name).endswith("as it was written")
    assert said.lines[-1] == "2 files made again from the database: 1 difference"


def test_an_execution_that_is_gone_or_came_later_is_found(office: Office) -> None:
    (fewer,), (more,) = office.written(2), office.written(1)
    office.sql("DELETE FROM execution WHERE id = 2")
    office.sql(
        "UPDATE execution SET ready_to_send_timestamp = h.start_time - interval '1 microsecond'"
        "  FROM batch_history AS h WHERE h.id = %s AND execution.id = 3",
        fewer.batch_id,
    )

    said = office.run("verify")

    assert said.code == ExitCode.FAILED
    assert "DIFFERENT" in said.line(fewer.file_name)
    assert "DIFFERENT" in said.line(more.file_name)


def test_an_execution_that_no_file_has_room_for_is_found(office: Office) -> None:
    (delivery,) = office.written(2)
    empty = office.claimed(0)
    office.run("deliver", CLI_COMMAND="")
    late = office.claimed(2)
    for key, batch in ((3, delivery.batch_id), (4, empty)):
        office.sql(
            "UPDATE execution SET ready_to_send_timestamp = h.start_time - interval '1 microsecond'"
            "  FROM batch_history AS h WHERE h.id = %s AND execution.id = %s",
            batch,
            key,
        )

    said = office.run("verify")

    assert said.code == ExitCode.FAILED
    assert said.lines == [
        f"batch {late}: no files yet",
        f"batch {empty}: DIFFERENT: 1 execution of its window in none of its files",
        f"{delivery.file_name}: as it was written",
        f"batch {delivery.batch_id}: DIFFERENT: 1 execution of its window in none of its files",
        "1 file made again from the database: 2 differences",
    ]


def test_a_file_that_was_changed_where_it_stands_is_found(office: Office) -> None:
    (delivery,) = office.written(2)
    path = office.files / delivery.file_name
    path.write_bytes(path.read_bytes().replace(b"BUY", b"SEL"))

    said = office.run("verify")

    assert said.code == ExitCode.FAILED
    assert said.line(delivery.file_name).endswith("DIFFERENT: it was changed where it stands")


def test_a_file_that_cannot_be_read_is_no_good_one(office: Office) -> None:
    (delivery,) = office.written(2)
    path = office.files / delivery.file_name
    path.unlink()
    path.mkdir()

    said = office.run("verify")

    assert said.code == ExitCode.FAILED
    assert "could not be read" in said.line(f"{delivery.file_name}: DIFFERENT")


def test_a_file_that_is_gone_is_told_and_no_fault(office: Office) -> None:
    (delivery,) = office.written(2)
    (office.files / delivery.file_name).unlink()

    said = office.run("verify")

    assert said.code == ExitCode.OK
    assert said.lines == [
        f"{delivery.file_name}: as it was written; not in OUTPUT_DIR any more",
        "1 file made again from the database: 0 differences; 1 not in OUTPUT_DIR any more",
    ]
    assert list(office.files.iterdir()) == []


def test_without_an_output_directory_the_database_alone_is_looked_at(office: Office) -> None:
    office.written(2)
    elsewhere = office.files.with_name("elsewhere")

    said = office.run("verify", OUTPUT_DIR=str(elsewhere), CLI_COMMAND="")

    assert said.code == ExitCode.OK
    assert said.err == (
        "globeco-allocation: there is no OUTPUT_DIR here; files are compared with the database alone\n"
    )
    assert said.lines[0].endswith(": as it was written")
    assert not elsewhere.exists()


def test_verify_needs_no_accounting_cli(office: Office) -> None:
    office.written(2)

    said = office.run("verify", CLI_COMMAND="", KUBERNETES_BATCH_ENABLED="true")

    assert (said.code, said.err) == (ExitCode.OK, "")


def test_a_file_that_is_not_written_yet_is_told(office: Office) -> None:
    delivery = office.planned()

    said = office.run("verify")

    assert said.code == ExitCode.OK
    assert said.lines == [
        f"{delivery.file_name}: not written yet",
        "0 files made again from the database: 0 differences; 1 not written yet",
    ]


def test_only_the_batches_that_are_named_are_looked_at_each_once(office: Office) -> None:
    (first,), (second,), _ = office.written(1), office.written(1), office.written(1)
    names = [str(second.batch_id), str(first.batch_id), str(second.batch_id)]

    said = office.run("verify", *names)

    assert said.lines[:-1] == [f"{one.file_name}: as it was written" for one in (second, first)]


def test_an_unknown_batch_is_a_fault_and_the_others_are_looked_at(office: Office) -> None:
    (delivery,) = office.written(1)

    said = office.run("verify", "999", str(delivery.batch_id))

    refused(said, "there is no batch 999 of this service")
    assert said.lines[0] == f"{delivery.file_name}: as it was written"


def test_all_batches_are_looked_at_page_by_page(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_verification, "_BATCHES_AT_ONCE", 2)
    names = [one.file_name for _ in range(5) for one in office.written(1)]

    said = office.run("verify")

    assert [line.partition(":")[0] for line in said.lines[:-1]] == names[::-1]


def test_a_terminal_shows_how_far_a_large_file_is(office: Office) -> None:
    office.written(1)
    office.sql(
        "CREATE FUNCTION slow() RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT pg_sleep(2.5) IS NOT NULL'"
    )
    office.sql("ALTER TABLE execution RENAME TO execution_kept")
    office.sql("CREATE VIEW execution AS SELECT * FROM execution_kept WHERE slow()")
    ours, theirs = pty.openpty()

    process = office.start("verify", stderr=theirs)
    os.close(theirs)
    out, _ = process.communicate(timeout=60)
    shown = b""
    with suppress(OSError):  # the end of a terminal
        while some := os.read(ours, 4096):
            shown += some
    os.close(ours)

    assert process.returncode == ExitCode.OK
    assert b"0 executions read, 1 s\x1b[K" in shown
    assert shown.endswith(b"\r\x1b[K")
    assert out.count("\n") == 2


def test_what_is_no_terminal_is_not_written_to(office: Office) -> None:
    office.written(1)

    process = office.start("verify", stderr=subprocess.PIPE)
    _, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (ExitCode.OK, "")
