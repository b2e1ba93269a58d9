"""A file in a real directory is read again with care: whoever shares the directory may have touched it."""

import asyncio
import os
import threading
from pathlib import Path

import pytest
from tests.files.rows import NAME, write

from globeco_allocation.adapters.local_files import LocalFiles
from globeco_allocation.adapters.local_files.reading import IdReader
from globeco_allocation.domain import FileNotWrittenError

PATIENCE = 30.0


async def ids_in(directory: Path) -> list[int]:
    return [execution_id async for execution_id in LocalFiles(directory).execution_ids(NAME)]


async def test_a_line_that_was_cut_off_in_its_id_is_noticed(directory: Path) -> None:
    await write(LocalFiles(directory), 12)
    whole = (directory / NAME).read_bytes()
    (directory / NAME).write_bytes(whole[: whole.index(b"AC12") + 3])  # AC1

    with pytest.raises(FileNotWrittenError, match="none of ours"):
        await ids_in(directory)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"portfolio_id,security_id\n", b"source_id\n\xff\xfe\n", b'source_id\n"AC1\n', b"\0" * 64],
    ids=["empty", "blank", "no such column", "no text", "open quote", "zeros"],
)
async def test_what_is_no_transaction_file_is_noticed(directory: Path, content: bytes) -> None:
    (directory / NAME).write_bytes(content)

    with pytest.raises(FileNotWrittenError, match="none of ours"):
        await ids_in(directory)


@pytest.mark.parametrize("kind", ["link", "directory", "pipe"])
async def test_only_a_regular_file_is_read(directory: Path, kind: str) -> None:
    path, elsewhere = directory / NAME, directory / "elsewhere"
    elsewhere.write_bytes(b"source_id\nAC1\n")
    if kind == "link":
        path.symlink_to(elsewhere)
    elif kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)

    for use in (ids_in(directory), LocalFiles(directory).checksum(NAME)):
        with pytest.raises(FileNotWrittenError, match="could not be read"):
            await asyncio.wait_for(use, PATIENCE)


async def test_the_event_loop_reads_nothing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers: set[str] = set()
    read = IdReader.next_ids

    def noting(reader: IdReader) -> list[int]:
        workers.add(threading.current_thread().name)
        return read(reader)

    monkeypatch.setattr(IdReader, "next_ids", noting)
    await write(LocalFiles(directory), 100)

    assert len(await ids_in(directory)) == 100
    assert workers
    assert threading.current_thread().name not in workers
