"""Transaction files read again. Every function here blocks and may raise OSError."""

import csv
import errno
import hashlib
import os
import stat
from itertools import islice
from pathlib import Path

from globeco_allocation.domain.source_id import execution_id_of

_IDS_AT_ONCE = 4000
_NOT_REGULAR = "not a regular file"


class NotOursError(Exception):
    """A file holds something else than we wrote."""


def checksum_of(directory: Path, name: str) -> str | None:
    """Return the SHA-256 of a file's bytes in hex; None when there is no such file.

    Raises:
        FileNotFoundError: the directory itself is missing.
    """
    try:
        descriptor = open_regular(directory / name)
    except FileNotFoundError:
        directory.stat()
        return None
    with os.fdopen(descriptor, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class IdReader:
    """Reads the executions' ids in a file, some at a time.

    Raises:
        NotOursError: there is no such file, or it is none of ours.
    """

    def __init__(self, directory: Path, name: str) -> None:
        try:
            descriptor = open_regular(directory / name)
        except FileNotFoundError:
            directory.stat()
            raise NotOursError("it is gone") from None
        self._text = os.fdopen(descriptor, encoding="utf-8", newline="")
        self._records = csv.reader(self._text, strict=True)
        self._header = list[str]()

    def next_ids(self) -> list[int]:
        """Return the next ids; none at the end.

        Raises:
            NotOursError: a line is none of ours.
        """
        try:
            self._header = self._header or next(self._records, self._header)
            column = self._header.index("source_id")
            return [self._id(record, column) for record in islice(self._records, _IDS_AT_ONCE)]
        except (csv.Error, ValueError) as error:  # bytes that are no text are a ValueError too
            raise NotOursError(f"line {self._records.line_num} is none of ours") from error

    def close(self) -> None:
        """Close the file."""
        self._text.close()

    def _id(self, record: list[str], column: int) -> int:
        found = execution_id_of(record[column]) if len(record) == len(self._header) else None
        if found is None:
            raise ValueError(record)
        return found


def open_regular(path: Path) -> int:
    """Open a regular file: a pipe would keep us waiting, and a link could lead anywhere."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, _NOT_REGULAR) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ELOOP, _NOT_REGULAR)
    return descriptor
