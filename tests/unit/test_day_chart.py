"""The last day is counted newest first, a limited number at a time, and each half hour to its end."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from globeco_allocation.entrypoints.day_chart import Day, DayChart
from globeco_allocation.ports.activity import Delivered, Stretches

NOON = datetime(2026, 3, 2, 12, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Stamps:
    """An activity of these ready stamps, and what was asked of it."""

    def __init__(self, *stamps: datetime) -> None:
        self.stamps = list(stamps)
        self.asked: list[Stretches] = []

    async def became_ready(self, stretches: Stretches, *, most: int) -> Mapping[datetime, int]:
        self.asked.append(stretches)
        those = sorted((one for one in self.stamps if stretches.since <= one < stretches.until), reverse=True)
        return Counter(stretches.start_of(one) for one in those[:most])

    async def delivered(self, stretches: Stretches, *, most: int) -> Mapping[datetime, Delivered]:
        del stretches, most
        return {}

    async def troubled(self, *, batches: int, most: int) -> Sequence[int]:
        del batches, most
        return []


def counts(day: Day) -> list[int | None]:
    """Return the counts of the last five half hours."""
    return [day.ready.get(start) for start in day.stretches.starts()[-5:]]


async def test_half_hours_without_anything_count_nothing() -> None:
    day = await DayChart(Stamps(NOON - 2 * HOUR, NOON, NOON)).look(NOON)

    assert counts(day) == [1, 0, 0, 0, 2]
    assert len(day.ready) == 49


async def test_with_very_many_the_older_half_hours_are_counted_by_later_looks() -> None:
    stamps = Stamps(*[NOON] * 2, *[NOON - HOUR] * 2, *[NOON - 2 * HOUR] * 2)
    chart = DayChart(stamps, most=3)

    first = counts(await chart.look(NOON))
    stamps.stamps = [one for one in stamps.stamps if one != NOON]  # none of them is counted anew
    second = counts(await chart.look(NOON))
    third = counts(await chart.look(NOON))

    assert first == [None, None, None, 0, 2]
    assert second == [None, 0, 2, 0, 0]
    assert third == [2, 0, 2, 0, 0]


async def test_a_half_hour_with_more_than_is_counted_at_once_holds_nothing_up() -> None:
    chart = DayChart(Stamps(*[NOON - HOUR] * 9, NOON - 2 * HOUR), most=3)

    looks = [counts(await chart.look(NOON)) for _ in range(3)]

    assert looks == [[None, None, None, 0, 0], [None, None, 3, 0, 0], [1, 0, 3, 0, 0]]


async def test_what_is_under_way_takes_nothing_from_what_is_over() -> None:
    chart = DayChart(Stamps(*[NOON] * 2, *[NOON - HOUR] * 3), most=3)

    looks = [counts(await chart.look(NOON)) for _ in range(2)]

    assert looks[1] == [None, None, 3, 0, 2]


async def test_a_half_hour_is_counted_again_until_a_minute_after_its_end() -> None:
    stamps = Stamps()
    chart = DayChart(stamps)
    end = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)

    await chart.look(end + timedelta(seconds=30))
    stamps.stamps = [end - timedelta(seconds=1)]  # committed late
    late = await chart.look(end + timedelta(seconds=59))
    await chart.look(end + timedelta(seconds=60))
    stamps.asked = []
    await chart.look(end + timedelta(seconds=61))

    assert late.ready[end - HOUR / 2] == 1
    assert [one.since for one in stamps.asked] == [end]


async def test_what_is_older_than_a_day_is_forgotten() -> None:
    stamps = Stamps(NOON)
    chart = DayChart(stamps)
    await chart.look(NOON)
    later = await chart.look(NOON + 25 * HOUR)

    assert sum(later.ready.values()) == 0
    assert min(later.ready) == later.stretches.since
