"""A file in a real directory: whole or not there, on disk, readable for the CLI's user."""

import asyncio
import errno
import os
import resource
import stat
import threading
import time
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Self

import pytest
from tests.files.rows import NAME, everything, rows, some_at_a_time, write

from globeco_allocation.adapters.local_files import LocalFiles
from globeco_allocation.adapters.local_files.draft import Draft
from globeco_allocation.domain import FileNotWrittenError, RenderedRows
from globeco_allocation.domain.lane import MOST_LANES
from globeco_allocation.domain.transaction_file import HEADER

PATIENCE = 30.0


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
    files = LocalFiles(directory)
    with Watcher(directory / NAME) as watcher:
        async with files.draft(NAME, HEADER) as draft:
            for some in some_at_a_time(40_000):
                await draft.append(some)
                await asyncio.sleep(0.002)  # as a database that takes its time
            written = await draft.publish()
        await asyncio.sleep(0.05)

    assert watcher.looks > 20
    assert watcher.sizes == {written.byte_count}
    assert everything(directory) == [NAME]


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o000])
async def test_a_file_is_readable_for_its_group_whatever_the_umask(directory: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        await write(LocalFiles(directory))
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
    await write(LocalFiles(directory))

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
            await write(LocalFiles(directory))
    assert everything(directory) == []

    assert (await write(LocalFiles(directory))).record_count == 3


async def test_a_file_system_without_links_is_named_as_such(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "link", no_links)

    with pytest.raises(FileNotWrittenError, match="has no hard links"):
        await write(LocalFiles(directory))
    assert everything(directory) == []


async def test_cancelling_leaves_nothing(directory: Path) -> None:
    reached = asyncio.Event()

    async def never_ending() -> None:
        async with LocalFiles(directory).draft(NAME, HEADER) as draft:
            await draft.append(rows(5000))
            reached.set()
            await asyncio.Event().wait()

    writing = asyncio.create_task(never_ending())
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
    writing = asyncio.create_task(write(LocalFiles(directory), 3000))
    await asyncio.sleep(after)
    writing.cancel()
    await asyncio.wait([writing])
    left = everything(directory)

    assert left in ([], [NAME])
    if left:
        assert (directory / NAME).read_bytes().count(b"\n") == 3001


@contextmanager
def room_for(size: int) -> Generator[None]:
    """Let no file grow beyond this size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_file_of_which_rows_are_missing_is_never_published(directory: Path) -> None:
    async with LocalFiles(directory).draft(NAME, HEADER) as draft:
        with room_for(1_000_000), pytest.raises(FileNotWrittenError, match="larger than"):
            await draft.append(rows(20_000))
        await draft.append(rows(1, first=20_001))
        with pytest.raises(FileNotWrittenError, match="the output directory failed"):
            await draft.publish()

    assert everything(directory) == []


async def test_the_event_loop_does_none_of_the_work(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers: set[str] = set()
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        workers.add(threading.current_thread().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    append = Draft.append_rows

    def appending(draft: Draft, some: RenderedRows) -> None:
        workers.add(threading.current_thread().name)
        append(draft, some)

    monkeypatch.setattr(Draft, "append_rows", appending)
    await write(LocalFiles(directory), 2500)

    assert workers
    assert threading.current_thread().name not in workers


async def test_as_many_files_as_there_are_lanes_are_written_side_by_side(directory: Path) -> None:
    files, names = LocalFiles(directory), [f"lane-{lane}.csv" for lane in range(MOST_LANES)]
    async with AsyncExitStack() as stack:
        drafts = [await stack.enter_async_context(files.draft(name, HEADER)) for name in names]
        for _ in range(3):
            for lane, draft in enumerate(drafts):
                await draft.append(rows(10, first=1 + lane * 10))
        before = [name for name in everything(directory) if not name.startswith(".")]
        written = [await draft.publish() for draft in drafts]

    assert before == []
    assert everything(directory) == sorted(names)
    assert [(one.first_id, one.record_count) for one in written] == [
        (1 + lane * 10, 30) for lane in range(MOST_LANES)
    ]
