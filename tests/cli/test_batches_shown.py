"""``globeco-allocation batches list`` and ``show``: how batches fare, for a person and for a script."""

import json

import pytest
from tests.cli.office import Office, refused

from globeco_allocation.domain.delivery import DeliveryStatus, Outcome, RecordVerdict, Reject
from globeco_allocation.entrypoints.exit_codes import ExitCode


def test_list_shows_the_newest_batches_first_with_the_worst_of_their_statuses(office: Office) -> None:
    office.partial(3, "AC1")
    written = office.written(4, lanes=3)
    claimed = office.claimed(1)

    said = office.run("list")

    title, newest, middle, oldest, total = said.lines
    assert said.code == ExitCode.OK
    assert title.split("  ")[0] == "BATCH"
    assert (newest.split()[0], newest.split()[2:]) == (str(claimed), ["claimed", "0", "0"])
    assert middle.split()[2:] == ["written", str(len(written)), "4"]
    assert oldest.split()[2:] == ["partial", "1", "3"]
    assert total == "3 batches in all; 3 shown"


def test_list_shows_as_many_as_are_wanted_and_how_many_there_are(office: Office) -> None:
    for _ in range(3):
        office.claimed(1)

    said = office.run("list", "--limit", "2")

    assert len(said.lines) == 1 + 2 + 1
    assert said.lines[-1] == "3 batches in all; 2 shown"


def test_without_batches_the_list_says_so_and_leaves_the_first_row_of_the_history_out(office: Office) -> None:
    said = office.run("list")

    assert (said.code, said.out, said.err) == (ExitCode.OK, "0 batches in all; 0 shown\n", "")


def test_list_tells_of_a_batch_that_waits_for_another_attempt(office: Office) -> None:
    office.waiting()

    said = office.run("list")

    assert "delivering, waits for another attempt" in said.lines[1]


def test_list_as_json_is_one_object(office: Office) -> None:
    delivery = office.partial(3, "AC1")

    answer = json.loads(office.run("list", "--json").out)

    (batch,) = answer["batches"]
    assert (batch["id"], batch["status"], batch["recordCount"]) == (delivery.batch_id, "partial", 3)
    assert batch["requestedBy"] == "a test"
    assert answer["pagination"]["totalElements"] == 1


@pytest.mark.parametrize("command", [["list"], ["show", "BATCH"]])
def test_a_stop_of_all_delivery_is_told_with_the_way_out(office: Office, command: list[str]) -> None:
    delivery = office.stopped()

    said = office.run(*(one.replace("BATCH", str(delivery.batch_id)) for one in command))

    told = said.line("ALL DELIVERY IS STOPPED")
    assert f"by batch {delivery.batch_id}: " in told
    assert said.line("Once that is understood").endswith("batches resolve --stop --reason ...")


def test_show_tells_of_each_file_with_its_counts_error_and_rejects(office: Office) -> None:
    delivery = office.partial(3, "AC1", "AC3")

    said = office.run("show", str(delivery.batch_id))

    assert said.code == ExitCode.OK
    assert said.lines[0].startswith(f"Batch {delivery.batch_id}: partial, ready from ")
    assert said.lines[1].split() == ["FILE", "STATUS", "ATTEMPTS", "RECORDS", "BOOKED", "REJECTED", "UNKNOWN"]
    assert said.lines[2].split() == [delivery.file_name, "partial", "1", "3", "1", "2", "0"]
    assert said.lines[4:] == [
        delivery.file_name,
        "  2 refused",
        "  RECORD  VERDICT  REASON",
        "  AC1     refused  no such security",
        "  AC3     refused  no such security",
    ]


def test_show_keeps_columns_apart_where_lanes_and_parts_have_names_of_other_lengths(office: Office) -> None:
    files = office.written(12, lanes=3, largest=3)

    said = office.run("show", str(files[0].batch_id))

    rows = said.lines[2 : 2 + len(files)]
    column = said.lines[1].index("STATUS")
    assert len(files) > 3
    assert [row.split()[0] for row in rows] == [one.file_name for one in files]
    assert {row[column - 2 : column + len("written")] for row in rows} == {"  written"}


def test_show_says_when_a_file_is_tried_again(office: Office) -> None:
    delivery = office.waiting()

    said = office.run("show", str(delivery.batch_id))

    assert delivery.not_before is not None
    assert said.lines[-2:] == [
        "  it exited with 1",
        f"  tried again at {delivery.not_before:%Y-%m-%dT%H:%M:%SZ}",
    ]


def test_show_prints_some_rejects_and_says_that_there_are_more(office: Office) -> None:
    delivery = office.partial(4, "AC1", "AC2", "AC3")

    some = office.run("show", str(delivery.batch_id), "--rejects", "2")
    all_of_them = office.run("show", str(delivery.batch_id), "--rejects", "3")

    assert "  AC2 " in some.out
    assert "  AC3 " not in some.out
    assert some.lines[-1] == "  the first 2 rejects; more with --rejects N"
    assert "AC3" in all_of_them.lines[-1]


def test_show_lets_no_words_of_others_break_its_lines_or_steer_the_terminal(office: Office) -> None:
    office.written(1)
    delivery = office.ended(
        Outcome(DeliveryStatus.FAILED, 0, 1, 0, 0, "two\nlines"),
        Reject("", RecordVerdict.REFUSED, "a\x1b[2J\nb\tc"),
    )

    said = office.run("show", str(delivery.batch_id))

    assert said.lines[-3:] == ["  two lines", "  RECORD  VERDICT  REASON", "  -       refused  a[2J b c"]


def test_show_tells_what_was_resolved_by_whom_and_why(office: Office) -> None:
    delivery = office.partial(3, "AC1", "AC2")
    batch = str(delivery.batch_id)
    office.run("resolve", batch, "--record", "AC2", "--reason", "booked\nby hand", "--by", "Ada")
    office.run("resolve", batch, "--record", "AC1", "--reason", "cancelled", "--by", "Bob")

    said = office.run("show", batch)

    assert said.lines[0].startswith(f"Batch {batch}: resolved")
    assert said.line("  AC2: resolved").endswith(" by Ada: booked by hand")
    assert said.line("  AC1: resolved").endswith(" by Bob: cancelled")


def test_show_as_json_is_what_the_service_answers(office: Office) -> None:
    delivery = office.partial(3, "AC1", "AC3")

    said = office.run("show", str(delivery.batch_id), "--json", "--rejects", "1")

    answer = json.loads(said.out)
    (file,) = answer["deliveries"]
    assert (answer["id"], answer["status"], answer["stopped"]) == (delivery.batch_id, "partial", None)
    assert (file["fileName"], file["acceptedCount"], file["rejectedCount"]) == (delivery.file_name, 1, 2)
    assert file["rejects"] == [{"sourceId": "AC1", "verdict": "refused", "reason": "no such security"}]


def test_an_empty_batch_has_no_table_of_files(office: Office) -> None:
    batch = office.claimed(0)
    office.run("deliver")

    said = office.run("show", str(batch))

    assert len(said.lines) == 1
    assert said.lines[0].startswith(f"Batch {batch}: empty")


@pytest.mark.parametrize("command", [["show"], ["resend"], ["verify"], ["resolve", "--reason", "because"]])
@pytest.mark.parametrize("batch", ["1", "999", "2147483647"])
def test_the_go_implementation_s_batches_and_unknown_ones_are_none_of_ours(
    office: Office, command: list[str], batch: str
) -> None:
    said = office.run(command[0], batch, *command[1:])

    refused(said, f"there is no batch {batch} of this service")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["show"],
        ["show", "0"],
        ["show", "x"],
        ["show", "2147483648"],
        ["show", "9" * 5000],
        ["show", "1", "--rejects", "0"],
        ["list", "--limit", "-1"],
        ["deliver", "--wait", "1.5"],
        ["deliver", "--wait", "-1"],
        ["resend"],
        ["verify", "one"],
        ["resolve", "1"],
        ["resolve", "1", "--reason", " "],
        ["resolve", "1", "--reason", "because", "--by", ""],
        ["resolve", "--reason", "because"],
        ["resolve", "--stop", "--record", "AC1", "--reason", "because"],
        ["resolve", "--stop", "--file", "a.csv", "--reason", "because"],
        ["resolve", "1", "--all", "--record", "AC1", "--reason", "because"],
        ["resolve", "1", "--all", "--file", "a.csv", "--reason", "because"],
    ],
)
def test_a_wrong_command_line_is_exit_code_2(office: Office, arguments: list[str]) -> None:
    said = office.run(*arguments)

    assert said.code == ExitCode.USAGE
    assert said.err.startswith("usage: globeco-allocation batches")


@pytest.mark.parametrize(
    "command", [["list"], ["deliver"], ["verify"], ["resolve", "--stop", "--reason", "x"]]
)
def test_a_database_that_is_away_is_told_from_one_that_refuses(office: Office, command: list[str]) -> None:
    away = office.run(*command, DB_HOST="127.0.0.1", DB_PORT="1")
    unknown = office.run(*command, DB_NAME="nowhere")

    assert (away.code, unknown.code) == (ExitCode.TRY_AGAIN, ExitCode.FAILED)
    assert "cannot be reached" in away.err
    assert "does not exist" in unknown.err
    assert "Traceback" not in away.err + unknown.err
