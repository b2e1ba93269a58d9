"""Whatever went wrong before a database was lost: no record that is not booked passes for one that is.

Beside the judge stands the small Portfolio Accounting of `test_judging`. What a delivery keeps is lost;
what the runs have left in the output directory is not.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.test_judging import (
    FINE,
    Accounting,
    Kept,
    Plan,
    cut_off_runs,
    histories,
    key_lists,
    rarely,
    some_of,
    sound_runs,
)

from globeco_allocation.domain import AccountingRun, Knowledge, Next, RecordVerdict, source_id
from globeco_allocation.domain.judging.id_set import IdSet
from globeco_allocation.domain.judging.replay import Replay

RECOVERED = 1000
FOR_A_PERSON = {RecordVerdict.NOT_BOOKED, RecordVerdict.UNCONFIRMED}
LEFT_NOTHING = AccountingRun(None, None)


def replay_of(keys: list[int]) -> Replay:
    ids = IdSet()
    for key in keys:
        ids.add(key)
    return Replay(ids)


def recovered(replay: Replay) -> Kept:
    """Return what a recovery keeps of a delivery."""
    kept = Kept()
    kept.knowledge = Knowledge(RECOVERED, replay.cut_offs)
    kept.rejects = {RECOVERED: list(replay.rejects("lost"))}
    return kept


@given(key_lists, rarely, histories)
def test_runs_that_are_judged_once_more_name_for_a_person_what_they_named(
    keys: list[int], refused: int, plans: list[Plan]
) -> None:
    accounting, kept, replay = Accounting(keys, some_of(keys, refused), set()), Kept(), replay_of(keys)
    for attempt, plan in enumerate(plans, 1):
        left = accounting.load(plan)
        kept.judge(keys, *left, attempt)
        replay.run(*left)
    told = kept.rejects.get(kept.knowledge.attempt, [])

    assert replay.cut_offs == kept.knowledge.cut_offs
    assert {
        (one.source_id, one.verdict) for one in replay.rejects("lost") if one.verdict in FOR_A_PERSON
    } == {(one.source_id, one.verdict) for one in told if one.verdict in FOR_A_PERSON}


@settings(max_examples=2000)
@given(key_lists, rarely, histories)
def test_after_a_recovery_what_is_judged_for_good_is_booked_or_named(
    keys: list[int], refused: int, plans: list[Plan]
) -> None:
    accounting, replay = Accounting(keys, some_of(keys, refused), set()), replay_of(keys)
    cut_offs = 0
    for plan in plans:
        replay.run(*accounting.load(plan))
        cut_offs = max(cut_offs, replay.cut_offs)
    kept = recovered(replay)
    judgement = kept.judge(keys, *accounting.load(FINE), RECOVERED + 1)

    assert judgement.next is Next.END
    if cut_offs <= 1:
        named = {one.source_id for one in kept.rejects[RECOVERED + 1]}
        assert {source_id(key) for key in accounting.unbooked()} <= named


jobs = st.lists(
    st.builds(
        Plan,
        troubles=st.just(FINE.troubles) | sound_runs.map(lambda plan: plan.troubles),
        down_from=st.none() | st.integers(0, 7),
        batch_size=st.integers(1, 3),
        prints=st.just(False),
    )
    | cut_off_runs,
    max_size=5,
)


@settings(max_examples=2000)
@given(key_lists, rarely, jobs)
def test_so_it_is_where_a_job_leaves_its_error_file_alone(
    keys: list[int], refused: int, plans: list[Plan]
) -> None:
    accounting, replay = Accounting(keys, some_of(keys, refused), set()), replay_of(keys)
    cut_offs = 0
    for plan in plans:
        _, rows = accounting.load(plan)
        replay.run(AccountingRun(0, None) if rows else LEFT_NOTHING, rows)
        cut_offs = max(cut_offs, replay.cut_offs)
    kept = recovered(replay)
    judgements = [kept.judge(keys, *accounting.load(Plan(prints=False)), RECOVERED + n) for n in (1, 2)]

    assert judgements[-1].next is Next.END
    if cut_offs <= 1:
        named = {one.source_id for one in kept.rejects[RECOVERED + 2]}
        assert {source_id(key) for key in accounting.unbooked()} <= named
