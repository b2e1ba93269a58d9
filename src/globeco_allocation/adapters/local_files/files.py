"""The output directory as the port ``TransactionFiles``."""

import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from globeco_allocation.adapters import log_events
from globeco_allocation.adapters.bare_name import check_bare
from globeco_allocation.adapters.blocking import acquire, finish
from globeco_allocation.adapters.local_files.draft import TEMPORARY_SUFFIX, Draft, hidden_path
from globeco_allocation.adapters.local_files.failures import Explained
from globeco_allocation.adapters.local_files.identity import (
    IDENTITY_FILE,
    UnusableIdentityError,
    identity_of,
)
from globeco_allocation.adapters.local_files.reading import IdReader, NotOursError, checksum_of
from globeco_allocation.adapters.log_events import facts
from globeco_allocation.domain.delivery import WrittenFile
from globeco_allocation.domain.errors import FileNotWrittenError
from globeco_allocation.domain.transaction_file import RenderedRows
from globeco_allocation.ports.output_directory import LAPSES_AFTER, DirectoryIdentity

DIRECTORY_MODE = 0o2775
"""Of a directory that we make: what is written in it belongs to its group."""

_ABANDONED_AFTER_SECONDS = 24 * 3600

_log = logging.getLogger(__name__)


class LocalFiles:
    """The port `globeco_allocation.ports.files.TransactionFiles` on a directory.

    Args:
        directory: The output directory; `prepare` makes it.
        identity: Knows which directory the replicas share; None where there is only one replica.
        replica: The name under which this one confirms the directory.
    """

    def __init__(
        self, directory: Path, identity: DirectoryIdentity | None = None, *, replica: str = ""
    ) -> None:
        self._directory = directory.absolute()
        self._identity = identity
        self._replica = replica

    async def prepare(self) -> None:
        """Make the directory if it is missing, and remove what killed writers left behind a day ago.

        Nothing is raised when that cannot be done: `check` tells.
        """
        try:
            await finish(_prepare, self._directory)
        except OSError as error:
            _log.warning(log_events.DIRECTORY_NOT_PREPARED, extra=facts(reason=error.strerror))

    async def check(self) -> None:
        """Make sure that a file can be written now, by writing one byte under a hidden name; see the port.

        Each call confirms the directory, which must be done more often than `LAPSES_AFTER` by a replica that
        goes on using it.
        """
        with Explained("a transaction file was not written"):
            await finish(_probe, self._directory)
        if self._identity is not None:
            await self._confirm(self._identity)

    @asynccontextmanager
    async def draft(self, name: str, header: bytes) -> AsyncGenerator["LocalDraft"]:
        """Begin a file; see the port."""
        check_bare(name)
        with _unwritten(name):
            draft = await acquire(partial(Draft, self._directory, name), undo=Draft.discard)
        try:
            with _unwritten(name):
                await finish(draft.append, header)
            yield LocalDraft(name, draft)
        finally:
            await finish(draft.discard)

    async def execution_ids(self, name: str) -> AsyncGenerator[int]:
        """Read the executions' ids, a few thousand at a time; see the port."""
        check_bare(name)
        try:
            with _unread(name):
                reader = await acquire(partial(IdReader, self._directory, name), undo=IdReader.close)
            try:
                while ids := await self._next_ids(name, reader):
                    for execution_id in ids:
                        yield execution_id
            finally:
                await finish(reader.close)
        except NotOursError as error:
            raise FileNotWrittenError(f"the file {name} could not be read: {error}") from error

    async def checksum(self, name: str) -> str | None:
        """Return the SHA-256 of a file; see the port."""
        check_bare(name)
        with _unread(name):
            return await finish(checksum_of, self._directory, name)

    async def remove(self, name: str) -> None:
        """Remove a delivered file; see the port. A file that cannot be removed is logged and stays."""
        check_bare(name)
        try:
            await finish((self._directory / name).unlink, missing_ok=True)
        except OSError as error:
            _log.warning(log_events.FILE_NOT_REMOVED, extra=facts(file_name=name, reason=error.strerror))

    async def _next_ids(self, name: str, reader: IdReader) -> list[int]:
        with _unread(name):
            return await finish(reader.next_ids)

    async def _confirm(self, known: DirectoryIdentity) -> None:
        what = "a transaction file was not written"
        try:
            with Explained(what):
                identity = await finish(identity_of, self._directory)
        except UnusableIdentityError as error:
            raise FileNotWrittenError(
                f"{what}: {IDENTITY_FILE} in the output directory holds no id: remove that file"
            ) from error
        shared = await known.confirm(identity, self._replica)
        if shared.identity != identity:
            raise FileNotWrittenError(
                f"{what}: OUTPUT_DIR is not the directory that the other replicas share (last seen by"
                f" {shared.confirmed_by or 'one of them'} at {shared.confirmed:%Y-%m-%d %H:%M:%S} UTC): mount"
                f" that one here. This one is used once no replica has seen the other for"
                f" {LAPSES_AFTER.seconds} seconds"
            )


class LocalDraft:
    """The port `globeco_allocation.ports.files.DraftFile` on a directory.

    Rows are written in a worker thread, so that a slow directory never holds up the event loop.
    """

    def __init__(self, name: str, draft: Draft) -> None:
        self._name = name
        self._draft = draft

    async def append(self, rows: RenderedRows) -> None:
        """Write more rows; see the port."""
        with _unwritten(self._name):
            await finish(self._draft.append_rows, rows)

    async def publish(self, ending: Callable[[WrittenFile], bytes] | None = None) -> WrittenFile:
        """Flush the file to disk, and then give it its name; see the port."""
        with _unwritten(self._name):
            return await finish(self._draft.publish, ending)


def _unwritten(name: str) -> Explained:
    return Explained(f"the file {name} was not written")


def _unread(name: str) -> Explained:
    return Explained(f"the file {name} could not be read", reading=True)


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
    path = hidden_path(directory, "probe")
    try:
        path.write_bytes(b"\n")
    finally:
        path.unlink(missing_ok=True)
