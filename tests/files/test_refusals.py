"""What the output directory refuses is said, and nothing is left behind."""

import os
import shutil
import stat
import subprocess
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.files.processes import in_process
from tests.files.rows import NAME, everything, write

from globeco_allocation.adapters.local_files import LocalFiles
from globeco_allocation.domain import FileNotWrittenError


def test_where_there_is_no_room_nothing_is_left(directory: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    said, _ = in_process(directory, "await write(files, 20_000)", before=limit)

    assert "refused" in said
    assert "larger than this process may write" in said
    assert everything(directory) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A file system of 64 KiB; only root can make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


async def test_a_full_disk_is_told_and_nothing_is_left(small_disk: Path) -> None:
    files = LocalFiles(small_disk)

    with pytest.raises(FileNotWrittenError, match="no space is left in the output directory"):
        await write(files, 20_000)

    assert everything(small_disk) == []
    assert (await write(files, 10)).record_count == 10


async def test_a_full_disk_is_told_before_a_file_is_begun(small_disk: Path) -> None:
    files = LocalFiles(small_disk)

    await files.check()
    fill(small_disk / "filler")
    with pytest.raises(FileNotWrittenError, match="no space is left"):
        await files.check()
    assert everything(small_disk) == ["filler"]


def fill(path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        path.write_bytes(b"x" * 100_000)


def powerless() -> tuple[str, ...]:
    """What takes root's power to write everywhere from a command."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root, and no setpriv")
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def test_a_directory_that_may_not_be_written_to_is_told(directory: Path) -> None:
    directory.chmod(0o555)
    said, _ = in_process(directory, "await write(files)", prefix=powerless())
    directory.chmod(0o755)

    assert "refused: the file" in said
    assert "may not be written to" in said
    assert everything(directory) == []


async def test_a_missing_directory_is_made_writable_for_its_group(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path / "a" / "b")
    with pytest.raises(FileNotWrittenError, match="directory is missing"):
        await files.check()
    before = os.umask(0o077)
    try:
        await files.prepare()
    finally:
        os.umask(before)

    await files.check()
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o2775
    assert everything(tmp_path / "a" / "b") == []


async def test_a_directory_that_cannot_be_made_stops_nobody(tmp_path: Path) -> None:
    in_the_way(tmp_path / "file")
    files = LocalFiles(tmp_path / "file" / "files")
    await files.prepare()

    with pytest.raises(FileNotWrittenError, match="not a directory"):
        await files.check()
    with pytest.raises(FileNotWrittenError, match="not a directory"):
        await write(files, 1)


def in_the_way(path: Path, age_seconds: float = 0) -> None:
    path.write_bytes(b"")
    then = time.time() - age_seconds
    os.utime(path, (then, then))


async def test_only_what_a_killed_writer_left_long_ago_is_cleared(directory: Path) -> None:
    in_the_way(directory / f".{NAME}.0011223344556677.tmp", age_seconds=2 * 24 * 3600)
    in_the_way(directory / f".{NAME}.8899aabbccddeeff.tmp", age_seconds=3600)
    in_the_way(directory / NAME, age_seconds=2 * 24 * 3600)
    await LocalFiles(directory).prepare()

    assert everything(directory) == [f".{NAME}.8899aabbccddeeff.tmp", NAME]
