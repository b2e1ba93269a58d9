"""The locks of a lane: held by its run, across processes, and beyond the life of the run's parent.

Each belongs to an open file, not to a process: a child that inherits the descriptor holds it until it ends,
however its parent ended (design, "Lanes").
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from globeco_allocation.adapters.output_files.directory import FILE_MODE

COMMON_NAME = ".lanes.lock"
"""Held shared by every run; holds the number of lanes that are in force."""

_LONGEST_COUNT = 16


def lane_lock_name(lane: int) -> str:
    """Return the name of the file that the lane's only run holds locked."""
    return f".lane-{lane}.lock"


class HeldLane:
    """The locks of one lane, as descriptors that a run inherits.

    Closing never unlocks: what a run has inherited, it holds on.
    """

    def __init__(self, descriptors: tuple[int, ...]) -> None:
        self._descriptors = descriptors

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a run has to inherit."""
        return self._descriptors

    def close(self) -> None:
        """Be done with them; more than once is no harm."""
        descriptors, self._descriptors = self._descriptors, ()
        for descriptor in descriptors:
            os.close(descriptor)


def try_lane(directory: Path, lane: int, lane_count: int) -> HeldLane | None:
    """Take the locks of a lane.

    A lane count that is not in force is brought into force first, once every run has ended.

    Returns:
        None when a run holds one of them. Nothing is held then, so that nobody waits for whoever waits.

    Raises:
        OSError: the locks cannot be had here.
    """
    common = _try_common(directory / COMMON_NAME, lane_count)
    if common is None:
        return None
    try:
        lane_lock = _try_lock(directory / lane_lock_name(lane), fcntl.LOCK_EX)
    except BaseException:
        os.close(common)
        raise
    if lane_lock is None:
        os.close(common)
        return None
    return HeldLane((common, lane_lock))


def locks_work(directory: Path) -> bool:
    """Tell whether a lock keeps a second descriptor out; some network mounts let everybody in.

    Raises:
        OSError: no file can be locked here.
    """
    path = directory / f".probe.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    try:
        first = _try_lock(path, fcntl.LOCK_EX)
        try:
            second = _try_lock(path, fcntl.LOCK_EX)
            if second is not None:
                os.close(second)
        finally:
            if first is not None:
                os.close(first)
        return first is not None and second is None
    finally:
        path.unlink(missing_ok=True)


def _try_common(path: Path, lane_count: int) -> int | None:
    descriptor = _try_lock(path, fcntl.LOCK_SH)
    if descriptor is None:
        return None
    content = str(lane_count).encode()
    try:
        if os.pread(descriptor, _LONGEST_COUNT, 0) == content:
            return descriptor
        # The change to exclusive, and the one back, may let another one in between.
        if _lock(descriptor, fcntl.LOCK_EX):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, content, 0)
            os.fsync(descriptor)
            if (
                _lock(descriptor, fcntl.LOCK_SH)
                and os.pread(descriptor, _LONGEST_COUNT, 0) == content
                and _stands(descriptor, path)
            ):
                return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _try_lock(path: Path, kind: int) -> int | None:
    """Open and lock a file, made when missing; None when another one holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        with suppress(PermissionError):  # it belongs to another user, who has done this
            os.fchmod(descriptor, FILE_MODE)
        # Somebody may have removed the file meanwhile: then this is not the lock that others see.
        if _lock(descriptor, kind) and _stands(descriptor, path):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stands(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def lanes_in_use(directory: Path) -> list[str]:
    """Return the names of the lane locks that somebody holds: his run goes on.

    Raises:
        OSError: the directory cannot be read.
    """
    held: list[str] = []
    for path in sorted(directory.glob(lane_lock_name(0).replace("0", "*"))):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if not _lock(descriptor, fcntl.LOCK_SH):
                held.append(path.name)
        finally:
            os.close(descriptor)
    return held
