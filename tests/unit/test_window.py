"""Windows are half open, and stamps and starts keep every execution in exactly one."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from globeco_allocation.domain import BEFORE_FIRST_START, FIRST_START, TICK, Window, next_start, ready_stamp

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
TEN = NINE + timedelta(hours=1)
ELEVEN = TEN + timedelta(hours=1)


def test_an_instant_on_the_seam_is_in_the_later_window_only() -> None:
    assert TEN not in Window(NINE, TEN)
    assert TEN in Window(TEN, ELEVEN)


def test_the_last_microsecond_before_the_seam_is_in_the_earlier_window_only() -> None:
    assert TEN - TICK in Window(NINE, TEN)
    assert TEN - TICK not in Window(TEN, ELEVEN)


def test_a_window_may_be_as_short_as_a_tick() -> None:
    window = Window(NINE, NINE + TICK)

    assert NINE in window
    assert NINE + TICK not in window


def test_the_zone_in_which_an_instant_is_told_does_not_matter() -> None:
    told_in_new_york = NINE.astimezone(timezone(timedelta(hours=-5)))

    assert told_in_new_york in Window(NINE, TEN)
    assert Window(told_in_new_york, TEN) == Window(NINE, TEN)


@pytest.mark.parametrize("start", [NINE, NINE - TICK], ids=["empty", "backward"])
def test_a_window_that_holds_nothing_is_refused(start: datetime) -> None:
    with pytest.raises(ValueError, match="must end after it starts"):
        Window(NINE, start)


@pytest.mark.parametrize(
    ("previous_start", "start"), [(NINE.replace(tzinfo=None), TEN), (NINE, TEN.replace(tzinfo=None))]
)
def test_a_window_without_an_offset_is_refused(previous_start: datetime, start: datetime) -> None:
    with pytest.raises(ValueError, match="UTC offset"):
        Window(previous_start, start)


def test_the_first_history_row_is_a_window() -> None:
    assert Window(BEFORE_FIRST_START, FIRST_START).start == datetime(1900, 1, 2, tzinfo=UTC)


def test_a_stamp_is_the_clocks_but_never_before_the_last_start() -> None:
    assert ready_stamp(TEN, NINE) == TEN
    assert ready_stamp(NINE, NINE) == NINE
    assert ready_stamp(NINE, TEN) == TEN


@pytest.mark.parametrize(
    ("clock", "last_start", "newest_ready", "start"),
    [
        pytest.param(ELEVEN, NINE, TEN, ELEVEN, id="clock-ahead"),
        pytest.param(ELEVEN, NINE, None, ELEVEN, id="nothing-kept"),
        pytest.param(TEN, NINE, TEN, TEN + TICK, id="stamped-this-microsecond"),
        pytest.param(TEN, TEN, None, TEN + TICK, id="claimed-this-microsecond"),
        pytest.param(NINE, TEN, None, TEN + TICK, id="clock-stepped-back-behind-the-start"),
        pytest.param(NINE, NINE, ELEVEN, ELEVEN + TICK, id="clock-stepped-back-behind-a-stamp"),
        pytest.param(NINE, ELEVEN, TEN, ELEVEN + TICK, id="stamp-of-an-earlier-window"),
    ],
)
def test_a_batch_starts_above_every_stamp_and_every_start(
    clock: datetime, last_start: datetime, newest_ready: datetime | None, start: datetime
) -> None:
    assert next_start(clock, last_start, newest_ready) == start


def test_a_claim_takes_in_the_newest_stamp_and_leaves_the_next_one_to_its_successor() -> None:
    newest = ready_stamp(NINE, NINE)
    claimed = Window(NINE, next_start(NINE, NINE, newest))
    late = ready_stamp(NINE, claimed.start)

    assert newest in claimed
    assert late not in claimed
    assert late in Window(claimed.start, next_start(NINE, claimed.start, late))
