"""A file in a real directory: whole or not there, on disk, readable for the CLI's user."""

import asyncio
import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Self

import pytest
from tests.files.rows import NAME, ROW, executions, slowly

from globeco_allocation.adapters.local_files import LocalFiles
from globeco_allocation.domain import Execution, FileNotWrittenError, WrittenFile
from globeco_allocation.domain.transaction_file import HEADER

PATIENCE = 30.0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    return made


def everything(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def write(directory: Path, count: int = 3) -> WrittenFile:
    return await LocalFiles(directory).write(NAME, HEADER, executions(count), ROW)


class Watcher:
    """Looks at a file from another thread all the while, and notes each size that it ever has."""

    def __init__(self, path: Path) -> None:
        self.sizes: set[int] = set()
        self.looks = 0
        self._path = path
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._enough.is_set():
            self.looks += 1
            if self._path.exists():
                self.sizes.add(self._path.stat().st_size)
            time.sleep(0.0005)


async def test_a_reader_never_sees_half_a_file(directory: Path) -> None:
    with Watcher(directory / NAME) as watcher:
        written = await LocalFiles(directory).write(NAME, HEADER, slowly(20_000), ROW)
        await asyncio.sleep(0.05)

    assert watcher.looks > 20
    assert watcher.sizes == {written.byte_count}
    assert everything(directory) == [NAME]


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o000])
async def test_a_file_is_readable_for_its_group_whatever_the_umask(directory: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        await write(directory)
    finally:
        os.umask(before)

    assert stat.S_IMODE((directory / NAME).stat().st_mode) == 0o664


async def test_a_file_is_on_disk_before_it_has_its_name(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[tuple[bool, bool]] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        flushed.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), (directory / NAME).exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    await write(directory)

    assert flushed == [(False, False), (True, True)]


@pytest.mark.parametrize("failing", ["file", "directory"])
async def test_what_cannot_be_flushed_is_not_written(
    directory: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    fsync = os.fsync

    def broken(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) is (failing == "directory"):
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(FileNotWrittenError, match="the output directory failed"):
            await write(directory)
    assert everything(directory) == []

    assert (await write(directory)).record_count == 3


async def test_a_file_system_without_links_is_named_as_such(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "link", no_links)

    with pytest.raises(FileNotWrittenError, match="has no hard links"):
        await write(directory)
    assert everything(directory) == []


async def test_cancelling_leaves_nothing(directory: Path) -> None:
    reached = asyncio.Event()

    async def never_ending() -> AsyncGenerator[Execution]:
        async for one in executions(5000):
            yield one
        reached.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(LocalFiles(directory).write(NAME, HEADER, never_ending(), ROW))
    await asyncio.wait_for(reached.wait(), PATIENCE)
    assert len(everything(directory)) == 1  # the hidden one
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert everything(directory) == []


@pytest.mark.parametrize("after", [0.0, 0.001, 0.003, 0.01, 0.02])
async def test_cancelling_at_any_moment_leaves_the_whole_file_or_nothing(
    directory: Path, after: float
) -> None:
    writing = asyncio.create_task(LocalFiles(directory).write(NAME, HEADER, executions(3000), ROW))
    await asyncio.sleep(after)
    writing.cancel()
    await asyncio.wait([writing])
    left = everything(directory)

    assert left in ([], [NAME])
    if left:
        assert (directory / NAME).read_bytes().count(b"\n") == 3001


async def test_a_formatter_that_fails_leaves_nothing(directory: Path) -> None:
    def broken(_: Execution) -> bytes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await LocalFiles(directory).write(NAME, HEADER, executions(3), broken)

    assert everything(directory) == []


WRITES = """
import asyncio, resource, sys
from pathlib import Path
sys.path[:0] = [{root!r}]
from tests.files.rows import NAME, ROW, executions
from globeco_allocation.adapters.local_files import LocalFiles
from globeco_allocation.domain import FileNotWrittenError
from globeco_allocation.domain.transaction_file import HEADER

async def main():
    try:
        written = await LocalFiles(Path(sys.argv[1])).write(NAME, HEADER, executions({count}), ROW)
        print("written", written.record_count, end=" ")
    except FileNotWrittenError as error:
        print("refused:", error, end=" ")

{limit}
asyncio.run(main())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
ROOT = str(Path(__file__).parents[2])


def in_process(directory: Path, count: int, limit: str = "", prefix: tuple[str, ...] = ()) -> str:
    source = WRITES.format(root=ROOT, count=count, limit=limit)
    command = [*prefix, sys.executable, "-c", source, str(directory)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout


def test_many_rows_take_no_more_memory_than_few(directory: Path) -> None:
    few = in_process(directory, 1000).split()
    (directory / NAME).unlink()
    many = in_process(directory, 200_000).split()

    assert (few[:2], many[:2]) == (["written", "1000"], ["written", "200000"])
    assert int(many[2]) - int(few[2]) < 12, "MiB more"
    assert (directory / NAME).stat().st_size > 17_000_000


def test_where_there_is_no_room_nothing_is_left(directory: Path) -> None:
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    said = in_process(directory, 20_000, limit)

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
        await files.write(NAME, HEADER, executions(20_000), ROW)

    assert everything(small_disk) == []
    assert (await files.write(NAME, HEADER, executions(10), ROW)).record_count == 10


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
    said = in_process(directory, 3, prefix=powerless())
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
        await files.write(NAME, HEADER, executions(1), ROW)


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


async def test_the_event_loop_does_none_of_the_work(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers: set[str] = set()
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        workers.add(threading.current_thread().name)
        fsync(descriptor)

    def row(execution: Execution) -> bytes:
        workers.add(threading.current_thread().name)
        return ROW(execution)

    monkeypatch.setattr(os, "fsync", noting)
    await LocalFiles(directory).write(NAME, HEADER, executions(2500), row)

    assert workers
    assert threading.current_thread().name not in workers
