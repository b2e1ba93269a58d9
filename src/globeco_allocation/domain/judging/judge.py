"""What became of each record of a file, after a run and all runs before it (design, "Verdicts").

Exit code 0 is not success: the CLI exits 0 when every record failed. What cannot account for every record is
unknown, never delivered, and sent again: Portfolio Accounting refuses a source id that it has. Such a refusal
means "booked before" only where an earlier attempt may have had the record stored.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow
from globeco_allocation.domain.delivery import DeliveryStatus, Knowledge, Outcome, RecordVerdict, Reject
from globeco_allocation.domain.judging.earlier import EarlierAttempts
from globeco_allocation.domain.judging.id_set import IdSet
from globeco_allocation.domain.judging.in_flight import InFlight
from globeco_allocation.domain.judging.report import RunReport
from globeco_allocation.domain.judging.rows import RowReader
from globeco_allocation.domain.judging.words import (
    FOUND_KNOWN,
    IN_OUR_WORDS,
    NOT_TOLD,
    STRAY,
    TO_BE_CONFIRMED,
    explain,
)
from globeco_allocation.domain.source_id import execution_id_of, source_id

LONGEST_REASON = 500
"""Characters of Portfolio Accounting's words that are kept for a record."""

_LONGEST_EXAMPLE = 120

# What a verdict of this run means for a record that an earlier one may have stored.
_IF_PERHAPS_STORED = {
    RecordVerdict.DUPLICATE: RecordVerdict.ACCEPTED,
    RecordVerdict.NOT_SENT: RecordVerdict.UNKNOWN,
}


class Next(Enum):
    """What has to follow an attempt."""

    END = auto()
    """Every record is judged for good."""
    RETRY = auto()
    """Some are not: the whole file again."""
    CONFIRM = auto()
    """The run says nothing of some, and complained of none: one more run in which all must be known."""
    STOP = auto()
    """Foreign rows stand under our source ids: an operator has to decide."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an attempt came to.

    Attributes:
        outcome: For people and for the record.
        next: What has to follow.
        knowledge: What is known of the records from now on.
    """

    outcome: Outcome
    next: Next
    knowledge: Knowledge


class Judge:
    """Judges one run of a file.

    Name the file's records with `expect`, show it every row of the error file with `see`, take what only the
    whole run tells from `conclude`, and ask for the `judgement` at last. It holds counts, the last answer and
    some bits for each record, however long the error file is.

    Args:
        attempt: The number of the attempt that is judged.
        earlier: What the attempts before it tell.
    """

    def __init__(self, attempt: int, earlier: EarlierAttempts) -> None:
        self._attempt = attempt
        self._earlier = earlier
        self._rows = RowReader()
        self._expected, self._listed = IdSet(), IdSet()
        self._unnamed = 0  # refused rows whose fields the CLI could not tell apart
        self._strays = 0
        self._lost_answers = False  # this run may have stored records without our knowing it
        self._seen: Counter[RecordVerdict] = Counter()
        self._newly_stored = IdSet()
        self._in_flight = InFlight(earlier)
        self._words = ""  # the first reason, for people

    def expect(self, execution_id: int) -> None:
        """Take in the id of an execution in the file."""
        self._expected.add(execution_id)

    def see(self, row: ErrorRow) -> Reject | None:
        """Judge one row of the error file.

        Returns:
            The record and the reason; None when it was booked all the same, or cannot be judged before the
            end.
        """
        verdict, reason = self._rows.read(row)
        key = execution_id_of(row.source_id)
        if key is None:
            if verdict is RecordVerdict.ACCEPTED:
                return self._stray(row.source_id)
            self._unnamed += 1
            self._lost_answers = True
            return self._reject(row.source_id, verdict, reason)
        if key not in self._expected or not self._listed.add(key):
            return self._stray(row.source_id)
        return self._judge(key, verdict, reason)

    def conclude(self, run: AccountingRun) -> Iterator[Reject]:
        """Yield what only the whole run tells; to be called once, after the last row, and read to its end."""
        if not run.completed:
            return
        report = self._report(run)
        if report.unlisted > 0 and not report.unlisted_are_booked:
            self._lost_answers = True
            yield from self._name_the_unlisted(report)
        if self._earlier.were_cut_off:
            yield from self._judge_after_a_cut_off(report)
        if not report.unlisted_are_booked:
            for key in self._earlier.all_stored_for_a_person():
                if key in self._expected and key not in self._listed:
                    yield from self._as_before(key)

    def judgement(self, run: AccountingRun) -> Judgement:
        """Sum everything up; to be called last."""
        report = self._report(run)
        outcome = self._outcome(report)
        return Judgement(outcome, self._next(report, outcome), self._knowledge(report, outcome))

    def _judge(self, key: int, verdict: RecordVerdict, reason: str) -> Reject | None:
        before = self._earlier.stored_for_a_person(key)
        if before is not None and verdict is not RecordVerdict.ACCEPTED:
            return self._reject(source_id(key), *before)
        if verdict is RecordVerdict.UNKNOWN:
            self._lost_answers = True
        if verdict in {RecordVerdict.ACCEPTED, RecordVerdict.NOT_BOOKED}:
            self._newly_stored.add(key)
        elif self._in_flight.concerns(key):
            if verdict is RecordVerdict.DUPLICATE:  # what it means, the first new record tells
                self._in_flight.known(key)
                return None
            if not verdict.for_good:
                self._in_flight.unanswered(key)
        if not self._earlier.never_stored(key):
            verdict = _IF_PERHAPS_STORED.get(verdict, verdict)
        if verdict is RecordVerdict.ACCEPTED:
            self._seen[verdict] += 1
            return None
        return self._reject(source_id(key), verdict, reason)

    def _first_new(self, report: RunReport) -> int | None:
        """Return the first record of the file that this run has stored."""
        for key in self._expected:
            if key in self._newly_stored or (report.unlisted_are_stored and key not in self._listed):
                return key
        return None

    def _name_the_unlisted(self, report: RunReport) -> Iterator[Reject]:
        if report.unlisted_are_stored:
            yield Reject("", RecordVerdict.UNKNOWN, TO_BE_CONFIRMED)  # one for all: they can be very many
            return
        self._words = self._words or NOT_TOLD
        for key in self._expected:
            if key in self._listed or self._earlier.stored_for_a_person(key) is not None:
                continue
            if self._in_flight.concerns(key):
                self._in_flight.unanswered(key)
            yield self._reject(source_id(key), RecordVerdict.UNKNOWN, NOT_TOLD)

    def _judge_after_a_cut_off(self, report: RunReport) -> Iterator[Reject]:
        for key, verdict in self._in_flight.verdicts(self._first_new(report)):
            if verdict is RecordVerdict.ACCEPTED:
                self._seen[verdict] += 1
            else:
                yield self._reject(source_id(key), verdict, FOUND_KNOWN[verdict])

    def _as_before(self, key: int) -> Iterator[Reject]:
        before = self._earlier.stored_for_a_person(key)
        if before is not None:
            yield self._reject(source_id(key), *before)

    def _reject(self, named: str, verdict: RecordVerdict, reason: str) -> Reject:
        self._seen[verdict] += 1
        self._words = self._words or IN_OUR_WORDS.get(verdict, reason[:_LONGEST_EXAMPLE])
        return Reject(named, verdict, reason[:LONGEST_REASON])

    def _stray(self, named: str) -> Reject:
        self._lost_answers = True
        self._strays += 1  # it stands for no record of the file: that one stays unknown
        return Reject(named, RecordVerdict.UNKNOWN, STRAY)

    def _report(self, run: AccountingRun) -> RunReport:
        return RunReport(run, len(self._expected), len(self._listed), self._unnamed, self._strays)

    def _outcome(self, report: RunReport) -> Outcome:
        seen = self._seen
        accepted = report.succeeded + seen[RecordVerdict.ACCEPTED]
        rejected = sum(
            count
            for verdict, count in seen.items()
            if verdict.for_good and verdict is not RecordVerdict.ACCEPTED
        )
        unknown = max(len(self._expected) - accepted - rejected, 0)
        if unknown or not report.is_whole:
            status = DeliveryStatus.FAILED
        elif not rejected:
            status = DeliveryStatus.DELIVERED
        elif accepted and not seen[RecordVerdict.DUPLICATE]:
            status = DeliveryStatus.PARTIAL
        else:
            status = DeliveryStatus.FAILED
        error = ""
        if status is not DeliveryStatus.DELIVERED:
            cut_offs = self._earlier.knowledge.cut_offs
            error = explain(report, seen, accepted, unknown, cut_offs=cut_offs, words=self._words)
        return Outcome(status, accepted, rejected, unknown, report.run.exit_code, error)

    def _next(self, report: RunReport, outcome: Outcome) -> Next:
        if self._seen[RecordVerdict.DUPLICATE]:
            return Next.STOP
        if not outcome.unknown_count and report.is_whole:
            return Next.END
        complained = self._strays or any(not verdict.for_good for verdict in self._seen)
        silent = report.run.completed and report.run.counts is None
        return Next.CONFIRM if silent and not complained else Next.RETRY

    def _knowledge(self, report: RunReport, outcome: Outcome) -> Knowledge:
        before = self._earlier.knowledge
        if not report.run.completed:
            return Knowledge(before.attempt, before.cut_offs + 1)
        first_new = self._first_new(report)
        if self._earlier.were_cut_off and self._in_flight.can_be_told(first_new):
            return Knowledge(self._attempt, 0)
        changed = first_new is not None or self._lost_answers
        if outcome.unknown_count and not changed and not self._seen[RecordVerdict.DUPLICATE]:
            return before  # as exact as it was: a record booked then is not in doubt for being not sent now
        return Knowledge(self._attempt, before.cut_offs)
