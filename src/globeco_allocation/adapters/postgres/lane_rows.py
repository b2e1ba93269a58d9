"""Rows as COPY writes them, told apart by their lanes and parts.

A line feed ends a row, unless it stands in quotes: where an odd number of them came before it in the row.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from globeco_allocation.domain.batch import ClaimTerms
from globeco_allocation.domain.lane import lane_of
from globeco_allocation.domain.transaction_file import RenderedRows
from globeco_allocation.ports.batches import LaneRows

_KNOWN_PORTFOLIOS = 1 << 14
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class RowLayout:
    """In which fields of a row its portfolio stands, and the id of its execution."""

    portfolio: int
    id: int


FILE_LAYOUT = RowLayout(portfolio=0, id=2)
"""A transaction file's."""


def rows_of(text: bytes, layout: RowLayout = FILE_LAYOUT) -> RenderedRows:
    """Say what these rows are, at least one."""
    if b'"' in text:
        return _joined(_records(text), layout)
    first, last = text[: text.index(b"\n")], text[text.rfind(b"\n", 0, -1) + 1 : -1]
    return RenderedRows(text, text.count(b"\n"), _id_of(first, layout), _id_of(last, layout))


class RowsOfLanes:
    """Takes the rows of a batch as they come, and gives them out by lane and part.

    Lanes are told apart here: the server would compute a SHA-256 for each row, not for each portfolio.
    """

    def __init__(self, terms: ClaimTerms, layout: RowLayout = FILE_LAYOUT) -> None:
        self._layout = layout
        self._lanes = [_Lane(lane, terms.file_max_records, layout) for lane in range(terms.lane_count)]
        self.count = terms.lane_count
        self._at_once = 1 if terms.lane_count == 1 else _ROWS_AT_ONCE
        self._known = _KnownPortfolios(self._lanes)

    def add(self, text: bytes) -> list[LaneRows]:
        """Take more rows, and return what is to be written now."""
        if len(self._lanes) == 1:
            rows = rows_of(text, self._layout)
            if rows.record_count <= self._lanes[0].room:
                return [self._lanes[0].give(rows)]
        self._spread(text)
        return [rows for lane in self._lanes for rows in lane.ripe(self._at_once)]

    def rest(self) -> list[LaneRows]:
        """Return what was taken and not given out yet."""
        return [rows for lane in self._lanes for rows in lane.ripe(1)]

    def _spread(self, text: bytes) -> None:
        add = self._known
        place = self._layout.portfolio
        if b'"' in text:
            for record in _records(text):
                add[_fields(record)[place]](record)
        elif place == 0:
            for record in _records(text):
                add[record.partition(b",")[0]](record)
        else:
            for record in _records(text):
                add[record.split(b",", place + 1)[place]](record)


class _Lane:
    def __init__(self, lane: int, file_max_records: int, layout: RowLayout) -> None:
        self.waiting: list[bytes] = []
        self.room = file_max_records  # in the part that is being written
        self._lane = lane
        self._file_max_records = file_max_records
        self._layout = layout

    def give(self, rows: RenderedRows) -> LaneRows:
        self.room = self.room - rows.record_count or self._file_max_records
        return LaneRows(self._lane, rows)

    def ripe(self, at_least: int) -> Iterator[LaneRows]:
        """Give out what waits, if that is so many rows or fills the part."""
        while len(self.waiting) >= min(at_least, self.room):
            records = self.waiting[: self.room]
            del self.waiting[: len(records)]
            yield self.give(_joined(records, self._layout))


class _KnownPortfolios(dict[bytes, Callable[[bytes], None]]):
    """Where a portfolio's rows are added to, as far as it came up lately."""

    def __init__(self, lanes: Sequence[_Lane]) -> None:
        super().__init__()
        self._lanes = lanes

    def __missing__(self, portfolio_id: bytes) -> Callable[[bytes], None]:
        if len(self) >= _KNOWN_PORTFOLIOS:
            self.clear()
        lane = lane_of(portfolio_id.decode().rstrip(" "), len(self._lanes))
        add = self[portfolio_id] = self._lanes[lane].waiting.append
        return add


def _joined(records: Sequence[bytes], layout: RowLayout) -> RenderedRows:
    text = b"\n".join([*records, b""])
    return RenderedRows(text, len(records), _id_of(records[0], layout), _id_of(records[-1], layout))


def _records(text: bytes) -> list[bytes]:
    """Split rows, without the line feeds that end them."""
    lines = text.split(b"\n")
    lines.pop()
    if b'"' not in text:
        return lines
    records: list[bytes] = []
    open_lines: list[bytes] = []
    for line in lines:
        open_lines.append(line)
        if sum(one.count(b'"') for one in open_lines) % 2 == 0:
            records.append(b"\n".join(open_lines))
            open_lines.clear()
    return records


def _id_of(record: bytes, layout: RowLayout) -> int:
    return int(_fields(record)[layout.id].removeprefix(b"AC"))


def _fields(record: bytes) -> list[bytes]:
    if b'"' not in record:
        return record.split(b",")
    return [field.encode() for field in next(csv.reader([record.decode()], strict=True))]
