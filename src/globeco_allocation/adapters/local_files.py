"""Transaction files in a local or mounted directory."""

import asyncio
import errno
import hashlib
import logging
import os
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from globeco_allocation.adapters.bare_name import check_bare
from globeco_allocation.adapters.blocking import acquire, finish
from globeco_allocation.domain.delivery import WrittenFile
from globeco_allocation.domain.errors import FileNotWrittenError
from globeco_allocation.domain.execution import Execution

P = ParamSpec("P")
T = TypeVar("T")

FILE_MODE = 0o664
"""Readable and removable for the CLI's other user, whatever the umask (design, "Files")."""

DIRECTORY_MODE = 0o2775
"""Of a directory that we make: what is written in it belongs to its group."""

TEMPORARY_SUFFIX = ".tmp"

_EXECUTIONS_AT_ONCE = 1000
_BYTES_AT_ONCE = 1 << 20
_ABANDONED_AFTER_SECONDS = 24 * 3600

_log = logging.getLogger(__name__)

_REASONS = {
    errno.ENOSPC: "no space is left in the output directory",
    errno.EDQUOT: "the output directory's quota is used up",
    errno.EFBIG: "the file would be larger than this process may write",
    errno.EROFS: "the output directory is read-only",
    errno.EACCES: "the output directory may not be written to",
    errno.EPERM: "the output directory may not be written to, or its file system has no hard links",
    errno.EOPNOTSUPP: "the output directory's file system has no hard links",
    errno.ENOENT: "the output directory is missing",
    errno.ENOTDIR: "the output directory is not a directory",
}


class LocalFiles:
    """The port `globeco_allocation.ports.files.TransactionFiles` on a directory.

    A file is written under a hidden name in the same directory, flushed to disk, and given its name by a hard
    link: unlike a rename, that never replaces what has the name already.

    Args:
        directory: The output directory; `prepare` makes it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()

    async def prepare(self) -> None:
        """Make the directory if it is missing, and remove what killed writers left behind a day ago.

        Nothing is raised when that cannot be done: `check` tells.
        """
        try:
            await finish(_prepare, self._directory)
        except OSError as error:
            _log.warning("the output directory could not be prepared: %s", error.strerror)

    async def check(self) -> None:
        """Make sure that a file can be written now, by writing one byte under a hidden name; see the port."""
        with _Explained("a transaction file"):
            await finish(_probe, self._directory)

    async def write(
        self,
        name: str,
        header: bytes,
        executions: AsyncIterator[Execution],
        row: Callable[[Execution], bytes],
    ) -> WrittenFile:
        """Write a file whole; see the port.

        Rows are made and written some thousand at a time in a worker thread, so that a file of any length
        takes little memory and never holds up the event loop.
        """
        check_bare(name)
        with _Explained(f"the file {name}"):
            draft = await acquire(partial(_Draft, self._directory, name), undo=_Draft.discard)
        try:
            with _Explained(f"the file {name}"):
                await finish(draft.append, header)
            async with aclosing(_chunks(executions)) as chunks:
                async for some in chunks:
                    with _Explained(f"the file {name}"):
                        await finish(draft.append_rows, some, row)
            with _Explained(f"the file {name}"):
                return await finish(draft.publish)
        finally:
            await finish(draft.discard)

    async def remove(self, name: str) -> None:
        """Remove a delivered file; see the port. A file that cannot be removed is logged and stays."""
        check_bare(name)
        try:
            await finish((self._directory / name).unlink, missing_ok=True)
        except OSError as error:
            _log.warning("the delivered file %s could not be removed: %s", name, error.strerror)


class _Explained:
    """Turns an OSError into the domain's words; unlike the error's own, they hold no path."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, FileExistsError):
            raise FileNotWrittenError(
                f"{self._what} was not written: another one with other content has its name"
            ) from error
        if isinstance(error, OSError):
            reason = _REASONS.get(error.errno or 0, "the output directory failed")
            raise FileNotWrittenError(f"{self._what} was not written: {reason}") from error


async def _chunks(executions: AsyncIterator[Execution]) -> AsyncGenerator[Sequence[Execution]]:
    some: list[Execution] = []
    async for execution in executions:
        some.append(execution)
        if len(some) >= _EXECUTIONS_AT_ONCE:
            yield some
            some = []
            # An iterator that never waits would keep the loop to itself.
            await asyncio.sleep(0)
    if some:
        yield some


class _Draft:
    """A file under its hidden name, until it is published or discarded. Every method blocks.

    Raises:
        OSError: by every method but `discard`.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._target = directory / name
        self._path = directory / f".{name}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
        self._file = self._path.open("xb", buffering=_BYTES_AT_ONCE)
        self._sum = hashlib.sha256()
        self._bytes = 0
        self._records = 0

    def append(self, text: bytes) -> None:
        self._file.write(text)
        self._sum.update(text)
        self._bytes += len(text)

    def append_rows(self, executions: Sequence[Execution], row: Callable[[Execution], bytes]) -> None:
        self.append(b"".join(map(row, executions)))
        self._records += len(executions)

    def publish(self) -> WrittenFile:
        """Flush the file to disk and give it its name.

        Raises:
            FileExistsError: another file with other bytes has the name.
        """
        self._file.flush()
        os.fchmod(self._file.fileno(), FILE_MODE)
        os.fsync(self._file.fileno())
        self._file.close()
        facts = WrittenFile(self._records, self._bytes, self._sum.hexdigest())
        ours = True
        try:
            os.link(self._path, self._target)
        except FileExistsError:
            if not self._is_already_there(facts):
                raise
            ours = False
        try:
            _flush_directory(self._directory)
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

    def _is_already_there(self, facts: WrittenFile) -> bool:
        with self._target.open("rb") as file:
            if os.fstat(file.fileno()).st_size != facts.byte_count:
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == facts.checksum


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prepare(directory: Path) -> None:
    if not directory.is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(DIRECTORY_MODE)  # mkdir's mode is cut by the umask
    long_ago = time.time() - _ABANDONED_AFTER_SECONDS
    for path in directory.glob(f".*{TEMPORARY_SUFFIX}"):
        with suppress(OSError):
            if path.stat().st_mtime < long_ago:
                path.unlink()


def _probe(directory: Path) -> None:
    path = directory / f".probe.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
    try:
        path.write_bytes(b"\n")
    finally:
        path.unlink(missing_ok=True)
