"""A file under a hidden name, until it is whole."""

import errno
import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from globeco_allocation.domain.delivery import WrittenFile
from globeco_allocation.domain.transaction_file import RenderedRows

FILE_MODE = 0o664
"""Readable and removable for the CLI's other user, whatever the umask (design, "Files")."""

TEMPORARY_SUFFIX = ".tmp"

_BUFFER_BYTES = 1 << 16  # as many as lanes may be open at once


class Draft:
    """A transaction file that is being written. Every method blocks.

    It is written under a hidden name in the same directory, flushed to disk, and given its name by a hard
    link: unlike a rename, that never replaces what has the name already.

    Raises:
        OSError: by every method but `discard`.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._target = directory / name
        self._path = hidden_path(directory, name)
        self._file = self._path.open("xb", buffering=_BUFFER_BYTES)
        self._sum = hashlib.sha256()
        self._bytes = 0
        self._records = 0
        self._first_id = 0
        self._last_id = 0
        self._torn = False

    def append(self, text: bytes) -> None:
        """Write bytes."""
        self._file.write(text)
        self._sum.update(text)
        self._bytes += len(text)

    def append_rows(self, rows: RenderedRows) -> None:
        """Write more rows."""
        try:
            self.append(rows.text)
        except OSError:
            self._torn = True
            raise
        self._first_id = self._first_id or rows.first_id
        self._last_id = rows.last_id
        self._records += rows.record_count

    def publish(self, ending: Callable[[WrittenFile], bytes] | None = None) -> WrittenFile:
        """Flush the file to disk and give it its name; *ending* makes its last bytes of what is in it.

        Raises:
            FileExistsError: another file with other bytes has the name.
            OSError: see above; or rows are missing because an append failed.
        """
        if self._torn:
            raise OSError(errno.EIO, "a part of the file was not written")
        if ending is not None:
            self.append(ending(self._facts()))
        self._file.flush()
        os.fchmod(self._file.fileno(), FILE_MODE)
        os.fsync(self._file.fileno())
        self._file.close()
        facts = self._facts()
        ours = True
        try:
            os.link(self._path, self._target)
        except FileExistsError:
            if not self._is_already_there(facts):
                raise
            ours = False
        try:
            flush_directory(self._directory)
        except OSError:
            if ours:  # the port promises that nothing stands under the name then
                self._target.unlink(missing_ok=True)
            raise
        return facts

    def discard(self) -> None:
        """Remove the hidden name, whatever state the draft is in."""
        with suppress(OSError):  # closing flushes, which fails again where the disk is full
            self._file.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _facts(self) -> WrittenFile:
        return WrittenFile(
            record_count=self._records,
            byte_count=self._bytes,
            checksum=self._sum.hexdigest(),
            first_id=self._first_id,
            last_id=self._last_id,
        )

    def _is_already_there(self, facts: WrittenFile) -> bool:
        with self._target.open("rb") as file:
            if os.fstat(file.fileno()).st_size != facts.byte_count:
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == facts.checksum


def hidden_path(directory: Path, name: str) -> Path:
    """Return a path that nobody else uses, for what will be called *name*."""
    return directory / f".{name.lstrip('.')}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"


def flush_directory(directory: Path) -> None:
    """Flush a directory's names to disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
