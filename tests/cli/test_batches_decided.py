"""``globeco-allocation batches resend`` and ``resolve``: what an operator decides, and what is refused."""

import getpass

import pytest
from tests.cli.office import Office, refused

from globeco_allocation.domain.delivery import DeliveryStatus, Outcome, RecordVerdict, Reject
from globeco_allocation.entrypoints.exit_codes import ExitCode


def resolutions(office: Office) -> list[tuple[object, ...]]:
    found = office.sql("SELECT source_id, reason, resolved_by FROM delivery_resolution ORDER BY id")
    return [tuple(one) for one in found]


def test_resend_queues_what_failed(office: Office) -> None:
    delivery = office.failed()

    said = office.run("resend", str(delivery.batch_id))

    assert said.code == ExitCode.OK
    assert said.out == (
        f"{delivery.file_name}: queued; the running service delivers it, or `batches deliver`\n"
    )
    assert office.status(delivery) == "written"


def test_resend_says_that_nothing_moves_while_delivery_is_stopped(office: Office) -> None:
    delivery = office.stopped()

    said = office.run("resend", str(delivery.batch_id))

    assert said.code == ExitCode.OK
    assert said.line("ALL DELIVERY IS STOPPED")


def test_a_batch_that_has_not_ended_is_not_sent_again(office: Office) -> None:
    first, *_, last = office.written(8, lanes=4)

    said = office.run("resend", str(first.batch_id))

    refused(said, f"batch {first.batch_id} has not ended: {first.file_name} is written, ", last.file_name)
    assert office.status(first) == "written"


def test_what_is_waited_for_is_named_without_end(office: Office) -> None:
    files = office.written(12, largest=1)

    said = office.run("resend", str(files[0].batch_id))

    refused(said, files[9].file_name, "and 2 more")
    assert files[10].file_name not in said.err


def test_a_batch_without_anything_that_failed_is_not_sent_again(office: Office) -> None:
    empty = office.claimed(0)
    office.written()
    delivery = office.ended(Outcome(DeliveryStatus.DELIVERED, 2, 0, 0, 0))

    nothing_there = office.run("resend", str(empty))
    delivered = office.run("resend", str(delivery.batch_id))

    refused(nothing_there, f"batch {empty} has no failed or partial delivery")
    refused(delivered, f"batch {delivery.batch_id} has no failed or partial delivery")


def test_a_record_is_settled_with_reason_and_person(office: Office) -> None:
    delivery = office.partial(3, "AC1", "AC2")

    said = office.run(
        "resolve", str(delivery.batch_id), "--record", "AC2", "--reason", "booked by hand", "--by", "Ada"
    )

    assert (said.code, said.out) == (ExitCode.OK, "AC2: resolved\n")
    assert resolutions(office) == [("AC2", "booked by hand", "Ada")]
    assert office.status(delivery) == "partial"


def test_with_its_last_record_a_file_is_settled(office: Office) -> None:
    delivery = office.partial(3, "AC1", "AC2")

    said = office.run(
        "resolve", str(delivery.batch_id), "--record", "AC1", "--record", "AC2", "--reason", "cancelled"
    )

    assert said.lines == [
        "AC1: resolved",
        "AC2: resolved",
        f"{delivery.file_name}: resolved, with all its records",
    ]
    assert [one[2] for one in resolutions(office)] == [getpass.getuser()] * 2
    assert office.status(delivery) == "resolved"


def test_a_record_is_found_among_several_files(office: Office) -> None:
    files = office.written(2, largest=1)
    outcome = Outcome(DeliveryStatus.FAILED, 0, 1, 0, 0, "refused")
    for key in (1, 2):
        office.ended(outcome, Reject(f"AC{key}", RecordVerdict.REFUSED, "no such security"))
    batch = str(files[0].batch_id)

    said = office.run("resolve", batch, "--record", "AC2", "--reason", "cancelled")
    unknown = office.run("resolve", batch, "--record", "AC9", "--reason", "cancelled")
    elsewhere = office.run(
        "resolve", batch, "--record", "AC1", "--file", files[1].file_name, "--reason", "cancelled"
    )

    assert said.lines == ["AC2: resolved", f"{files[1].file_name}: resolved, with all its records"]
    refused(unknown, "AC9: none of these files rejected it")
    refused(elsewhere, "AC1: delivery")
    assert [office.status(one) for one in files] == ["failed", "resolved"]


def test_one_record_that_cannot_be_settled_does_not_keep_the_others(office: Office) -> None:
    delivery = office.partial(4, "AC1", "AC2", "AC3")
    batch = str(delivery.batch_id)
    office.run("resolve", batch, "--record", "AC1", "--reason", "once")

    said = office.run(
        "resolve", batch, "--reason", "x", "--record", "AC1", "--record", "AC8", "--record", "AC3"
    )

    refused(said, "AC1: ", "resolved already", "AC8: ", "has no rejected record")
    assert said.out == "AC3: resolved\n"
    assert [one[0] for one in resolutions(office)] == ["AC1", "AC3"]


def test_the_only_file_of_a_batch_is_settled(office: Office) -> None:
    delivery = office.failed()
    batch = str(delivery.batch_id)

    said = office.run("resolve", batch, "--reason", "loaded by hand", "--by", "Ada")
    again = office.run("resolve", batch, "--reason", "loaded by hand")

    assert (said.code, said.out) == (ExitCode.OK, f"{delivery.file_name}: resolved\n")
    assert resolutions(office) == [("", "loaded by hand", "Ada")]
    refused(again, f"{delivery.file_name}: ", "is resolved already")


def test_of_several_files_none_is_settled_unless_it_is_named(office: Office) -> None:
    files = office.written(3, largest=1)
    batch = str(files[0].batch_id)

    unsaid = office.run("resolve", batch, "--reason", "x")
    unknown = office.run("resolve", batch, "--reason", "x", "--file", "transactions.csv")
    named = office.run("resolve", batch, "--reason", "x", "--file", files[1].file_name)

    refused(unsaid, "--file", *(one.file_name for one in files))
    refused(unknown, f"batch {batch} has no file transactions.csv")
    assert (named.code, named.out) == (ExitCode.OK, f"{files[1].file_name}: resolved\n")
    assert [office.status(one) for one in files] == ["written", "resolved", "written"]


def test_all_settles_every_file_that_is_not_delivered(office: Office) -> None:
    files = office.written(3, largest=1)
    batch = str(files[0].batch_id)
    office.ended(Outcome(DeliveryStatus.DELIVERED, 1, 0, 0, 0))

    said = office.run("resolve", batch, "--all", "--reason", "x")
    again = office.run("resolve", batch, "--all", "--reason", "x")

    assert said.lines == [f"{one.file_name}: resolved" for one in files[1:]]
    refused(again, f"every file of batch {batch} is delivered or resolved already")
    assert [office.status(one) for one in files] == ["delivered", "resolved", "resolved"]


def test_what_is_delivered_or_under_way_is_not_settled(office: Office) -> None:
    office.written(1)
    delivered = office.ended(Outcome(DeliveryStatus.DELIVERED, 1, 0, 0, 0))
    held = office.held()

    whole = office.run("resolve", str(delivered.batch_id), "--reason", "x")
    going_on = office.run("resolve", str(held.batch_id), "--reason", "x")
    record = office.run("resolve", str(held.batch_id), "--record", "AC2", "--reason", "x")

    refused(whole, f"{delivered.file_name}: ", "is delivered already")
    refused(going_on, f"{held.file_name}: ", "try again later")
    refused(record, "AC2: ", "wait for its end")
    assert resolutions(office) == []


def test_a_batch_without_files_has_nothing_to_settle(office: Office) -> None:
    batch = office.claimed(0)

    said = office.run("resolve", str(batch), "--reason", "x")

    refused(said, f"batch {batch} has no files")


def test_the_stop_is_ended_once_with_a_reason(office: Office) -> None:
    office.stopped()

    said = office.run("resolve", "--stop", "--reason", "our ids begin at 1000 now", "--by", "Ada")
    again = office.run("resolve", "--stop", "--reason", "x")

    assert (said.code, said.out) == (ExitCode.OK, "The stop is ended: deliveries go on.\n")
    assert [tuple(one) for one in office.sql("SELECT cleared_reason, cleared_by FROM delivery_stop")] == [
        ("our ids begin at 1000 now", "Ada")
    ]
    refused(again, "delivery is not stopped")


def test_what_is_settled_is_so_where_there_is_no_stop_to_end_with_it(office: Office) -> None:
    office.stopped()
    office.run("resolve", "--stop", "--reason", "x")
    delivery = office.failed()

    said = office.run("resolve", str(delivery.batch_id), "--all", "--stop", "--reason", "x")

    assert said.code == ExitCode.OK, said
    assert said.out.endswith("Deliveries go on: they were not stopped.\n")


@pytest.mark.parametrize("record", ["AC1", "AC7"])
def test_the_stop_stays_where_what_was_to_be_settled_with_it_could_not_be(
    office: Office, record: str
) -> None:
    delivery = office.stopped()

    said = office.run("resolve", str(delivery.batch_id), "--record", record, "--stop", "--reason", "x")

    still = office.sql("SELECT 1 FROM delivery_stop WHERE cleared_timestamp IS NULL")
    assert said.code == (ExitCode.OK if record == "AC1" else ExitCode.FAILED)
    assert len(still) == (0 if record == "AC1" else 1)
    assert ("delivery stays stopped" in said.err) == bool(still)
