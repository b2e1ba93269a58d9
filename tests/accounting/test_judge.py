"""What cannot account for every record is unknown, never delivered (design, "Verdicts")."""

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pytest

from globeco_allocation.domain import (
    AccountingRun,
    DeliveryStatus,
    EarlierAttempts,
    ErrorRow,
    Judge,
    Knowledge,
    Next,
    Outcome,
    PrintedCounts,
    RecordVerdict,
    Reject,
    execution_id_of,
    source_id,
)

DELIVERED, PARTIAL, FAILED = DeliveryStatus.DELIVERED, DeliveryStatus.PARTIAL, DeliveryStatus.FAILED
REFUSED, NOT_BOOKED = RecordVerdict.REFUSED, RecordVerdict.NOT_BOOKED
UNCONFIRMED, DUPLICATE = RecordVerdict.UNCONFIRMED, RecordVerdict.DUPLICATE
NOT_SENT, UNKNOWN = RecordVerdict.NOT_SENT, RecordVerdict.UNKNOWN

POST = 'Post "http://accounting:8087/api/v1/transactions": '
KILLED = AccountingRun(-9, None)
SILENT = AccountingRun(0, None)
"""A Kubernetes Job that succeeded: nobody may read what it printed."""


def answer(booked: list[str], failed: Mapping[str, tuple[str, str]]) -> str:
    failures = [
        {"transaction": {"sourceId": source_id}, "errors": [{"field": field, "message": words}]}
        for source_id, (field, words) in failed.items()
    ]
    successes = [{"sourceId": source_id} for source_id in booked]
    return "HTTP 207: " + json.dumps({"successful": successes or None, "failed": failures}) + "\n"


def about(field: str, words: str, source_id: str = "AC1") -> str:
    return answer([], {source_id: (field, words)})


def known(*keys: int) -> list[ErrorRow]:
    return [
        ErrorRow(source_id(key), about("sourceId", "source ID must be unique", source_id(key)))
        for key in keys
    ]


def down(*keys: int) -> list[ErrorRow]:
    words = POST + "dial tcp 10.0.0.1:8087: connect: connection refused"
    return [ErrorRow(source_id(key), words) for key in keys]


def lost(*keys: int) -> list[ErrorRow]:
    return [ErrorRow(source_id(key), POST + "EOF") for key in keys]


def refused(*keys: int) -> list[ErrorRow]:
    return [ErrorRow(source_id(key), "price must be positive") for key in keys]


def not_booked(*keys: int) -> list[ErrorRow]:
    return [
        ErrorRow(source_id(key), about("processing", "numeric field overflow", source_id(key)))
        for key in keys
    ]


def ended(total: int, succeeded: int, failed: int, exit_code: int | None = 0) -> AccountingRun:
    return AccountingRun(exit_code, PrintedCounts(total, succeeded, failed))


class Found(NamedTuple):
    """What an attempt came to."""

    outcome: Outcome
    next: Next
    rejects: list[Reject]

    @property
    def counted(self) -> tuple[DeliveryStatus, int, int, int]:
        one = self.outcome
        return one.status, one.accepted_count, one.rejected_count, one.unknown_count

    @property
    def verdicts(self) -> dict[int, RecordVerdict]:
        """Of each record of the file that is named."""
        named = ((execution_id_of(one.source_id), one.verdict) for one in self.rejects)
        return {key: verdict for key, verdict in named if key is not None}


class Attempts:
    """One attempt after the other to deliver the records 1, 2, ... of one file."""

    def __init__(self, records: int) -> None:
        self.records = records
        self.knowledge = Knowledge()
        self._count = 0
        self._rejects: dict[int, list[Reject]] = {0: []}

    def then(self, run: AccountingRun, *rows: ErrorRow) -> Found:
        """Judge the next one, from what a delivery keeps of those before it."""
        self._count += 1
        earlier = EarlierAttempts(self.knowledge)
        for reject in self._rejects[self.knowledge.attempt]:
            earlier.see(reject)
        judge = Judge(self._count, earlier)
        for key in range(1, self.records + 1):
            judge.expect(key)
        seen = [judge.see(row) for row in rows]
        rejects = [*(one for one in seen if one is not None), *judge.conclude(run)]
        self._rejects[self._count] = rejects
        judgement = judge.judgement(run)
        self.knowledge = judgement.knowledge
        return Found(judgement.outcome, judgement.next, rejects)

    def loading(self, *listed: ErrorRow) -> Found:
        """Judge a run that booked whatever it did not list."""
        return self.then(ended(self.records, self.records - len(listed), len(listed)), *listed)


def judged(records: int, run: AccountingRun, *rows: ErrorRow) -> Found:
    return Attempts(records).then(run, *rows)


def first_verdict(message: str) -> RecordVerdict:
    (reject,) = judged(1, ended(1, 0, 1), ErrorRow("AC1", message)).rejects
    return reject.verdict


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        ("portfolio_id must be 24 characters", REFUSED),
        ("insufficient fields: expected 7, got 3", REFUSED),
        (about("sourceId", "source ID must be unique"), DUPLICATE),
        (about("repository", "duplicate key violation"), DUPLICATE),
        (about("processing", "Failed to persist balance changes"), NOT_BOOKED),
        (about("repository", 'pq: database "pa" is not accepting connections'), NOT_SENT),
        (about("repository", "pq: numeric field overflow"), REFUSED),
        (about("price", "must be positive"), REFUSED),
        (about("transaction", "quantity cannot be zero"), REFUSED),
        ('HTTP 400: {"error":{"code":"BATCH_TOO_LARGE"}}', NOT_SENT),
        ('HTTP 500: {"error":{"code":"INTERNAL_ERROR"}}', UNKNOWN),
        ("HTTP 503: ", UNKNOWN),
        (POST + "dial tcp 10.0.0.1:8087: connect: connection refused", NOT_SENT),
        (POST + "dial tcp: lookup accounting: no such host", NOT_SENT),
        (POST + "EOF", UNKNOWN),
        (POST + "context deadline exceeded (Client.Timeout exceeded)", UNKNOWN),
        (POST + "read tcp 10.0.0.2:1->10.0.0.1:8087: connection reset by peer", UNKNOWN),
        # Beyond what was recorded: never taken for a refusal.
        ("", UNKNOWN),
        (" \n", UNKNOWN),
        ("HTTP 207: not JSON", UNKNOWN),
        ("HTTP 207: [1, 2]", UNKNOWN),
        ('HTTP 207: {"successful": 7, "failed": null}', UNKNOWN),
        ('HTTP 207: {"successful": ["AC1"], "failed": null}', UNKNOWN),
        ('HTTP 207: {"failed": [{"transaction": {"sourceId": "AC1"}, "errors": []}]}', UNKNOWN),
        ("HTTP 207: " + "[" * 100_000, UNKNOWN),
        (answer(["AC2"], {"AC3": ("price", "must be positive")}), UNKNOWN),
        ("HTTP 404: page not found", UNKNOWN),
        ("HTTP 207", UNKNOWN),
        ("HTTP two hundred: ok", UNKNOWN),
    ],
)  # fmt: skip
def test_each_kind_of_message_has_its_verdict(message: str, verdict: RecordVerdict) -> None:
    assert first_verdict(message) is verdict


def test_a_booked_record_in_the_error_file_is_no_reject() -> None:
    message = answer(["AC1"], {"AC2": ("price", "must be positive"), "AC1": ("sourceId", "must be unique")})

    found = judged(2, ended(2, 0, 2), ErrorRow("AC1", message), ErrorRow("AC2", message))

    assert found.verdicts == {2: REFUSED}
    assert found.counted == (PARTIAL, 1, 1, 0)


class TestOneRun:
    """A first attempt."""

    def test_all_booked_and_counted_is_delivered(self) -> None:
        found = judged(3, ended(3, 3, 0))

        assert found.counted == (DELIVERED, 3, 0, 0)
        assert (found.outcome.error, found.next, found.rejects) == ("", Next.END, [])

    def test_booked_records_in_the_error_file_count_as_booked(self) -> None:
        message = answer(["AC1", "AC2"], {"AC3": ("price", "must be positive")})
        rows = [ErrorRow(source_id, message) for source_id in ("AC1", "AC2", "AC3")]

        assert judged(3, ended(3, 0, 3), *rows).counted == (PARTIAL, 2, 1, 0)

    def test_an_answer_that_names_one_row_of_a_thousand_spoils_only_that_one(self) -> None:
        names = [source_id(key) for key in range(1, 1001)]
        message = answer(names[:-1], {names[-1]: ("price", "must be positive")})

        found = judged(1000, ended(1000, 0, 1000), *(ErrorRow(name, message) for name in names))

        assert found.counted == (PARTIAL, 999, 1, 0)
        assert found.verdicts == {1000: REFUSED}

    def test_all_refused_for_good_is_failed_and_not_tried_again(self) -> None:
        found = judged(1, ended(1, 0, 1), ErrorRow("AC1", "bad"))

        assert found.counted == (FAILED, 0, 1, 0)
        assert found.next is Next.END

    def test_one_unknown_record_makes_the_attempt_failed(self) -> None:
        found = judged(2, ended(2, 1, 1), *lost(1))

        assert found.counted == (FAILED, 1, 0, 1)
        assert found.next is Next.RETRY
        assert "1 not known to be booked" in found.outcome.error

    @pytest.mark.parametrize(
        ("records", "run", "counted"),
        [
            pytest.param(5, ended(2, 2, 0), (FAILED, 2, 0, 3), id="rows-vanished"),
            pytest.param(2, ended(2, 0, 0), (FAILED, 0, 0, 2), id="answers-could-not-be-read"),
            pytest.param(2, ended(3, 3, 0), (FAILED, 0, 0, 2), id="more-than-were-written"),
            pytest.param(2, ended(2, 1, 1), (FAILED, 0, 0, 2), id="the-error-file-is-lost"),
        ],
    )
    def test_what_is_not_accounted_for_is_unknown(
        self, records: int, run: AccountingRun, counted: tuple[object, ...]
    ) -> None:
        found = judged(records, run)

        assert found.counted == counted
        assert found.next is Next.RETRY
        assert found.verdicts == dict.fromkeys(range(1, records + 1), UNKNOWN)

    @pytest.mark.parametrize(
        "run",
        [ended(3, 2, 0), ended(3, 1, 2), ended(3, 3, 1), ended(4, 3, 1), ended(2, 2, 1)],
        ids=["none-counted", "one-more-counted", "above-the-total", "above-the-file", "less-than-both"],
    )
    def test_counts_that_do_not_fit_the_error_file_are_not_trusted(self, run: AccountingRun) -> None:
        found = judged(3, run, ErrorRow("AC1", "bad"))

        assert found.counted == (FAILED, 0, 1, 2)
        assert found.next is Next.RETRY
        assert "counts do not fit" in found.outcome.error

    @pytest.mark.parametrize(
        ("exit_code", "words"),
        [(1, "exit code 1"), (-9, "exit code -9"), (125, "exit code 125")],
    )
    def test_a_run_that_did_not_end_well_is_unknown_whatever_it_printed(
        self, exit_code: int, words: str
    ) -> None:
        found = judged(2, ended(2, 2, 0, exit_code))

        assert found.counted == (FAILED, 0, 0, 2)
        assert (found.outcome.exit_code, found.next) == (exit_code, Next.RETRY)
        assert words in found.outcome.error

    def test_a_run_past_its_time_limit_is_unknown_whatever_it_printed(self) -> None:
        found = judged(2, AccountingRun(0, PrintedCounts(2, 2, 0), timed_out=True))

        assert found.counted == (FAILED, 0, 0, 2)
        assert "past its time limit" in found.outcome.error

    def test_a_run_found_without_exit_code_counts_by_what_it_printed(self) -> None:
        assert judged(2, ended(2, 2, 0, None)).counted == (DELIVERED, 2, 0, 0)

    def test_a_run_found_without_exit_code_and_counts_was_cut_off(self) -> None:
        attempts = Attempts(2)

        found = attempts.then(AccountingRun(None, None))

        assert found.counted == (FAILED, 0, 0, 2)
        assert attempts.knowledge == Knowledge(attempt=0, cut_offs=1)
        assert "cut off" in found.outcome.error

    def test_duplicates_are_a_collision_even_beside_booked_records(self) -> None:
        found = judged(2, ended(2, 1, 1), *known(1))

        assert found.counted == (FAILED, 1, 1, 0)
        assert found.next is Next.STOP
        assert "already has rows under 1 of our source ids" in found.outcome.error

    def test_a_collision_is_not_forgotten_over_unknown_records(self) -> None:
        found = judged(3, ended(3, 1, 2), *known(1), *lost(2))

        assert found.counted == (FAILED, 1, 1, 1)
        assert found.next is Next.STOP

    def test_a_record_stored_without_its_balances_is_not_delivered(self) -> None:
        found = judged(2, ended(2, 1, 1), *not_booked(1))

        assert found.counted == (PARTIAL, 1, 1, 0)
        assert found.next is Next.END

    def test_what_people_must_look_at_is_told_apart_from_what_was_refused(self) -> None:
        found = judged(3, ended(3, 1, 2), *not_booked(1), *refused(2))

        assert found.outcome.error == (
            "1 of 3 records booked, 1 refused, 1 stored but not booked, so that a person must look"
            " (such as: processing: numeric field overflow)"
        )

    def test_reasons_are_shortened(self) -> None:
        (reject,) = judged(1, ended(1, 0, 1), ErrorRow("AC1", "x" * 10_000)).rejects

        assert len(reject.reason) == 500


class TestStrayRows:
    """Rows that stand for no record of the file."""

    def test_a_record_that_is_listed_twice_leaves_another_one_unknown(self) -> None:
        booked = 'HTTP 207: {"successful":[{"sourceId":"AC1"}],"failed":[]}'

        found = judged(3, ended(3, 0, 3), *[ErrorRow("AC1", booked)] * 3)

        assert found.counted == (FAILED, 1, 0, 2)
        assert found.next is Next.RETRY

    @pytest.mark.parametrize("name", ["XY1", "AC99", ""])
    def test_a_record_that_is_none_of_the_files_is_not_counted_as_booked(self, name: str) -> None:
        booked = answer([name], {})

        found = judged(1, ended(1, 0, 1), ErrorRow(name, booked))

        assert found.counted == (FAILED, 0, 0, 1)
        assert found.next is Next.RETRY

    def test_a_row_too_many_spoils_the_verdict_of_an_otherwise_good_run(self) -> None:
        found = judged(2, ended(2, 2, 0), *refused(99))

        assert found.outcome.status is FAILED
        assert found.next is Next.RETRY

    def test_a_refused_row_without_fields_stands_for_a_record(self) -> None:
        found = judged(2, ended(2, 1, 1), ErrorRow("", "insufficient fields: expected 7, got 3"))

        assert found.counted == (PARTIAL, 1, 1, 0)

    def test_an_error_file_that_breaks_off_leaves_its_records_unknown(self) -> None:
        found = judged(3, ended(3, 1, 2), *refused(1), ErrorRow("", ""))

        assert found.counted == (FAILED, 1, 1, 1)
        assert found.next is Next.RETRY


class TestWithoutCounts:
    """A Kubernetes Job leaves its error file alone, if there is one."""

    def test_no_counts_and_no_error_file_ask_for_a_confirming_run(self) -> None:
        found = judged(2, SILENT)

        assert found.counted == (FAILED, 0, 0, 2)
        assert found.next is Next.CONFIRM
        assert "left no counts" in found.outcome.error

    def test_all_the_records_that_are_not_named_are_one_reject(self) -> None:
        (reject,) = judged(1000, SILENT).rejects

        assert (reject.source_id, reject.verdict) == ("", UNKNOWN)
        assert "left no counts" in reject.reason

    def test_a_confirming_run_in_which_all_are_known_is_delivered(self) -> None:
        attempts = Attempts(3)
        attempts.then(SILENT)

        found = attempts.then(SILENT, *known(1, 2, 3))

        assert found.counted == (DELIVERED, 3, 0, 0)
        assert (found.next, found.rejects) == (Next.END, [])

    def test_a_confirming_run_that_books_one_more_has_to_be_confirmed_itself(self) -> None:
        attempts = Attempts(3)
        attempts.then(SILENT)

        second = attempts.then(SILENT, *known(1, 3))
        third = attempts.then(SILENT, *known(1, 2, 3))

        assert (second.counted, second.next) == ((FAILED, 2, 0, 1), Next.CONFIRM)
        assert (third.counted, third.next) == ((DELIVERED, 3, 0, 0), Next.END)

    def test_refusals_are_confirmed_with_the_rest(self) -> None:
        attempts = Attempts(3)

        first = attempts.then(SILENT, *refused(2))
        second = attempts.then(SILENT, *refused(2), *known(1, 3))

        assert (first.counted, first.next) == ((FAILED, 0, 1, 2), Next.CONFIRM)
        assert (second.counted, second.next) == ((PARTIAL, 2, 1, 0), Next.END)

    def test_a_complaint_asks_for_another_attempt_not_for_a_confirming_run(self) -> None:
        assert judged(3, SILENT, *lost(2)).next is Next.RETRY
        assert judged(3, SILENT, *down(2)).next is Next.RETRY
        assert judged(3, SILENT, *refused(99)).next is Next.RETRY

    def test_an_error_file_that_names_every_record_says_enough(self) -> None:
        found = judged(3, SILENT, *refused(1, 2), ErrorRow("AC3", answer(["AC3"], {})))

        assert found.counted == (PARTIAL, 1, 2, 0)
        assert found.next is Next.END

    def test_a_foreign_row_is_a_collision_at_once(self) -> None:
        assert judged(3, SILENT, *known(2)).next is Next.STOP


class TestSendingAgain:
    """ "Must be unique" means what the attempts before it allow it to mean."""

    @pytest.mark.parametrize("before", [(), lost(2)], ids=["accepted", "unknown"])
    def test_known_after_accepted_or_unknown_is_accepted(self, before: Iterable[ErrorRow]) -> None:
        attempts = Attempts(2)
        attempts.loading(*before)

        found = attempts.loading(*known(1, 2))

        assert found.counted == (DELIVERED, 2, 0, 0)

    @pytest.mark.parametrize("before", [down(2), refused(2)], ids=["not-sent", "refused"])
    def test_known_after_not_sent_or_refused_is_a_collision(self, before: Iterable[ErrorRow]) -> None:
        attempts = Attempts(2)
        attempts.loading(*before)

        found = attempts.loading(*known(1, 2))

        assert found.next is Next.STOP
        assert found.verdicts == {2: DUPLICATE}

    def test_a_foreign_row_stays_foreign(self) -> None:
        attempts = Attempts(2)
        attempts.loading(*known(2))

        assert attempts.loading(*known(1, 2)).next is Next.STOP
        attempts.then(KILLED)
        assert attempts.loading(*known(1, 2)).verdicts == {2: DUPLICATE}

    def test_not_sent_after_perhaps_stored_is_unknown(self) -> None:
        attempts = Attempts(2)
        attempts.loading(*lost(2))

        found = attempts.loading(*down(1, 2))

        assert found.verdicts == {1: UNKNOWN, 2: UNKNOWN}
        assert attempts.loading(*known(1, 2)).counted == (DELIVERED, 2, 0, 0)

    def test_not_sent_again_and_again_is_still_not_sent(self) -> None:
        attempts = Attempts(2)
        for _ in range(3):
            assert attempts.loading(*down(1, 2)).verdicts == {1: NOT_SENT, 2: NOT_SENT}

        assert attempts.loading(*known(2)).next is Next.STOP

    def test_not_booked_stays_so_for_ever_with_its_words(self) -> None:
        attempts = Attempts(2)
        first = attempts.loading(*not_booked(1))
        for listed in (known(1, 2), down(1, 2), lost(1, 2), known(1, 2)):
            found = attempts.loading(*listed)

            assert found.verdicts[1] is NOT_BOOKED
            assert found.rejects[0].reason == first.rejects[0].reason

        assert (found.counted, found.next) == ((PARTIAL, 1, 1, 0), Next.END)

    def test_not_booked_stays_named_where_the_error_file_does_not_name_it(self) -> None:
        attempts = Attempts(2)
        attempts.then(SILENT, *not_booked(1))

        found = attempts.then(SILENT)

        assert found.verdicts == {1: NOT_BOOKED}
        assert found.counted == (FAILED, 0, 1, 1)

    def test_a_record_that_accounting_takes_after_all_is_accepted(self) -> None:
        attempts = Attempts(2)
        attempts.loading(*not_booked(1), *refused(2))

        assert attempts.loading().counted == (DELIVERED, 2, 0, 0)


class TestAfterACutOff:
    """A run that was cut off stored some records, and the last one perhaps without booking it."""

    @pytest.mark.parametrize(
        "run",
        [
            KILLED,
            ended(1, 0, 0, 1),
            AccountingRun(None, None),
            AccountingRun(0, PrintedCounts(4, 4, 0), timed_out=True),
        ],
        ids=["killed", "exit-1", "found-without-a-word", "timed-out"],
    )
    def test_the_last_known_before_the_first_new_is_unconfirmed(self, run: AccountingRun) -> None:
        attempts = Attempts(6)
        attempts.then(run)

        found = attempts.loading(*known(1, 2, 3))

        assert found.verdicts == {3: UNCONFIRMED}
        assert (found.counted, found.next) == ((PARTIAL, 5, 1, 0), Next.END)
        assert "1 unconfirmed" in found.outcome.error
        assert "look whether it is booked" in found.rejects[0].reason

    def test_a_run_that_had_stored_nothing_leaves_nothing_unconfirmed(self) -> None:
        attempts = Attempts(3)
        attempts.then(KILLED)

        assert attempts.loading().counted == (DELIVERED, 3, 0, 0)

    def test_where_all_are_known_the_last_of_the_file_is_unconfirmed(self) -> None:
        attempts = Attempts(3)
        attempts.then(KILLED)

        found = attempts.loading(*known(1, 2, 3))

        assert (found.verdicts, found.next) == ({3: UNCONFIRMED}, Next.END)

    def test_refused_records_neither_end_nor_begin_what_was_stored(self) -> None:
        attempts = Attempts(6)
        attempts.then(KILLED)

        found = attempts.loading(*refused(1, 4), *known(2, 3))

        assert found.verdicts == {1: REFUSED, 4: REFUSED, 3: UNCONFIRMED}

    def test_a_known_record_behind_the_first_new_one_is_a_collision(self) -> None:
        attempts = Attempts(6)
        attempts.then(KILLED)

        found = attempts.loading(*known(1, 5))

        assert found.verdicts == {1: UNCONFIRMED, 5: DUPLICATE}
        assert found.next is Next.STOP

    def test_a_known_record_that_an_earlier_attempt_may_have_stored_is_no_collision(self) -> None:
        attempts = Attempts(6)
        attempts.loading(*down(1, 2, 3, 4), *lost(5))
        attempts.then(KILLED)

        found = attempts.loading(*known(1, 2, 5, 6))

        assert found.verdicts == {2: UNCONFIRMED}
        assert found.next is Next.END

    def test_a_record_that_was_accepted_before_the_cut_off_was_not_in_flight(self) -> None:
        attempts = Attempts(4)
        attempts.loading(*down(3, 4))
        attempts.then(KILLED)

        assert attempts.loading(*known(1, 2)).counted == (DELIVERED, 4, 0, 0)

    def test_a_record_whose_answer_was_lost_may_have_been_in_flight_later(self) -> None:
        attempts = Attempts(4)
        attempts.loading(*lost(2))
        attempts.then(KILLED)

        assert attempts.loading(*known(1, 2, 3, 4)).verdicts == {2: UNCONFIRMED}

    def test_a_record_of_which_there_was_no_word_may_have_been_in_flight_later(self) -> None:
        attempts = Attempts(3)
        attempts.then(ended(3, 1, 2))  # its error file is lost
        attempts.then(KILLED)

        found = attempts.loading(*known(1, 2), *down(3))
        last = attempts.loading(*known(1, 2, 3))

        assert found.verdicts == {1: UNKNOWN, 2: UNKNOWN, 3: UNKNOWN}
        assert last.verdicts == {1: UNCONFIRMED, 2: UNCONFIRMED, 3: UNCONFIRMED}

    def test_a_confirming_run_that_was_cut_off_leaves_its_last_record_unconfirmed(self) -> None:
        attempts = Attempts(3)
        attempts.then(SILENT)
        attempts.then(KILLED)

        found = attempts.then(SILENT, *known(1, 2, 3))

        assert (found.verdicts, found.next) == ({3: UNCONFIRMED}, Next.END)

    def test_an_unconfirmed_record_stays_so(self) -> None:
        attempts = Attempts(3)
        attempts.then(KILLED)
        attempts.loading(*known(1, 2))

        found = attempts.loading(*known(1, 2, 3))

        assert (found.verdicts, found.next) == ({2: UNCONFIRMED}, Next.END)

    @pytest.mark.parametrize(
        "between",
        [down(1, 2, 3, 4), [*known(1), *down(2, 3, 4)], [*known(1, 2), *down(3, 4)]],
        ids=["down-for-all", "down-before-it", "down-right-behind-it"],
    )
    def test_it_is_still_named_when_accounting_was_away_meanwhile(self, between: list[ErrorRow]) -> None:
        attempts = Attempts(4)
        attempts.then(KILLED)  # with record 2 in flight

        second = attempts.loading(*between)
        third = attempts.loading(*known(1, 2))

        assert second.next is Next.RETRY
        assert UNCONFIRMED not in second.verdicts.values()
        assert (third.verdicts, third.next) == ({2: UNCONFIRMED}, Next.END)

    def test_it_is_still_named_when_its_own_answer_was_lost(self) -> None:
        attempts = Attempts(4)
        attempts.then(KILLED)  # with record 2 in flight
        attempts.loading(*known(1), *lost(2))

        found = attempts.loading(*known(1, 2, 3, 4))

        assert found.verdicts[2] is UNCONFIRMED
        assert found.next is Next.END

    def test_it_is_still_named_when_every_answer_was_lost(self) -> None:
        attempts = Attempts(3)
        attempts.then(KILLED)
        attempts.loading(*lost(1, 2, 3))

        found = attempts.loading(*known(1, 2, 3))

        assert found.verdicts == {1: UNCONFIRMED, 2: UNCONFIRMED, 3: UNCONFIRMED}

    def test_counts_that_do_not_fit_settle_nothing(self) -> None:
        attempts = Attempts(4)
        attempts.then(KILLED)  # with record 2 in flight

        second = attempts.then(ended(4, 3, 0), *known(1))
        third = attempts.loading(*known(1, 2))

        assert second.next is Next.RETRY
        assert third.verdicts == {1: UNCONFIRMED, 2: UNCONFIRMED}

    def test_without_counts_it_is_named_before_and_after_the_confirming_run(self) -> None:
        attempts = Attempts(4)
        attempts.then(AccountingRun(None, None))

        second = attempts.then(SILENT, *known(1, 2))
        third = attempts.then(SILENT, *known(1, 2, 3, 4))

        assert (second.verdicts, second.next) == ({2: UNCONFIRMED}, Next.CONFIRM)
        assert (third.verdicts, third.next) == ({2: UNCONFIRMED}, Next.END)

    def test_of_two_runs_that_were_cut_off_each_record_that_may_have_been_in_flight_is_named(self) -> None:
        attempts = Attempts(6)
        attempts.then(KILLED)
        attempts.then(KILLED)

        found = attempts.loading(*known(1, 2, 3, 4))

        assert found.verdicts == dict.fromkeys((1, 2, 3, 4), UNCONFIRMED)
        assert (
            "2 runs before it were cut off, each with one of the unconfirmed in flight" in found.outcome.error
        )

    def test_what_is_cleared_up_is_not_asked_for_again(self) -> None:
        attempts = Attempts(4)
        attempts.then(KILLED)
        attempts.loading(*known(1), *lost(4))  # 2 is new: 4 cannot have been in flight

        found = attempts.loading(*known(1, 2, 3, 4))

        assert found.verdicts == {1: UNCONFIRMED}
        assert attempts.knowledge.cut_offs == 0


def test_the_answer_to_a_large_request_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    loads = json.loads

    def counting(text: str) -> object:
        read.append(len(text))
        return loads(text)

    monkeypatch.setattr(json, "loads", counting)
    names = [source_id(key) for key in range(1, 1001)]
    message = answer([], dict.fromkeys(names, ("price", "must be positive")))

    found = judged(1000, ended(1000, 0, 1000), *(ErrorRow(name, message) for name in names))

    assert len(read) == 1
    assert found.outcome.rejected_count == 1000


def test_a_million_records_take_little_memory() -> None:
    script = """
        import json
        import resource
        from globeco_allocation.domain import (
            AccountingRun, EarlierAttempts, ErrorRow, Judge, Knowledge, PrintedCounts, RecordVerdict, Reject,
        )

        def known(key):
            error = {"field": "sourceId", "message": "source ID must be unique"}
            failed = {"transaction": {"sourceId": f"AC{key}"}, "errors": [error]}
            return ErrorRow(f"AC{key}", "HTTP 207: " + json.dumps({"successful": None, "failed": [failed]}))

        all_keys, listed = range(1, 1_000_001), range(1, 90_001)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        earlier = EarlierAttempts(Knowledge(1, 1))
        verdicts = [RecordVerdict.UNKNOWN, RecordVerdict.NOT_SENT, RecordVerdict.NOT_BOOKED]
        for key in all_keys:
            earlier.see(Reject(f"AC{key}", verdicts[key % 3], "words"))
        judge, rejects = Judge(3, earlier), 0
        for key in all_keys:
            judge.expect(key)
        for key in listed:
            rejects += judge.see(known(key)) is not None
        run = AccountingRun(0, PrintedCounts(len(all_keys), len(all_keys) - len(listed), len(listed)))
        rejects += sum(1 for _ in judge.conclude(run))
        outcome = judge.judgement(run).outcome
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
        print(grown, rejects, outcome.accepted_count, outcome.unknown_count)
    """
    code = textwrap.dedent(script)
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    grown_mebibytes, rejects, accepted, unknown = map(int, ran.stdout.split())

    assert grown_mebibytes < 10
    # Those not booked, those that may have been in flight, and the last one of the others.
    assert rejects == 30_000 + 30_000 + 1
    assert (accepted, unknown) == (1_000_000 - rejects, 0)
