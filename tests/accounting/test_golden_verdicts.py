"""Every recorded run of the real CLI is judged as what it was (contract: accounting CLI, golden cases)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from globeco_allocation.adapters.subprocess_cli.error_file import allow_long_fields, error_rows
from globeco_allocation.adapters.subprocess_cli.printed_counts import complaint, printed_counts, tail
from globeco_allocation.domain import AccountingRun, DeliveryStatus, ErrorRow, Judge, Outcome, RecordVerdict

CASES = Path(__file__).parents[1] / "data" / "accounting-cli"

DELIVERED, PARTIAL, FAILED = DeliveryStatus.DELIVERED, DeliveryStatus.PARTIAL, DeliveryStatus.FAILED

OUTCOMES = {
    # case: status, accepted, rejected, unknown
    "accounting-database-down": (FAILED, 0, 0, 2),
    "all-good": (DELIVERED, 3, 0, 0),
    "batch-too-large": (FAILED, 0, 0, 1001),
    "batches-of-two": (FAILED, 5, 1, 0),
    "broken-quoting": (FAILED, 2, 0, 3),
    "byte-order-mark": (FAILED, 0, 0, 1),
    "cli-side-invalid": (PARTIAL, 2, 7, 0),
    "crlf": (DELIVERED, 2, 0, 0),
    "cut-off-row": (PARTIAL, 1, 1, 0),
    "dry-run": (DELIVERED, 1, 0, 0),
    "empty-file": (FAILED, 0, 0, 0),
    "header-only": (DELIVERED, 0, 0, 0),
    "missing-column": (FAILED, 0, 0, 1),
    "no-such-file": (FAILED, 0, 0, 1),
    "out-of-range": (PARTIAL, 2, 2, 0),
    "resend-after-partial": (FAILED, 1, 1, 0),
    "resend-all": (FAILED, 0, 3, 0),
    "resend-all-batch-size-1": (FAILED, 0, 3, 0),
    "server-500": (FAILED, 0, 0, 2),
    "server-answer-unreadable": (FAILED, 0, 0, 2),
    "server-down": (FAILED, 0, 0, 2),
    "server-hangs": (FAILED, 0, 0, 2),
    "server-side-partial": (FAILED, 2, 2, 1),  # a source id stands in it twice
    "server-side-partial-batch-size-1": (FAILED, 2, 2, 0),
    "skip-sort": (DELIVERED, 1, 0, 0),
    "stored-but-not-booked": (FAILED, 0, 1, 0),
    "stored-but-not-booked-resend": (FAILED, 0, 1, 0),
    "validate-bad-file": (FAILED, 0, 0, 1),
    "wrong-extension": (FAILED, 0, 0, 1),
}

REPEATED = {
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
    def records(self) -> int:
        if self.name == "batch-too-large":  # the recording is cut
            return 1001
        files = list(self.path.glob("input.*"))
        return len(files[0].read_bytes().splitlines()[1:]) if files else 1

    @property
    def run(self) -> AccountingRun:
        return AccountingRun(
            self.facts["exit_code"],
            printed_counts(tail(self.path / "stdout.txt")),
            complaint(tail(self.path / "stderr.txt")),
        )

    def errors(self) -> AsyncIterator[ErrorRow]:
        return error_rows(self.path / "errors.csv")


def case(name: str) -> Case:
    return Case(name, json.loads((CASES / name / "case.json").read_text()))


ALL = [case(path.name) for path in sorted(CASES.iterdir()) if (path / "case.json").exists()]
LISTED = [one for one in ALL if (one.path / "errors.csv").exists()]
ids = [one.name for one in ALL]


@pytest.fixture(autouse=True)
def long_fields() -> None:
    allow_long_fields()


async def judged(one: Case) -> tuple[Outcome, list[tuple[str, RecordVerdict]]]:
    """Judge a case; returns the outcome and the verdict of each row of the error file."""
    judge = Judge(one.records)
    verdicts: list[tuple[str, RecordVerdict]] = []
    async for row in one.errors():
        reject = judge.see(row)
        verdicts.append((row.source_id, reject.verdict if reject else RecordVerdict.ACCEPTED))
    return judge.outcome(one.run), verdicts


def test_every_recorded_case_is_judged_here() -> None:
    assert sorted(ids) == sorted(OUTCOMES)


@pytest.mark.parametrize("one", ALL, ids=ids)
async def test_a_recorded_run_has_its_outcome(one: Case) -> None:
    outcome, _ = await judged(one)

    counted = (outcome.accepted_count, outcome.rejected_count, outcome.unknown_count)
    assert (outcome.status, *counted) == OUTCOMES[one.name]
    assert sum(counted) == one.records
    assert bool(outcome.error) is (outcome.status is not DELIVERED)


@pytest.mark.parametrize("one", ALL, ids=ids)
async def test_a_recorded_run_is_delivered_only_if_everything_was_booked(one: Case) -> None:
    outcome, _ = await judged(one)
    all_booked = all(truth.startswith("booked") for truth in one.truth.values())

    if outcome.status is DELIVERED:
        assert all_booked
        assert len(one.truth) == one.records
    if not all_booked:
        assert outcome.status is not DELIVERED


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
        elif (one.name, source_id) in REPEATED:
            assert verdict is REPEATED[one.name, source_id]
        else:
            truth = one.truth[source_id].partition(" as ")[0]
            assert verdict in VERDICTS[truth], source_id


async def test_the_words_of_portfolio_accounting_reach_the_reject() -> None:
    one = case("stored-but-not-booked")
    judge = Judge(one.records)
    rejects = [judge.see(row) async for row in one.errors()]

    (reject,) = rejects
    assert reject is not None
    assert reject.source_id == "AC51"
    assert reject.reason.startswith("processing: Failed to persist balance changes")


async def test_a_second_life_of_our_source_ids_is_named_as_such() -> None:
    outcome, _ = await judged(case("resend-all"))

    assert "already has rows under 3 of our source ids" in outcome.error
    assert "find out whose" in outcome.error
