"""The CLI's error file as a bounded stream: it can be gigabytes, and one row hundreds of kilobytes."""

import csv
import errno
import os
import stat
from collections.abc import AsyncGenerator, Generator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TextIO

from globeco_allocation.adapters.blocking import acquire, finish
from globeco_allocation.domain.accounting_run import ErrorRow

LONGEST_ROW = 1024 * 1024
"""Characters of a row that are read: three times the answer to the largest request that the server takes.

The csv module holds four bytes per character, and twice while a field grows; the whole process has 100 MiB.
"""

MOST_COMMAS = 100_000
"""Commas of a row that is read: each may make an object, and such an answer has some ten thousand."""

SUFFIX = ".errors.csv"

UNREADABLE = ErrorRow("", "")
"""Stands for whatever could not be read: nothing is known of it."""

_CHARACTERS_AT_ONCE = 128 * 1024  # in each lane, and more once taken apart: all of them have 100 MiB
_ROWS_AT_ONCE = 1000


class _UnreadableError(Exception):
    """The rest of the file cannot be told apart into rows."""


def allow_long_fields() -> None:
    """Let the csv module take fields as long as a row; its limit is the whole process's, so it only rises."""
    if csv.field_size_limit() < LONGEST_ROW:
        csv.field_size_limit(LONGEST_ROW)


async def error_rows(path: Path) -> AsyncGenerator[ErrorRow]:
    """Yield the rows of an error file; nothing when there is none.

    Only a regular file is read: a pipe would keep us waiting, and a link could lead anywhere.
    A row with another number of fields than the header comes without its message, and where the rest cannot
    be read at all (cut off, an endless row, stray quotes, an input error) one such row stands for it: so
    nobody takes the file for complete.
    """
    try:
        file = await acquire(partial(_open, path), undo=TextIO.close)
    except FileNotFoundError:
        return
    except OSError:
        yield UNREADABLE
        return
    try:
        rows = read_rows(file)
        while batch := await finish(_next_batch, rows):
            for row in batch:
                yield row
    finally:
        await finish(file.close)


def read_rows(file: TextIO) -> Generator[ErrorRow]:
    """Yield the rows of an open error file; blocks, and never raises for what it reads."""
    lines = _Lines(file)
    try:
        records = csv.reader(lines, strict=True)
        header = next(records)
        lines.end_row()
        source_id, message = header.index("source_id"), header.index("error_message")
        for record in records:
            lines.end_row()
            if len(record) == len(header):
                yield ErrorRow(record[source_id], record[message])
            elif record:
                yield ErrorRow(record[source_id] if len(record) > source_id else "", "")
    except (csv.Error, _UnreadableError, StopIteration, ValueError, OSError):
        yield UNREADABLE


def _open(path: Path) -> TextIO:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return os.fdopen(descriptor, encoding="utf-8", errors="replace", newline="")


def _next_batch(rows: Generator[ErrorRow]) -> list[ErrorRow]:
    batch: list[ErrorRow] = []
    size = 0
    for row in islice(rows, _ROWS_AT_ONCE):
        batch.append(row)
        size += len(row.source_id) + len(row.message)
        if size >= _CHARACTERS_AT_ONCE:
            break
    return batch


class _Lines:
    """The lines of a file, as long as a row of them keeps within the limits."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._left = LONGEST_ROW
        self._commas_left = MOST_COMMAS
        self._line = ""

    def end_row(self) -> None:
        """Allow for the next row.

        Raises:
            _UnreadableError: the row was cut off, for the CLI ends every line.
        """
        if not self._line.endswith("\n"):
            raise _UnreadableError
        self._left = LONGEST_ROW
        self._commas_left = MOST_COMMAS

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(self._left + 1)
        if not line:
            raise StopIteration
        self._commas_left -= line.count(",")
        if len(line) > self._left or self._commas_left < 0:
            raise _UnreadableError
        self._left -= len(line)
        self._line = line
        return line
