"""Every recorded run of the real CLI is judged as what it was (contract: accounting CLI, golden cases)."""

import csv
import json
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from globeco_allocation.adapters.output_files.error_file import allow_long_fields, error_rows
from globeco_allocation.adapters.subprocess_cli.printed_counts import complaint, printed_counts, tail
from globeco_allocation.domain import (
    AccountingRun,
    DeliveryStatus,
    EarlierAttempts,
    ErrorRow,
    Judge,
    Judgement,
    Knowledge,
    Next,
    RecordVerdict,
    Reject,
    execution_id_of,
)

CASES = Path(__file__).parents[1] / "data" / "accounting-cli"

DELIVERED, PARTIAL, FAILED = DeliveryStatus.DELIVERED, DeliveryStatus.PARTIAL, DeliveryStatus.FAILED
END, RETRY, CONFIRM, STOP = Next.END, Next.RETRY, Next.CONFIRM, Next.STOP

FIRST_ATTEMPT = {
    # case: status, accepted, rejected, unknown, what follows
    "accounting-database-down": (FAILED, 0, 0, 2, RETRY),
    "all-good": (DELIVERED, 3, 0, 0, END),
    "batch-too-large": (FAILED, 0, 0, 1001, RETRY),
    "batches-of-two": (FAILED, 5, 1, 0, STOP),
    "broken-quoting": (FAILED, 2, 0, 3, RETRY),
    "byte-order-mark": (FAILED, 0, 0, 1, RETRY),
    "cli-side-invalid": (PARTIAL, 2, 7, 0, END),
    "crlf": (DELIVERED, 2, 0, 0, END),
    "cut-off-row": (PARTIAL, 1, 1, 0, END),
    "dry-run": (DELIVERED, 1, 0, 0, END),
    "empty-file": (FAILED, 0, 0, 0, RETRY),
    "header-only": (DELIVERED, 0, 0, 0, END),
    "missing-column": (FAILED, 0, 0, 1, RETRY),
    "no-such-file": (FAILED, 0, 0, 1, RETRY),
    "out-of-range": (PARTIAL, 2, 2, 0, END),
    "resend-after-partial": (FAILED, 1, 1, 0, STOP),
    "resend-all": (FAILED, 0, 3, 0, STOP),
    "resend-all-batch-size-1": (FAILED, 0, 3, 0, STOP),
    "server-500": (FAILED, 0, 0, 2, RETRY),
    "server-answer-unreadable": (FAILED, 0, 0, 2, RETRY),
    "server-down": (FAILED, 0, 0, 2, RETRY),
    "server-hangs": (FAILED, 0, 0, 2, RETRY),
    "server-side-partial": (FAILED, 2, 2, 1, RETRY),  # a source id stands in it twice
    "server-side-partial-batch-size-1": (FAILED, 2, 2, 0, STOP),
    "skip-sort": (DELIVERED, 1, 0, 0, END),
    "stored-but-not-booked": (FAILED, 0, 1, 0, END),
    "stored-but-not-booked-resend": (FAILED, 0, 1, 0, STOP),
    "validate-bad-file": (FAILED, 0, 0, 1, CONFIRM),
    "wrong-extension": (FAILED, 0, 0, 1, RETRY),
}

REPEATED_ATTEMPT = FIRST_ATTEMPT | {
    # Where every record may have been stored by the attempt before, a known one is that one.
    "batches-of-two": (DELIVERED, 6, 0, 0, END),
    "resend-after-partial": (DELIVERED, 2, 0, 0, END),
    "resend-all": (DELIVERED, 3, 0, 0, END),
    "resend-all-batch-size-1": (DELIVERED, 3, 0, 0, END),
    "server-side-partial-batch-size-1": (PARTIAL, 3, 1, 0, END),
    "stored-but-not-booked-resend": (FAILED, 0, 1, 0, END),
}

BEFORE = {
    "stored-but-not-booked-resend": [
        Reject("AC51", RecordVerdict.NOT_BOOKED, "processing: Failed to persist balance changes")
    ]
}
"""What the attempt before the recorded one had recorded."""

REPEATED_IDS = {
    # Source ids that one file holds twice, which ours never do: the later row is a duplicate of the earlier.
    ("batches-of-two", "AC42"): RecordVerdict.DUPLICATE,
    ("server-side-partial-batch-size-1", "AC31"): RecordVerdict.DUPLICATE,
}

VERDICTS = {
    "booked": {RecordVerdict.ACCEPTED},
    "rejected, not stored": {RecordVerdict.REFUSED},
    "not sent": {RecordVerdict.REFUSED},
    "not stored": {RecordVerdict.NOT_SENT},
    "unknown": {RecordVerdict.UNKNOWN},
    "already there": {RecordVerdict.DUPLICATE},
    "stored with status ERROR, not booked": {RecordVerdict.NOT_BOOKED, RecordVerdict.DUPLICATE},
}


class Case(NamedTuple):
    name: str
    facts: dict[str, Any]

    @property
    def path(self) -> Path:
        return CASES / self.name

    @property
    def truth(self) -> dict[str, str]:
        return self.facts["truth_per_source_id"]

    @property
    def execution_ids(self) -> list[int]:
        """The file's records; one that cannot be ours, or stands there again, has a number of its own."""
        if self.name == "batch-too-large":  # the recording is cut
            return list(range(1000, 2001))
        files = list(self.path.glob("input.*"))
        lines = files[0].read_text().splitlines()[1:] if files else ["a file that is not there"]
        ids: list[int] = []
        for place, line in enumerate(lines):
            fields = next(csv.reader([line]))
            key = execution_id_of(fields[2]) if len(fields) > 2 else None
            ids.append(1_000_000 + place if key is None or key in ids else key)
        return ids

    @property
    def run(self) -> AccountingRun:
        return AccountingRun(
            self.facts["exit_code"],
            printed_counts(tail(self.path / "stdout.txt")),
            complaint(tail(self.path / "stderr.txt")),
        )

    def errors(self) -> AsyncGenerator[ErrorRow]:
        return error_rows(self.path / "errors.csv")


def case(name: str) -> Case:
    return Case(name, json.loads((CASES / name / "case.json").read_text()))


ALL = [case(path.name) for path in sorted(CASES.iterdir()) if (path / "case.json").exists()]
LISTED = [one for one in ALL if (one.path / "errors.csv").exists()]
RESENDS = [one for one in ALL if one.facts["already_in_accounting"]]
ids = [one.name for one in ALL]


class Judged(NamedTuple):
    judgement: Judgement
    verdicts: list[tuple[str, RecordVerdict]]
    """Of each row of the error file."""

    @property
    def counted(self) -> tuple[DeliveryStatus, int, int, int, Next]:
        found = self.judgement.outcome
        counts = (found.accepted_count, found.rejected_count, found.unknown_count)
        return (found.status, *counts, self.judgement.next)


@pytest.fixture(autouse=True)
def long_fields() -> None:
    allow_long_fields()


async def judged(one: Case, attempt: int = 1, before: Iterable[Reject] = ()) -> Judged:
    earlier = EarlierAttempts(Knowledge(attempt - 1))
    for reject in before:
        earlier.see(reject)
    judge = Judge(attempt, earlier)
    for execution_id in one.execution_ids:
        judge.expect(execution_id)
    verdicts: list[tuple[str, RecordVerdict]] = []
    async for row in one.errors():
        reject = judge.see(row)
        verdicts.append((row.source_id, reject.verdict if reject else RecordVerdict.ACCEPTED))
    list(judge.conclude(one.run))
    return Judged(judge.judgement(one.run), verdicts)


def test_every_recorded_case_is_judged_here() -> None:
    assert sorted(ids) == sorted(FIRST_ATTEMPT)


@pytest.mark.parametrize("one", ALL, ids=ids)
async def test_a_recorded_run_has_its_outcome_as_a_first_attempt(one: Case) -> None:
    found = await judged(one)
    outcome = found.judgement.outcome

    assert found.counted == FIRST_ATTEMPT[one.name]
    assert outcome.accepted_count + outcome.rejected_count + outcome.unknown_count == len(one.execution_ids)
    assert bool(outcome.error) is (outcome.status is not DELIVERED)


@pytest.mark.parametrize("one", ALL, ids=ids)
async def test_a_recorded_run_has_its_outcome_as_a_repeated_attempt(one: Case) -> None:
    found = await judged(one, attempt=2, before=BEFORE.get(one.name, ()))

    assert found.counted == REPEATED_ATTEMPT[one.name]


@pytest.mark.parametrize("one", ALL, ids=ids)
async def test_a_recorded_run_is_delivered_only_if_everything_was_booked(one: Case) -> None:
    outcome = (await judged(one)).judgement.outcome
    all_booked = all(truth.startswith("booked") for truth in one.truth.values())

    if outcome.status is DELIVERED:
        assert all_booked
        assert len(one.truth) == len(one.execution_ids)
    if not all_booked:
        assert outcome.status is not DELIVERED


@pytest.mark.parametrize("one", RESENDS, ids=[one.name for one in RESENDS])
async def test_known_records_after_not_sent_are_a_collision_even_in_a_repeated_attempt(one: Case) -> None:
    known = [word for word in one.facts["already_in_accounting"].split() if word.startswith("AC")]
    not_sent = [Reject(name, RecordVerdict.NOT_SENT, "connection refused") for name in known]

    found = await judged(one, attempt=2, before=not_sent)

    assert found.judgement.next is STOP
    assert f"already has rows under {len(known)} of our source ids" in found.judgement.outcome.error


@pytest.mark.parametrize("one", LISTED, ids=[one.name for one in LISTED])
async def test_each_named_record_has_the_verdict_that_is_true(one: Case) -> None:
    _, verdicts = await judged(one)

    assert verdicts
    for place, (source_id, verdict) in enumerate(verdicts):
        if one.name == "batch-too-large":  # nothing is stored; the recording ends within its third row
            assert verdict is (RecordVerdict.NOT_SENT if source_id else RecordVerdict.UNKNOWN)
        elif not source_id:
            assert verdict is RecordVerdict.REFUSED  # "insufficient fields": never sent
        elif any(source_id == earlier for earlier, _ in verdicts[:place]):
            assert verdict is RecordVerdict.UNKNOWN  # spoken of already: it stands for no record of its own
        elif (one.name, source_id) in REPEATED_IDS:
            assert verdict is REPEATED_IDS[one.name, source_id]
        else:
            truth = one.truth[source_id].partition(" as ")[0]
            assert verdict in VERDICTS[truth], source_id


async def test_the_words_of_portfolio_accounting_reach_the_reject() -> None:
    one = case("stored-but-not-booked")
    judge = Judge(1, EarlierAttempts(Knowledge()))
    judge.expect(51)
    rejects = [judge.see(row) async for row in one.errors()]

    (reject,) = rejects
    assert reject is not None
    assert reject.source_id == "AC51"
    assert reject.reason.startswith("processing: Failed to persist balance changes")


async def test_a_second_life_of_our_source_ids_is_named_as_such() -> None:
    outcome = (await judged(case("resend-all"))).judgement.outcome

    assert "already has rows under 3 of our source ids" in outcome.error
    assert "find out whose" in outcome.error
