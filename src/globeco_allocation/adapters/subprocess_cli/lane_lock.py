"""The lane's lock: one run at a time, across processes, and beyond the life of a run's parent."""

import asyncio
import errno
import fcntl
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from globeco_allocation.adapters.blocking import acquire, finish
from globeco_allocation.domain.errors import CliNotStartedError

_POLL_SECONDS = 0.1
_MODE = 0o664

_REASONS = {
    errno.ENOENT: "the output directory is missing",
    errno.ENOTDIR: "the output directory is not a directory",
    errno.EROFS: "the output directory is read-only",
    errno.EACCES: "the output directory may not be written to",
    errno.ENOSPC: "no space is left in the output directory",
}


class LaneLock:
    """A file that is locked for as long as a run goes on (contract: accounting CLI, "Never two at once").

    The lock belongs to the open file, not to a process: a child that inherits its descriptor holds it until
    it ends, however its parent ended (design, "Lanes").

    Args:
        path: The lock file; it is made when missing, and never removed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @asynccontextmanager
    async def held(self, timeout_seconds: float | None) -> AsyncGenerator[int]:
        """Wait for the lock, None for as long as it takes, and hold it; gives what a child has to inherit.

        Raises:
            CliNotStartedError: the lock was not free in time, or cannot be had at all.
        """
        descriptor = await self._take(timeout_seconds)
        try:
            yield descriptor
        finally:
            # Closed, never unlocked: an unlocking would take it from a child that runs on.
            await finish(os.close, descriptor)

    async def _take(self, timeout_seconds: float | None) -> int:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            try:
                descriptor = await acquire(partial(_try_lock, self._path), undo=_close_if_open)
            except OSError as error:
                reason = _REASONS.get(error.errno or 0, "its lock cannot be had in the output directory")
                raise CliNotStartedError(f"the accounting CLI was not started: {reason}") from error
            if descriptor is not None:
                return descriptor
            if timeout_seconds is not None and loop.time() - begun >= timeout_seconds:
                raise CliNotStartedError(
                    f"the accounting CLI was not started: another run went on for over {timeout_seconds:g} s"
                )
            await asyncio.sleep(_POLL_SECONDS)


def _try_lock(path: Path) -> int | None:
    """Open and lock the file; None when another one holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
    try:
        with suppress(PermissionError):  # it belongs to another user, who has done this
            os.fchmod(descriptor, _MODE)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)  # held by another, or somebody removed the file meanwhile: look again
    return None


def _close_if_open(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
