"""Whatever goes wrong, attempt after attempt: no record that is not booked passes for one that is.

A small Portfolio Accounting stands beside the judge, with its CLI. It knows the truth of every record; the
judge knows what the CLI left behind, and what a delivery's row and rejects keep from one attempt to the next.

What is promised depends on what can be known (design, "Verdicts"). Two things cannot be: what went wrong for
other records in a run that was cut off, for it leaves no report; and which records earlier runs had in flight
when several were cut off with nothing learned in between. So here a run that is cut off has no other fault,
and where several were cut off in a row only ``delivered`` is relied upon.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from hypothesis import event, given, settings
from hypothesis import strategies as st

from globeco_allocation.domain import (
    AccountingRun,
    DeliveryStatus,
    EarlierAttempts,
    ErrorRow,
    Judge,
    Judgement,
    Knowledge,
    Next,
    PrintedCounts,
    RecordVerdict,
    Reject,
    source_id,
)

POST = 'Post "http://accounting:8087/api/v1/transactions": '
ATTEMPTS = 6


class Books(Enum):
    """What Portfolio Accounting has under a source id."""

    BOOKED = auto()
    NOT_BOOKED = auto()
    """Status ERROR: the balances were not changed."""
    IN_FLIGHT = auto()
    """Status NEW for ever: the run was cut off in the middle of it."""
    FOREIGN = auto()
    """Someone else's row."""


class Trouble(Enum):
    """What befalls a request."""

    REFUSED_CONNECTION = auto()
    ANSWER_LOST_BOOKED = auto()
    ANSWER_LOST_NOT_STORED = auto()
    NO_DATABASE = auto()
    """The server answers, but stores nothing."""
    NOT_BOOKED = auto()
    """The first record of the request that is new is stored without its balances."""


LOST = {Trouble.ANSWER_LOST_BOOKED, Trouble.ANSWER_LOST_NOT_STORED}


@dataclass(frozen=True)
class CutOff:
    """The run is cut off at a record: before it is sent, in the middle of it, or behind it."""

    at: int
    where: str


@dataclass(frozen=True)
class Plan:
    """How one run goes; positions are places in the file.

    Attributes:
        troubles: By the position at which a request begins.
        down_from: From where on nothing listens any more.
        cut_off: Where the run is cut off; it has no other fault then.
        batch_size: Records in a request.
        prints: Whether its counts can be had.
        loses_error_file: Whether the error file could not be written, though the counts tell of errors. A
            report of what is not booked would be lost with it, so there is none then.
    """

    troubles: dict[int, Trouble] = field(default_factory=dict[int, Trouble])
    down_from: int | None = None
    cut_off: CutOff | None = None
    batch_size: int = 1
    prints: bool = True
    loses_error_file: bool = False


FINE = Plan()


class Accounting:
    """Portfolio Accounting and its CLI; refuses some records for good, as it would each time."""

    def __init__(self, keys: Sequence[int], refused: set[int], foreign: set[int]) -> None:
        self.keys = keys
        self.refused = refused
        self.foreign = foreign
        self.books = dict.fromkeys(foreign, Books.FOREIGN)
        self.last_stored: int | None = None  # by the last run that was cut off
        self.new: set[int] = set()  # stored by the last run
        self.answered: set[int] = set()  # by the last run
        self.lost: set[int] = set()  # the answers of the last run that were

    def unbooked(self) -> set[int]:
        return {key for key in self.keys if self.books.get(key) is not Books.BOOKED}

    def load(self, plan: Plan) -> tuple[AccountingRun, list[ErrorRow]]:
        self.new, self.answered, self.lost = set(), set(), set()
        if plan.cut_off is not None:
            self._load_until(plan.cut_off)
            return AccountingRun(-9, None), []
        rows: list[ErrorRow] = []
        # What the CLI itself refuses stands first, and is never sent.
        rows += [
            ErrorRow(source_id(key), "price must be positive") for key in self.keys if key in self.refused
        ]
        sent = [(place, key) for place, key in enumerate(self.keys) if key not in self.refused]
        for start in range(0, len(sent), plan.batch_size):
            rows += self._request(plan, sent[start : start + plan.batch_size])
        failed = len(rows)
        counts = PrintedCounts(len(self.keys), len(self.keys) - failed, failed)
        if plan.loses_error_file and rows:
            self.answered, self.lost = set(), set(self.keys)
            return AccountingRun(0, counts), []
        return AccountingRun(0, counts if plan.prints else None), rows

    def _load_until(self, cut: CutOff) -> None:
        self.last_stored = None
        for place, key in enumerate(self.keys):
            if place > cut.at or (place == cut.at and cut.where == "before"):
                return
            if key in self.refused or key in self.books:
                continue
            in_the_middle = place == cut.at and cut.where == "in the middle"
            self.books[key] = Books.IN_FLIGHT if in_the_middle else Books.BOOKED
            self.last_stored = key

    def _request(self, plan: Plan, sent: list[tuple[int, int]]) -> list[ErrorRow]:
        place, keys = sent[0][0], [key for _, key in sent]
        trouble = plan.troubles.get(place)
        if plan.down_from is not None and place >= plan.down_from:
            trouble = Trouble.REFUSED_CONNECTION
        if trouble is Trouble.REFUSED_CONNECTION:
            return _all(keys, POST + "dial tcp 10.0.0.1:8087: connect: connection refused")
        if trouble in LOST:
            self.lost.update(keys)
        if trouble is Trouble.ANSWER_LOST_NOT_STORED:
            return _all(keys, POST + "EOF")
        booked, failed = self._store(keys, trouble)
        if trouble is Trouble.ANSWER_LOST_BOOKED:
            return _all(keys, POST + "EOF")
        self.answered.update(keys)
        answer = {"successful": [{"sourceId": source_id(key)} for key in booked] or None, "failed": failed}
        return _all(keys, f"HTTP 207: {json.dumps(answer)}\n") if failed else []

    def _store(self, keys: list[int], trouble: Trouble | None) -> tuple[list[int], list[object]]:
        booked: list[int] = []
        failed: list[object] = []
        for key in keys:
            if key in self.books:
                failed.append(_failure(key, "sourceId", "source ID must be unique"))
            elif trouble is Trouble.NO_DATABASE:
                failed.append(_failure(key, "repository", "pq: the database is not accepting connections"))
            elif trouble is Trouble.NOT_BOOKED and not self.new.intersection(keys):
                self.books[key] = Books.NOT_BOOKED
                self.new.add(key)
                failed.append(_failure(key, "processing", "Failed to persist balance changes"))
            else:
                self.books[key] = Books.BOOKED
                self.new.add(key)
                booked.append(key)
        return booked, failed


class Kept:
    """What stays of a delivery's attempts: its row's knowledge, and the rejects of one or two attempts."""

    def __init__(self) -> None:
        self.knowledge = Knowledge()
        self.rejects: dict[int, list[Reject]] = {}
        self.most_cut_offs = 0

    def judge(self, keys: Sequence[int], run: AccountingRun, rows: list[ErrorRow], attempt: int) -> Judgement:
        earlier = EarlierAttempts(self.knowledge)
        for reject in self.rejects.get(self.knowledge.attempt, ()):
            earlier.see(reject)
        judge = Judge(attempt, earlier)
        for key in keys:
            judge.expect(key)
        seen = [judge.see(row) for row in rows]
        rejects = [one for one in seen if one is not None] + list(judge.conclude(run))
        judgement = judge.judgement(run)
        self.knowledge = judgement.knowledge
        self.most_cut_offs = max(self.most_cut_offs, self.knowledge.cut_offs)
        self.rejects[attempt] = rejects
        kept = {attempt, self.knowledge.attempt}
        self.rejects = {number: those for number, those in self.rejects.items() if number in kept}
        return judgement


def _all(keys: list[int], message: str) -> list[ErrorRow]:
    return [ErrorRow(source_id(key), message) for key in keys]


def _failure(key: int, about: str, words: str) -> object:
    return {"transaction": {"sourceId": source_id(key)}, "errors": [{"field": about, "message": words}]}


key_lists = st.lists(st.integers(1, 99), min_size=1, max_size=8, unique=True).map(sorted)
places = st.integers(0, 7)
cut_offs = st.builds(CutOff, places, st.sampled_from(["before", "in the middle", "behind"]))
sound_runs = st.builds(
    Plan,
    troubles=st.dictionaries(places, st.sampled_from(Trouble), max_size=3),
    down_from=st.none() | places,
    batch_size=st.integers(1, 3),
    prints=st.booleans(),
)
unreported_runs = st.builds(
    Plan,
    troubles=st.dictionaries(
        places, st.sampled_from([one for one in Trouble if one is not Trouble.NOT_BOOKED])
    ),
    down_from=st.none() | places,
    batch_size=st.integers(1, 3),
    loses_error_file=st.just(True),
)
halting_runs = st.builds(Plan, down_from=st.none() | places, batch_size=st.integers(1, 3))
cut_off_runs = st.builds(Plan, cut_off=cut_offs)
histories = st.lists(sound_runs | unreported_runs | cut_off_runs, max_size=ATTEMPTS)
without_cut_offs = st.lists(sound_runs | unreported_runs, max_size=ATTEMPTS)


def some_of(keys: list[int], choice: int) -> set[int]:
    return {key for place, key in enumerate(keys) if choice >> place & 1}


rarely = st.just(0) | st.integers(0, 255)


@settings(max_examples=2000)
@given(key_lists, rarely, histories)
def test_what_is_judged_for_good_is_booked_or_named(keys: list[int], refused: int, plans: list[Plan]) -> None:
    accounting, kept = Accounting(keys, some_of(keys, refused), set()), Kept()
    for attempt, plan in enumerate(plans, 1):
        judgement = kept.judge(keys, *accounting.load(plan), attempt)
        outcome = judgement.outcome
        event(f"{outcome.status} {judgement.next.name}")

        assert outcome.accepted_count + outcome.rejected_count + outcome.unknown_count == len(keys)
        assert min(outcome.accepted_count, outcome.rejected_count, outcome.unknown_count) >= 0
        assert judgement.next is not Next.STOP
        if outcome.status is DeliveryStatus.DELIVERED:
            assert judgement.next is Next.END
            assert not accounting.unbooked()
        if judgement.next is Next.END and kept.most_cut_offs <= 1:
            named = {one.source_id for one in kept.rejects[attempt]}
            assert {source_id(key) for key in accounting.unbooked()} <= named
            assert outcome.rejected_count == len(named)


@given(key_lists, rarely, histories)
def test_a_run_without_faults_ends_the_matter(keys: list[int], refused: int, plans: list[Plan]) -> None:
    accounting, kept = Accounting(keys, some_of(keys, refused), set()), Kept()
    judgements = [
        kept.judge(keys, *accounting.load(plan), attempt) for attempt, plan in enumerate([*plans, FINE], 1)
    ]

    assert judgements[-1].next is Next.END


@given(key_lists, rarely, histories)
def test_without_printed_counts_one_more_run_ends_the_matter(
    keys: list[int], refused: int, plans: list[Plan]
) -> None:
    accounting, kept = Accounting(keys, some_of(keys, refused), set()), Kept()
    silent = Plan(prints=False)
    judgements = [
        kept.judge(keys, *accounting.load(plan), attempt)
        for attempt, plan in enumerate([*plans, silent, silent], 1)
    ]

    assert judgements[-1].next is Next.END


@given(key_lists, rarely, without_cut_offs)
def test_nothing_is_unconfirmed_as_long_as_no_run_is_cut_off(
    keys: list[int], refused: int, plans: list[Plan]
) -> None:
    accounting, kept = Accounting(keys, some_of(keys, refused), set()), Kept()
    for attempt, plan in enumerate(plans, 1):
        kept.judge(keys, *accounting.load(plan), attempt)

        assert all(one.verdict is not RecordVerdict.UNCONFIRMED for one in kept.rejects[attempt])


@given(key_lists, rarely, st.lists(halting_runs, max_size=3), cut_offs, st.lists(halting_runs, max_size=3))
def test_only_the_record_in_flight_is_unconfirmed_where_accounting_was_just_away(
    keys: list[int], refused: int, before: list[Plan], cut: CutOff, after: list[Plan]
) -> None:
    accounting, kept = Accounting(keys, some_of(keys, refused), set()), Kept()
    plans = [*before, Plan(cut_off=cut), *after, FINE]
    for attempt, plan in enumerate(plans, 1):
        kept.judge(keys, *accounting.load(plan), attempt)
    rejects = kept.rejects[len(plans)]
    found = [one.source_id for one in rejects if one.verdict is RecordVerdict.UNCONFIRMED]

    assert found == ([] if accounting.last_stored is None else [source_id(accounting.last_stored)])


@given(key_lists, st.integers(1, 255), without_cut_offs)
def test_a_foreign_row_is_found_by_the_first_answer_about_it(
    keys: list[int], foreign: int, plans: list[Plan]
) -> None:
    accounting, kept = Accounting(keys, set(), some_of(keys, foreign)), Kept()
    doubtful = set[int]()  # an answer about it was lost before: it may be ours for all that is known
    for attempt, plan in enumerate([*plans, FINE], 1):
        judgement = kept.judge(keys, *accounting.load(plan), attempt)
        found = (accounting.foreign & accounting.answered) - doubtful
        named = {one.source_id for one in kept.rejects[attempt] if one.verdict is RecordVerdict.DUPLICATE}

        assert named == {source_id(key) for key in found}
        assert (judgement.next is Next.STOP) is bool(found)
        doubtful |= accounting.foreign & accounting.lost


@given(key_lists, st.integers(1, 255), cut_offs, st.integers(1, 3))
def test_after_a_cut_off_a_foreign_row_is_found_behind_the_first_new_record(
    keys: list[int], foreign: int, cut: CutOff, batch_size: int
) -> None:
    accounting, kept = Accounting(keys, set(), some_of(keys, foreign)), Kept()
    kept.judge(keys, *accounting.load(Plan(cut_off=cut)), 1)
    judgement = kept.judge(keys, *accounting.load(Plan(batch_size=batch_size)), 2)
    behind = {key for key in accounting.foreign if accounting.new and key > min(accounting.new)}
    named = {one.source_id for one in kept.rejects[2] if one.verdict is RecordVerdict.DUPLICATE}

    assert named == {source_id(key) for key in behind}
    assert (judgement.next is Next.STOP) is bool(behind)
