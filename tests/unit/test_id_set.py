"""Sets of execution ids: as a set of numbers, in a bit each."""

import tracemalloc

import pytest

from globeco_allocation.domain.execution import LARGEST_ID
from globeco_allocation.domain.judging.id_set import IdSet


@pytest.mark.parametrize(
    "added",
    [
        [],
        [1],
        [3, 3, 1, 2, 1],
        [7, 8, 15, 16, 0],
        [65_536, 65_535, 65_537, 131_072],
        [LARGEST_ID, 1, LARGEST_ID - 1, LARGEST_ID],
        list(range(300, 0, -1)),
    ],
)
def test_it_is_a_set_in_ascending_order(added: list[int]) -> None:
    found = IdSet()
    new = [found.add(key) for key in added]

    assert new == [key not in added[:place] for place, key in enumerate(added)]
    assert list(found) == sorted(set(added))
    assert len(found) == len(set(added))
    for key in (0, 1, 7, 8, 9, 65_535, 65_536, 70_000, LARGEST_ID):
        assert (key in found) is (key in added)


def test_a_million_ids_take_a_bit_each() -> None:
    found = IdSet()
    tracemalloc.start()
    try:
        for key in range(1, 1_000_001):
            found.add(key)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 200_000
    assert len(found) == 1_000_000
