"""What earlier attempts tell of a record."""

import pytest

from globeco_allocation.domain import EarlierAttempts, Knowledge, RecordVerdict, Reject


def after(knowledge: Knowledge, *verdicts: RecordVerdict) -> EarlierAttempts:
    """The memory of records 1, 2, ... that got these verdicts."""
    earlier = EarlierAttempts(knowledge)
    for key, verdict in enumerate(verdicts, 1):
        earlier.see(Reject(f"AC{key}", verdict, f"words {key}"))
    return earlier


def test_before_the_first_attempt_nothing_was_stored() -> None:
    earlier = after(Knowledge())

    assert earlier.never_stored(1)
    assert not earlier.were_cut_off
    assert earlier.stored_for_a_person(1) is None


def test_a_record_that_an_attempt_did_not_list_may_have_been_stored() -> None:
    assert not after(Knowledge(1)).never_stored(1)


@pytest.mark.parametrize(
    ("verdict", "never_stored"),
    [
        (RecordVerdict.REFUSED, True),
        (RecordVerdict.NOT_SENT, True),
        (RecordVerdict.DUPLICATE, True),
        (RecordVerdict.UNKNOWN, False),
        (RecordVerdict.NOT_BOOKED, False),
        (RecordVerdict.UNCONFIRMED, False),
    ],
)
def test_a_reject_tells_whether_its_record_may_have_been_stored(
    verdict: RecordVerdict, never_stored: bool
) -> None:
    assert after(Knowledge(1), verdict).never_stored(1) is never_stored


@pytest.mark.parametrize(
    ("verdict", "may_be"),
    [
        (RecordVerdict.REFUSED, True),
        (RecordVerdict.NOT_SENT, True),
        (RecordVerdict.UNKNOWN, True),
        (RecordVerdict.DUPLICATE, False),
        (RecordVerdict.NOT_BOOKED, False),
        (RecordVerdict.UNCONFIRMED, False),
    ],
)
def test_a_run_stores_only_what_is_not_stored_yet(verdict: RecordVerdict, may_be: bool) -> None:
    earlier = after(Knowledge(1, cut_offs=1), verdict)

    assert earlier.may_be_new_since(1) is may_be
    assert not earlier.may_be_new_since(2)  # accepted
    assert after(Knowledge(0, cut_offs=1)).may_be_new_since(1)


def test_what_a_person_must_look_at_keeps_its_words() -> None:
    earlier = after(Knowledge(1), RecordVerdict.NOT_BOOKED, RecordVerdict.REFUSED, RecordVerdict.UNCONFIRMED)

    assert earlier.stored_for_a_person(1) == (RecordVerdict.NOT_BOOKED, "words 1")
    assert earlier.stored_for_a_person(2) is None
    assert earlier.stored_for_a_person(3) == (RecordVerdict.UNCONFIRMED, "words 3")
    assert earlier.all_stored_for_a_person() == [1, 3]


def test_of_very_many_the_words_of_some_are_kept() -> None:
    earlier = after(Knowledge(1), *[RecordVerdict.NOT_BOOKED] * 10_002)

    assert earlier.stored_for_a_person(10_000) == (RecordVerdict.NOT_BOOKED, "words 10000")
    assert earlier.stored_for_a_person(10_001) == (
        RecordVerdict.NOT_BOOKED,
        "an earlier attempt's answer said so",
    )


def test_an_unknown_reject_without_a_record_stands_for_all_that_are_not_named() -> None:
    earlier = after(Knowledge(1, cut_offs=1), RecordVerdict.NOT_BOOKED)
    earlier.see(Reject("", RecordVerdict.UNKNOWN, "no counts"))

    assert earlier.may_be_new_since(2)
    assert not earlier.may_be_new_since(1)  # that one is stored
    assert not earlier.is_unknown(2)


def test_a_reject_that_names_no_record_of_ours_tells_nothing() -> None:
    earlier = EarlierAttempts(Knowledge(1))
    earlier.see(Reject("", RecordVerdict.REFUSED, "insufficient fields"))

    assert not earlier.never_stored(0)
    assert not earlier.may_be_new_since(1)
    assert earlier.all_stored_for_a_person() == []
