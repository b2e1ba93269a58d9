"""What cannot account for every record is unknown, never delivered (design, "Verdicts")."""

import json
from collections.abc import Mapping

import pytest

from globeco_allocation.domain import (
    AccountingRun,
    DeliveryStatus,
    ErrorRow,
    Judge,
    Outcome,
    PrintedCounts,
    RecordVerdict,
)

DELIVERED, PARTIAL, FAILED = DeliveryStatus.DELIVERED, DeliveryStatus.PARTIAL, DeliveryStatus.FAILED

POST = 'Post "http://accounting:8087/api/v1/transactions": '


def answer(booked: list[str], failed: Mapping[str, tuple[str, str]]) -> str:
    failures = [
        {"transaction": {"sourceId": source_id}, "errors": [{"field": field, "message": words}]}
        for source_id, (field, words) in failed.items()
    ]
    successes = [{"sourceId": source_id} for source_id in booked]
    return "HTTP 207: " + json.dumps({"successful": successes or None, "failed": failures}) + "\n"


def about(field: str, words: str, source_id: str = "AC1") -> str:
    return answer([], {source_id: (field, words)})


def outcome(records: int, run: AccountingRun, *rows: ErrorRow) -> Outcome:
    judge = Judge(records)
    for row in rows:
        judge.see(row)
    return judge.outcome(run)


def ended(total: int, succeeded: int, failed: int, exit_code: int | None = 0) -> AccountingRun:
    return AccountingRun(exit_code, PrintedCounts(total, succeeded, failed))


def counted(found: Outcome) -> tuple[DeliveryStatus, int, int, int]:
    return found.status, found.accepted_count, found.rejected_count, found.unknown_count


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        ("portfolio_id must be 24 characters", RecordVerdict.REFUSED),
        ("insufficient fields: expected 7, got 3", RecordVerdict.REFUSED),
        (about("sourceId", "source ID must be unique"), RecordVerdict.DUPLICATE),
        (about("repository", "duplicate key violation"), RecordVerdict.DUPLICATE),
        (about("processing", "Failed to persist balance changes"), RecordVerdict.NOT_BOOKED),
        (about("repository", 'pq: database "pa" is not accepting connections'), RecordVerdict.NOT_SENT),
        (about("repository", "pq: numeric field overflow"), RecordVerdict.REFUSED),
        (about("price", "must be positive"), RecordVerdict.REFUSED),
        (about("transaction", "quantity cannot be zero"), RecordVerdict.REFUSED),
        ('HTTP 400: {"error":{"code":"BATCH_TOO_LARGE"}}', RecordVerdict.NOT_SENT),
        ('HTTP 500: {"error":{"code":"INTERNAL_ERROR"}}', RecordVerdict.UNKNOWN),
        ("HTTP 503: ", RecordVerdict.UNKNOWN),
        (POST + "dial tcp 10.0.0.1:8087: connect: connection refused", RecordVerdict.NOT_SENT),
        (POST + "dial tcp: lookup accounting: no such host", RecordVerdict.NOT_SENT),
        (POST + "EOF", RecordVerdict.UNKNOWN),
        (POST + "context deadline exceeded (Client.Timeout exceeded)", RecordVerdict.UNKNOWN),
        (POST + "read tcp 10.0.0.2:1->10.0.0.1:8087: connection reset by peer", RecordVerdict.UNKNOWN),
        # Beyond what was recorded: never taken for a refusal.
        ("", RecordVerdict.UNKNOWN),
        (" \n", RecordVerdict.UNKNOWN),
        ("HTTP 207: not JSON", RecordVerdict.UNKNOWN),
        ("HTTP 207: [1, 2]", RecordVerdict.UNKNOWN),
        ('HTTP 207: {"successful": 7, "failed": null}', RecordVerdict.UNKNOWN),
        ("HTTP 207: " + "[" * 100_000, RecordVerdict.UNKNOWN),
        (answer(["AC2"], {"AC3": ("price", "must be positive")}), RecordVerdict.UNKNOWN),
        ("HTTP 404: page not found", RecordVerdict.UNKNOWN),
        ("HTTP 207", RecordVerdict.UNKNOWN),
        ("HTTP two hundred: ok", RecordVerdict.UNKNOWN),
    ],
)  # fmt: skip
def test_each_kind_of_message_has_its_verdict(message: str, verdict: RecordVerdict) -> None:
    reject = Judge(1).see(ErrorRow("AC1", message))

    assert reject is not None
    assert (reject.source_id, reject.verdict) == ("AC1", verdict)


def test_a_booked_record_in_the_error_file_is_no_reject() -> None:
    message = answer(["AC1"], {"AC2": ("price", "must be positive"), "AC1": ("sourceId", "must be unique")})

    assert Judge(2).see(ErrorRow("AC1", message)) is None


def test_all_booked_and_counted_is_delivered() -> None:
    assert counted(outcome(3, ended(3, 3, 0))) == (DELIVERED, 3, 0, 0)


def test_booked_records_in_the_error_file_count_as_booked() -> None:
    message = answer(["AC1", "AC2"], {"AC3": ("price", "must be positive")})
    rows = [ErrorRow(source_id, message) for source_id in ("AC1", "AC2", "AC3")]

    assert counted(outcome(3, ended(3, 0, 3), *rows)) == (PARTIAL, 2, 1, 0)


def test_all_refused_for_good_is_failed() -> None:
    assert counted(outcome(1, ended(1, 0, 1), ErrorRow("AC1", "bad"))) == (FAILED, 0, 1, 0)


def test_one_unknown_record_makes_the_delivery_failed() -> None:
    found = outcome(2, ended(2, 1, 1), ErrorRow("AC1", POST + "EOF"))

    assert counted(found) == (FAILED, 1, 0, 1)
    assert "1 not known to be booked" in found.error


def test_records_that_vanished_are_unknown() -> None:
    assert counted(outcome(5, ended(2, 2, 0))) == (FAILED, 2, 0, 3)


def test_answers_that_could_not_be_read_are_unknown() -> None:
    assert counted(outcome(2, ended(2, 0, 0))) == (FAILED, 0, 0, 2)


@pytest.mark.parametrize(
    "run",
    [ended(3, 2, 0), ended(3, 1, 2), ended(3, 3, 1), ended(4, 3, 1), ended(2, 2, 1)],
    ids=[
        "no error counted",
        "one more counted",
        "more than the total",
        "more than written",
        "less than both",
    ],
)
def test_counts_that_do_not_fit_the_error_file_are_not_trusted(run: AccountingRun) -> None:
    found = outcome(3, run, ErrorRow("AC1", "bad"))

    assert counted(found) == (FAILED, 0, 1, 2)
    assert "counts do not fit" in found.error


def test_counts_of_more_records_than_were_written_are_not_trusted() -> None:
    assert counted(outcome(2, ended(3, 3, 0))) == (FAILED, 0, 0, 2)


def test_a_lost_error_file_is_not_success() -> None:
    assert counted(outcome(2, ended(2, 1, 1))) == (FAILED, 0, 0, 2)


def test_without_counts_nothing_is_known_even_without_an_error_file() -> None:
    found = outcome(2, AccountingRun(0, None))

    assert counted(found) == (FAILED, 0, 0, 2)
    assert "printed no counts" in found.error


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [(None, "killed past its time limit"), (1, "exit code 1"), (-9, "exit code -9"), (125, "exit code 125")],
)
def test_a_run_that_did_not_end_well_is_unknown_whatever_it_printed(
    exit_code: int | None, words: str
) -> None:
    found = outcome(2, ended(2, 2, 0, exit_code))

    assert counted(found) == (FAILED, 0, 0, 2)
    assert found.exit_code == exit_code
    assert words in found.error


def test_duplicates_in_a_first_run_are_a_collision_even_beside_booked_records() -> None:
    found = outcome(2, ended(2, 1, 1), ErrorRow("AC1", about("sourceId", "source ID must be unique")))

    assert counted(found) == (FAILED, 1, 1, 0)
    assert "already has rows under 1 of our source ids" in found.error


def test_a_record_that_is_listed_twice_leaves_another_one_unknown() -> None:
    booked = 'HTTP 207: {"successful":[{"sourceId":"AC1"}],"failed":[]}'
    found = outcome(3, ended(3, 0, 3), *[ErrorRow("AC1", booked)] * 3)

    assert counted(found) == (FAILED, 1, 0, 2)


def test_a_record_that_is_none_of_ours_is_not_counted_as_booked() -> None:
    booked = 'HTTP 207: {"successful":[{"sourceId":"XY1"}],"failed":[]}'
    found = outcome(1, ended(1, 0, 1), ErrorRow("XY1", booked))

    assert counted(found) == (FAILED, 0, 0, 1)


def test_what_people_must_look_at_is_told_apart_from_what_was_refused() -> None:
    found = outcome(
        3,
        ended(3, 1, 2),
        ErrorRow("AC1", about("processing", "numeric field overflow")),
        ErrorRow("AC2", about("price", "must be positive", "AC2")),
    )

    assert found.error == (
        "1 of 3 records booked, 1 refused, 1 stored but not booked, so that a person must look"
        " (such as: processing: numeric field overflow)"
    )


def test_a_record_stored_without_its_balances_is_not_delivered() -> None:
    found = outcome(2, ended(2, 1, 1), ErrorRow("AC1", about("processing", "numeric field overflow")))

    assert counted(found) == (PARTIAL, 1, 1, 0)


def test_reasons_are_shortened() -> None:
    reject = Judge(1).see(ErrorRow("AC1", "x" * 10_000))

    assert reject is not None
    assert len(reject.reason) == 500


def test_the_answer_to_a_large_request_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    loads = json.loads

    def counting(text: str) -> object:
        read.append(len(text))
        return loads(text)

    monkeypatch.setattr(json, "loads", counting)
    source_ids = [f"AC{number}" for number in range(1, 1001)]
    duplicates = dict.fromkeys(source_ids, ("sourceId", "source ID must be unique"))
    message = answer([], duplicates)
    judge = Judge(1000)
    for source_id in source_ids:
        judge.see(ErrorRow(source_id, message))

    assert len(read) == 1
    assert judge.outcome(ended(1000, 0, 1000)).rejected_count == 1000
