"""An output directory on a small file system of its own, where this user may mount one."""

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True, timeout=20)


class SmallDisk:
    """A file system in memory, mounted on *place*; made by `small_disk`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._ballast = place / ".ballast"

    def leave_free(self, count: int) -> None:
        """Fill it up but for so many bytes."""
        self.empty()
        free = os.statvfs(self.place).f_bavail * os.statvfs(self.place).f_frsize
        self._ballast.write_bytes(b"\0" * max(free - count, 0))

    def empty(self) -> None:
        """Give the space back."""
        self._ballast.unlink(missing_ok=True)

    def make_read_only(self) -> None:
        """Let nobody write, root included."""
        _mount("-o", "remount,ro", str(self.place))

    def make_writable(self) -> None:
        """Let everybody write again."""
        _mount("-o", "remount,rw", str(self.place))


@contextmanager
def small_disk(place: Path, size: str = "2m") -> Generator[SmallDisk]:
    """Mount a small file system; the test is skipped where that is not allowed."""
    place.mkdir()
    try:
        _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system may be mounted here ({type(error).__name__}): needs root")
    try:
        yield SmallDisk(place)
    finally:
        # Lazily: what still runs there is killed by the stage.
        subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True, timeout=20)
