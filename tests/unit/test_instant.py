"""Instants are read as they stand: in UTC, cut to the microsecond, never rounded."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from globeco_allocation.domain import parse_instant, to_instant

SYNTAX = "^must be an RFC 3339 timestamp such as 2025-06-02T14:00:01Z$"
NO_SUCH_TIME = "^must name a day and a time that exist$"
NO_ZONE_HAS_IT = "^must lie in the years 2 to 9998$"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-06-02T14:00:01Z", "2025-06-02T14:00:01+00:00"),
        ("2025-06-02t14:00:01z", "2025-06-02T14:00:01+00:00"),
        ("2025-06-02T14:00:01+00:00", "2025-06-02T14:00:01+00:00"),
        ("2025-06-02T14:00:01-00:00", "2025-06-02T14:00:01+00:00"),
        ("2025-06-02T23:59:59-04:00", "2025-06-03T03:59:59+00:00"),
        ("2025-06-03T09:45:00+05:45", "2025-06-03T04:00:00+00:00"),
        ("2025-06-02T14:00:01+23:59", "2025-06-01T14:01:01+00:00"),
        ("2025-06-02T14:00:01-23:59", "2025-06-03T13:59:01+00:00"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00+00:00"),
        ("2025-06-02T14:00:01.5Z", "2025-06-02T14:00:01.500000+00:00"),
        ("2025-06-02T14:00:01.099999904Z", "2025-06-02T14:00:01.099999+00:00"),
        ("2025-06-02T23:59:59.9999999Z", "2025-06-02T23:59:59.999999+00:00"),
        ("2025-06-02T23:59:59.999999999-04:00", "2025-06-03T03:59:59.999999+00:00"),
        ("2025-12-31T23:59:59." + "9" * 1000 + "Z", "2025-12-31T23:59:59.999999+00:00"),
        ("0002-01-01T00:00:00Z", "0002-01-01T00:00:00+00:00"),
        ("9998-12-31T23:59:59.999999Z", "9998-12-31T23:59:59.999999+00:00"),
        ("9999-01-01T00:30:00+01:00", "9998-12-31T23:30:00+00:00"),
    ],
)
def test_a_timestamp_is_read_into_utc_and_cut_never_rounded(text: str, instant: str) -> None:
    read = parse_instant(text)

    assert read.isoformat() == instant
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2025-06-02",
        "2025-06-02T14:00:01",
        "2025-06-02 14:00:01Z",
        "2025-06-02T14:00Z",
        "2025-06-02T14:00:01.Z",
        "2025-06-02T14:00:01,5Z",
        "2025-06-02T14:00:01+0000",
        "2025-06-02T14:00:01+00",
        "2025-06-02T14:00:01+24:00",
        "2025-06-02T14:00:01+00:60",
        "2025-06-02T14:00:01+00:99",
        "2025-06-02T14:00:01+00:00:30",
        "2025-06-02T24:00:00Z",
        "2025-W23-1T14:00:01Z",
        "20250602T140001Z",
        "2025-06-02T14:00:01Z\n",
        " 2025-06-02T14:00:01Z",
        "2025-06-02T14:00:01Z[America/New_York]",
        "+2025-06-02T14:00:01Z",
        "12025-06-02T14:00:01Z",
        "1748872801",
        "２０２５-06-02T14:00:01Z",  # noqa: RUF001 (full-width digits are the case)
        "2025-06-02T14:00:0\u0661Z",
        "2025-06-02T14:00:01\N{MINUS SIGN}04:00",
        "2025-06-02T14:00:01Z\0",
    ],
)
def test_what_is_no_rfc_3339_timestamp_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=SYNTAX):
        parse_instant(text)


@pytest.mark.parametrize(
    "text",
    [
        "2025-02-29T00:00:00Z",
        "2025-13-01T00:00:00Z",
        "2025-00-01T00:00:00Z",
        "2025-06-31T00:00:00Z",
        "2025-06-02T14:60:00Z",
        "2016-12-31T23:59:60Z",
        "0000-01-01T00:00:00Z",
    ],
)
def test_a_day_or_time_that_does_not_exist_is_refused_also_a_leap_second(text: str) -> None:
    with pytest.raises(ValueError, match=NO_SUCH_TIME):
        parse_instant(text)


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+12:00",
        "0001-12-31T23:59:59.999999Z",
        "0002-01-01T00:00:00+00:01",
        "9999-01-01T00:00:00Z",
        "9998-12-31T23:59:59-00:01",
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_a_year_that_not_every_zone_can_express_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=NO_ZONE_HAS_IT):
        parse_instant(text)


def test_a_moment_without_an_offset_is_no_instant() -> None:
    with pytest.raises(ValueError, match=r"^must have a UTC offset$"):
        to_instant(datetime(2025, 6, 2, 14, 0, 1))  # noqa: DTZ001 (the case)


def test_an_aware_moment_keeps_its_instant_and_changes_its_zone() -> None:
    moment = datetime(2025, 6, 2, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-4)))

    instant = to_instant(moment)

    assert instant == moment
    assert instant.isoformat() == "2025-06-03T03:59:59.999999+00:00"


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
@pytest.mark.parametrize("hours", [-12, 0, 14])
def test_the_ends_of_the_calendar_are_refused_in_every_zone(moment: datetime, hours: int) -> None:
    with pytest.raises(ValueError, match=NO_ZONE_HAS_IT):
        to_instant(moment.replace(tzinfo=timezone(timedelta(hours=hours))))
