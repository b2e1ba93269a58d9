"""Each portfolio belongs to one lane, the same one everywhere and for ever."""

from collections import Counter

import pytest

from globeco_allocation.domain import MOST_LANES, lane_of


@pytest.mark.parametrize(
    ("portfolio_id", "lane_count", "lane"),
    [
        # SHA-256 begins with e3 b0 c4 42 for nothing, and with ba 78 16 bf for "abc" (FIPS 180-4).
        ("", 2, 0xE3B0C442 % 2),
        ("", 7, 0xE3B0C442 % 7),
        ("abc", 5, 0xBA7816BF % 5),
        ("abc", MOST_LANES, 0xBA7816BF % MOST_LANES),
        ("abc", 1, 0),
    ],
)
def test_the_lane_follows_from_the_published_rule_alone(
    portfolio_id: str, lane_count: int, lane: int
) -> None:
    assert lane_of(portfolio_id, lane_count) == lane


def test_portfolios_are_spread_evenly() -> None:
    lanes = Counter(lane_of(f"683b6b9620f302c879a5{number:04x}", 8) for number in range(8000))

    assert sorted(lanes) == list(range(8))
    assert all(900 < portfolios < 1100 for portfolios in lanes.values())


def test_ids_beyond_ascii_have_a_lane_too() -> None:
    assert 0 <= lane_of("\N{GREEK SMALL LETTER PI}\N{GRINNING FACE}", 8) < 8
