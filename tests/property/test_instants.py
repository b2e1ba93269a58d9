"""Instants and trade dates against rules written out a second time."""

from datetime import UTC, date, datetime, timedelta, timezone

from hypothesis import example, given
from hypothesis import strategies as st

from globeco_allocation.domain import parse_instant, to_instant, trade_date

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SUNDAY = 6

whole_minute_zones = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(
    lambda offset: timezone(offset // timedelta(minutes=1) * timedelta(minutes=1))
)
moments = st.datetimes(datetime(3, 1, 1), datetime(9997, 12, 31), timezones=whole_minute_zones)  # noqa: DTZ001
instants = st.datetimes(datetime(2007, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def sunday(year: int, month: int, nth: int) -> date:
    """The nth Sunday of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(SUNDAY - first.weekday()) % 7 + 7 * (nth - 1))


def utc(day: date, hour: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def eastern_date(instant: datetime) -> date:
    """The rule since 2007: summer time from 2:00 EST (7:00 UTC) to 2:00 EDT (6:00 UTC)."""
    begins = utc(sunday(instant.year, 3, 2), 7)
    ends = utc(sunday(instant.year, 11, 1), 6)
    hours = 4 if begins <= instant < ends else 5
    return (instant - timedelta(hours=hours)).date()


@st.composite
def edges(draw: st.DrawFn) -> datetime:
    """An instant within seconds of a midnight in New York, or of a change of its clocks."""
    changes = st.builds(sunday, st.integers(2007, 2035), st.just(3), st.just(2))
    changes |= st.builds(sunday, st.integers(2007, 2035), st.just(11), st.just(1))
    day = draw(st.dates(date(2007, 1, 2), date(2035, 12, 30)) | changes)
    day += timedelta(days=draw(st.integers(-1, 1)))
    step = timedelta(microseconds=draw(st.sampled_from([0, -1, 1]) | st.integers(-2_000_000, 2_000_000)))
    return utc(day, draw(st.integers(3, 8))) + step


@given(instants | edges())
def test_the_trade_date_is_the_one_that_the_law_says(instant: datetime) -> None:
    assert trade_date(instant) == eastern_date(instant)


@given(instants | edges(), whole_minute_zones)
def test_the_trade_date_does_not_depend_on_how_the_instant_is_told(instant: datetime, zone: timezone) -> None:
    assert trade_date(instant.astimezone(zone)) == trade_date(instant)


@given(edges(), edges())
def test_a_later_instant_never_has_an_earlier_trade_date(one: datetime, other: datetime) -> None:
    assert trade_date(min(one, other)) <= trade_date(max(one, other))


def written(moment: datetime, fraction: str) -> str:
    """Write a moment as RFC 3339 does, with these digits of a second."""
    whole = moment.replace(microsecond=0, tzinfo=None).isoformat()
    offset = moment.strftime("%z")
    return f"{whole}{'.' if fraction else ''}{fraction}{offset[:3]}:{offset[3:5]}"


@given(moments, st.text("0123456789", max_size=12))
@example(datetime(2025, 6, 3, 3, 59, 59, tzinfo=UTC), "9999999")
@example(datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC), "999999999")
def test_a_timestamp_is_cut_to_the_microsecond_and_never_lies_after_the_truth(
    moment: datetime, fraction: str
) -> None:
    read = parse_instant(written(moment, fraction))

    micros = (read - EPOCH) // timedelta(microseconds=1)
    seconds = (moment.replace(microsecond=0) - EPOCH) // timedelta(seconds=1)
    # In units of 10**-12 seconds, as integers.
    truth = seconds * 10**12 + int(fraction.ljust(12, "0"))
    assert 0 <= truth - micros * 10**6 < 10**6


@given(moments)
def test_an_instant_written_and_read_is_itself(moment: datetime) -> None:
    instant = to_instant(moment)

    assert parse_instant(moment.isoformat()) == instant
    assert parse_instant(instant.isoformat()) == instant
    assert instant == moment


@given(st.text() | st.text("0123456789-:.TZtz+ ", max_size=35))
def test_what_is_read_at_all_is_an_instant_in_utc(text: str) -> None:
    try:
        read = parse_instant(text)
    except ValueError:
        return

    assert read.utcoffset() == timedelta(0)
    assert 2 <= read.year <= 9998
