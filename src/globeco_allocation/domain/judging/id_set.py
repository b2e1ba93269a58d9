"""Sets of execution ids, small enough for millions of them."""

import re
from collections.abc import Iterator

_BITS = 1 << 16
_NOT_EMPTY = re.compile(rb"[^\0]")


class IdSet:
    """Ids that lie close together, one bit each: a million of them take 128 KiB.

    >>> ids = IdSet()
    >>> ids.add(70_000), ids.add(3), ids.add(3)
    (True, True, False)
    >>> list(ids), len(ids), 3 in ids, 4 in ids
    ([3, 70000], 2, True, False)
    """

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._count = 0

    def add(self, key: int) -> bool:
        """Add an id; tells whether it is new."""
        number, place = divmod(key, _BITS)
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = bytearray(_BITS // 8)
        byte, bit = place >> 3, 1 << (place & 7)
        if page[byte] & bit:
            return False
        page[byte] |= bit
        self._count += 1
        return True

    def __contains__(self, key: int) -> bool:
        """Tell whether an id is there."""
        number, place = divmod(key, _BITS)
        page = self._pages.get(number)
        return page is not None and bool(page[place >> 3] & (1 << (place & 7)))

    def __len__(self) -> int:
        """Return how many ids there are."""
        return self._count

    def __iter__(self) -> Iterator[int]:
        """Yield the ids in ascending order."""
        for number, page in sorted(self._pages.items()):
            for match in _NOT_EMPTY.finditer(page):
                byte, first = match[0][0], number * _BITS + match.start() * 8
                yield from [first + bit for bit in range(8) if byte >> bit & 1]
