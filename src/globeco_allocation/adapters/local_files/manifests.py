"""Manifests in the output directory, found and read again. Every function blocks and may raise OSError."""

import csv
import hashlib
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from globeco_allocation.adapters.local_files.reading import open_regular
from globeco_allocation.domain.manifest import MANIFEST_SUFFIX

_LINES_AT_ONCE = 2000
_LONGEST_LINE = 64 * 1024
_FILE_NAME = re.compile(
    r"transactions_\d{4,}_\d{6}_(?P<batch>\d+)(_l(?P<lane>\d+))?(_p(?P<part>\d+))?\.csv", re.ASCII
)


def manifest_names(directory: Path) -> list[str]:
    """Return the bare names of all manifests, in the order of their names."""
    with os.scandir(directory) as entries:
        return sorted(
            one.name for one in entries if one.name.endswith(MANIFEST_SUFFIX) and one.name[0] != "."
        )


def files_without_manifest(directory: Path) -> list[str]:
    """Return the bare names of the transaction files that have none."""
    with os.scandir(directory) as entries:
        names = {one.name for one in entries}
    return sorted(
        name for name in names if _FILE_NAME.fullmatch(name) and name + MANIFEST_SUFFIX not in names
    )


def place_of(file_name: str) -> tuple[int, int, int]:
    """Return a transaction file's batch, lane and part, as its name has them.

    >>> place_of("transactions_20260302_150000_7_l1_p2.csv")
    (7, 1, 2)
    """
    match = _FILE_NAME.fullmatch(file_name)
    if match is None:
        raise ValueError(file_name)
    return int(match["batch"]), int(match["lane"] or 0), int(match["part"] or 0)


class ManifestLines:
    """The lines of a manifest, some at a time, and the checksum of all but the last one.

    Raises:
        UnreadableLinesError: by `next_lines`: what is there is no CSV, or no text.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._file = os.fdopen(open_regular(directory / name), "rb")
        self._sum = hashlib.sha256()
        self._records = csv.reader(self._lines(), strict=True)

    def next_lines(self, most: int = _LINES_AT_ONCE) -> list[list[str]]:
        """Return the next lines; none at the end."""
        try:
            return list(islice(self._records, most))
        except (csv.Error, ValueError) as error:  # bytes that are no text are a ValueError too
            raise UnreadableLinesError from error

    @property
    def checksum(self) -> str:
        """The SHA-256, in hex, of all bytes before the last line that was read."""
        return self._sum.hexdigest()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _lines(self) -> Iterator[str]:
        before = b""
        while line := self._file.readline(_LONGEST_LINE):
            self._sum.update(before)
            before = line
            yield line.decode()


class UnreadableLinesError(Exception):
    """A file holds no lines of a manifest."""
