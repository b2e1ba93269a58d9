"""The trade date is the date in New York at the instant of sending (specification, answer 8)."""

from datetime import date, datetime

import pytest

from globeco_allocation.domain import parse_instant, trade_date


@pytest.mark.parametrize(
    ("last_second", "first_second", "day", "next_day"),
    [
        pytest.param("2025-06-03T03:59:59Z", "2025-06-03T04:00:00Z", "2025-06-02", "2025-06-03", id="summer"),
        pytest.param("2025-01-15T04:59:59Z", "2025-01-15T05:00:00Z", "2025-01-14", "2025-01-15", id="winter"),
        pytest.param(
            "2025-06-02T23:59:59-04:00",
            "2025-06-03T00:00:00-04:00",
            "2025-06-02",
            "2025-06-03",
            id="summer-eastern",
        ),
        pytest.param(
            "2025-01-14T23:59:59-05:00",
            "2025-01-15T00:00:00-05:00",
            "2025-01-14",
            "2025-01-15",
            id="winter-eastern",
        ),
        pytest.param(
            "2025-06-03T12:59:59+09:00",
            "2025-06-03T13:00:00+09:00",
            "2025-06-02",
            "2025-06-03",
            id="told-in-tokyo",
        ),
        pytest.param(
            "2025-01-01T04:59:59Z", "2025-01-01T05:00:00Z", "2024-12-31", "2025-01-01", id="new-year"
        ),
        pytest.param(
            "2024-02-29T04:59:59Z", "2024-02-29T05:00:00Z", "2024-02-28", "2024-02-29", id="leap-day"
        ),
        # Clocks go forward on the second Sunday of March: its first midnight is winter's, its last summer's.
        pytest.param(
            "2024-03-10T04:59:59Z", "2024-03-10T05:00:00Z", "2024-03-09", "2024-03-10", id="2024-spring-in"
        ),
        pytest.param(
            "2024-03-11T03:59:59Z", "2024-03-11T04:00:00Z", "2024-03-10", "2024-03-11", id="2024-spring-out"
        ),
        pytest.param(
            "2025-03-09T04:59:59Z", "2025-03-09T05:00:00Z", "2025-03-08", "2025-03-09", id="2025-spring-in"
        ),
        pytest.param(
            "2025-03-10T03:59:59Z", "2025-03-10T04:00:00Z", "2025-03-09", "2025-03-10", id="2025-spring-out"
        ),
        pytest.param(
            "2026-03-08T04:59:59Z", "2026-03-08T05:00:00Z", "2026-03-07", "2026-03-08", id="2026-spring-in"
        ),
        pytest.param(
            "2026-03-09T03:59:59Z", "2026-03-09T04:00:00Z", "2026-03-08", "2026-03-09", id="2026-spring-out"
        ),
        # Back on the first Sunday of November: its first midnight is summer's, its last winter's.
        pytest.param(
            "2024-11-03T03:59:59Z", "2024-11-03T04:00:00Z", "2024-11-02", "2024-11-03", id="2024-autumn-in"
        ),
        pytest.param(
            "2024-11-04T04:59:59Z", "2024-11-04T05:00:00Z", "2024-11-03", "2024-11-04", id="2024-autumn-out"
        ),
        pytest.param(
            "2025-11-02T03:59:59Z", "2025-11-02T04:00:00Z", "2025-11-01", "2025-11-02", id="2025-autumn-in"
        ),
        pytest.param(
            "2025-11-03T04:59:59Z", "2025-11-03T05:00:00Z", "2025-11-02", "2025-11-03", id="2025-autumn-out"
        ),
        pytest.param(
            "2026-11-01T03:59:59Z", "2026-11-01T04:00:00Z", "2026-10-31", "2026-11-01", id="2026-autumn-in"
        ),
        pytest.param(
            "2026-11-02T04:59:59Z", "2026-11-02T05:00:00Z", "2026-11-01", "2026-11-02", id="2026-autumn-out"
        ),
        pytest.param(
            "2026-03-08T23:59:59-04:00",
            "2026-03-09T00:00:00-04:00",
            "2026-03-08",
            "2026-03-09",
            id="spring-eastern",
        ),
        pytest.param(
            "2026-11-01T23:59:59-05:00",
            "2026-11-02T00:00:00-05:00",
            "2026-11-01",
            "2026-11-02",
            id="autumn-eastern",
        ),
        # An offset that New York does not have on that day names an instant all the same.
        pytest.param(
            "2026-03-09T00:00:00-05:00",
            "2026-03-08T23:00:00-05:00",
            "2026-03-09",
            "2026-03-09",
            id="stale-offset",
        ),
    ],
)
def test_the_date_changes_at_midnight_in_new_york(
    last_second: str, first_second: str, day: str, next_day: str
) -> None:
    assert trade_date(parse_instant(last_second)) == date.fromisoformat(day)
    assert trade_date(parse_instant(first_second)) == date.fromisoformat(next_day)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2025-06-02T14:00:01Z", "2025-06-02"),
        ("2025-06-03T03:59:59.9999999Z", "2025-06-02"),
        ("2025-06-02T23:59:59.9999999-04:00", "2025-06-02"),
        ("2025-03-09T04:59:59.9999999Z", "2025-03-08"),
        ("2025-11-03T04:59:59.999999999Z", "2025-11-02"),
    ],
)
def test_one_ten_millionth_of_a_second_before_midnight_is_still_that_day(text: str, day: str) -> None:
    assert trade_date(parse_instant(text)) == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-03-08T06:59:59Z", "2026-03-08"),
        ("2026-03-08T07:00:00Z", "2026-03-08"),
        ("2026-11-01T05:59:59Z", "2026-11-01"),
        ("2026-11-01T06:00:00Z", "2026-11-01"),
    ],
)
def test_the_hour_that_is_missing_or_told_twice_belongs_to_its_day(text: str, day: str) -> None:
    assert trade_date(parse_instant(text)) == date.fromisoformat(day)


@pytest.mark.parametrize("text", ["0002-01-01T00:00:00Z", "9998-12-31T23:59:59.999999Z"])
def test_every_instant_that_is_accepted_has_a_trade_date(text: str) -> None:
    assert trade_date(parse_instant(text)).year in {1, 9998}


def test_a_moment_without_an_offset_has_no_trade_date() -> None:
    with pytest.raises(ValueError, match="UTC offset"):
        trade_date(datetime(2025, 6, 2, 14, 0, 1))  # noqa: DTZ001 (the case)
