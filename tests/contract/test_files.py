"""What the port ``TransactionFiles`` promises, of the twin in memory and of a local directory."""

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.files.rows import NAME, ROW, executions, rows

from globeco_allocation.adapters.local_files import LocalFiles
from globeco_allocation.adapters.memory.files import MemoryFiles
from globeco_allocation.domain import Execution, FileNotWrittenError, WrittenFile, render
from globeco_allocation.domain.transaction_file import HEADER


class Place(ABC):
    """A directory's other side: what stands in it, and whether it can be written to."""

    files: LocalFiles | MemoryFiles

    @abstractmethod
    def content(self, name: str) -> bytes | None: ...

    @abstractmethod
    def names(self) -> list[str]: ...

    @abstractmethod
    def overwrite(self, name: str, content: bytes) -> None: ...

    @abstractmethod
    def goes_away(self) -> None: ...


class InMemory(Place):
    def __init__(self) -> None:
        self.files = self.twin = MemoryFiles()

    def content(self, name: str) -> bytes | None:
        return self.twin.contents.get(name)

    def names(self) -> list[str]:
        return sorted(self.twin.contents)

    def overwrite(self, name: str, content: bytes) -> None:
        self.twin.contents[name] = content

    def goes_away(self) -> None:
        self.twin.failure = "the output directory is missing"


class OnDisk(Place):
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.files = LocalFiles(directory)

    def content(self, name: str) -> bytes | None:
        path = self.directory / name
        return path.read_bytes() if path.exists() else None

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())

    def overwrite(self, name: str, content: bytes) -> None:
        (self.directory / name).write_bytes(content)

    def goes_away(self) -> None:
        self.directory.rename(self.directory.with_name("elsewhere"))


@pytest.fixture(params=["memory", "directory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "memory":
        return InMemory()
    directory = tmp_path / "files"
    directory.mkdir()
    return OnDisk(directory)


async def write(place: Place, some: Sequence[Execution]) -> WrittenFile:
    async with place.files.draft(NAME, HEADER) as draft:
        await draft.append(render(some, ROW))
        return await draft.publish()


async def ids_in(place: Place, name: str = NAME) -> list[int]:
    return [execution_id async for execution_id in place.files.execution_ids(name)]


async def test_a_file_holds_the_header_and_one_row_per_execution(place: Place) -> None:
    written = await write(place, executions(2, first=7))

    expected = HEADER + b"".join(map(ROW, executions(2, first=7)))
    assert place.content(NAME) == expected
    assert place.names() == [NAME]
    assert (written.record_count, written.byte_count) == (2, len(expected))
    assert (written.first_id, written.last_id) == (7, 8)
    assert written.checksum == hashlib.sha256(expected).hexdigest()


async def test_a_file_grows_by_as_many_executions_as_come(place: Place) -> None:
    async with place.files.draft(NAME, HEADER) as draft:
        for first, count in [(1, 1), (2, 3000), (3002, 999)]:
            await draft.append(rows(count, first))
        written = await draft.publish()

    assert place.content(NAME) == HEADER + b"".join(map(ROW, executions(4000)))
    assert (written.record_count, written.first_id, written.last_id) == (4000, 1, 4000)


async def test_nobody_sees_a_file_before_it_is_published(place: Place) -> None:
    async with place.files.draft(NAME, HEADER) as draft:
        await draft.append(rows(3))
        before = place.content(NAME)
        await draft.publish()

    assert before is None
    assert place.content(NAME) is not None


async def test_what_is_not_published_is_gone(place: Place) -> None:
    async with place.files.draft(NAME, HEADER) as draft:
        await draft.append(rows(3))

    assert place.names() == []


async def test_a_writers_own_error_passes_through_and_leaves_nothing(place: Place) -> None:
    async def read_from_a_broken_database() -> None:
        async with place.files.draft(NAME, HEADER) as draft:
            await draft.append(rows(3))
            raise OSError("connection reset")  # not the file's: to be passed on as it is

    with pytest.raises(OSError, match="connection reset"):
        await read_from_a_broken_database()

    assert place.names() == []


async def test_several_files_are_written_side_by_side(place: Place) -> None:
    async with (
        place.files.draft("a.csv", HEADER) as left,
        place.files.draft("b.csv", HEADER) as right,
    ):
        for number in range(1, 9, 2):
            await left.append(rows(1, number))
            await right.append(rows(1, number + 1))
        await right.publish()
        await left.publish()

    assert await ids_in(place, "a.csv") == [1, 3, 5, 7]
    assert await ids_in(place, "b.csv") == [2, 4, 6, 8]


async def test_writing_the_same_file_again_changes_nothing(place: Place) -> None:
    first = await write(place, executions(1))
    second = await write(place, executions(1))

    assert second == first
    assert place.names() == [NAME]


async def test_a_file_with_other_bytes_is_never_replaced(place: Place) -> None:
    await write(place, executions(1))
    before = place.content(NAME)

    with pytest.raises(FileNotWrittenError, match="other content"):
        await write(place, executions(1, price="50.126"))

    assert place.content(NAME) == before
    assert place.names() == [NAME]


async def test_of_two_writers_with_other_bytes_one_wins_whole(place: Place) -> None:
    some, others = executions(2000), executions(2000, price="1")
    results = await asyncio.gather(write(place, some), write(place, others), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["FileNotWrittenError", "WrittenFile"]
    winner = some if not isinstance(results[0], BaseException) else others
    assert place.content(NAME) == HEADER + b"".join(map(ROW, winner))
    assert place.names() == [NAME]


async def test_writers_of_the_same_bytes_all_succeed(place: Place) -> None:
    some = executions(1500)
    results = await asyncio.gather(*(write(place, some) for _ in range(5)))

    assert len(set(results)) == 1
    assert place.names() == [NAME]


async def test_a_directory_that_is_away_is_said_without_a_path(place: Place) -> None:
    await write(place, executions(1))
    place.goes_away()

    for use in (
        place.files.check(),
        write(place, executions(1)),
        ids_in(place),
        place.files.checksum(NAME),
    ):
        with pytest.raises(FileNotWrittenError, match="output directory is missing") as caught:
            await use
        assert "/" not in str(caught.value)


async def test_a_file_tells_its_checksum(place: Place) -> None:
    file = await write(place, executions(3))

    assert await place.files.checksum(NAME) == file.checksum
    assert await place.files.checksum("another.csv") is None
    place.overwrite(NAME, (place.content(NAME) or b"").replace(b"BUY", b"BUx"))
    assert await place.files.checksum(NAME) != file.checksum


async def test_a_file_tells_its_executions_in_their_order(place: Place) -> None:
    some = executions(9000, first=2**31 - 9000)
    await write(place, some)

    assert await ids_in(place) == [one.id for one in some]


async def test_ids_are_found_among_fields_that_need_quotes(place: Place) -> None:
    odd = [replace(one, portfolio_id='a "b",\nc') for one in executions(3)]
    await write(place, odd)

    assert await ids_in(place) == [1, 2, 3]


async def test_no_ids_are_told_of_a_file_that_is_away(place: Place) -> None:
    with pytest.raises(FileNotWrittenError, match="it is gone"):
        await ids_in(place)


async def test_no_ids_are_told_of_what_we_did_not_write(place: Place) -> None:
    await write(place, executions(3))
    content = place.content(NAME) or b""
    place.overwrite(NAME, content.replace(b"AC2", b"XY2"))
    told: list[int] = []

    with pytest.raises(FileNotWrittenError, match="none of ours"):
        told.extend(await ids_in(place))
    assert told == []


async def test_reading_ids_may_end_early(place: Place) -> None:
    await write(place, executions(9000))
    async with aclosing(place.files.execution_ids(NAME)) as ids:
        first = await anext(ids)

    assert first == 1
    assert len(await ids_in(place)) == 9000


async def test_a_removed_file_is_gone_and_may_be_removed_again(place: Place) -> None:
    await write(place, executions(1))
    await place.files.remove(NAME)
    await place.files.remove(NAME)

    assert place.names() == []


@pytest.mark.parametrize("name", ["", "../a.csv", "a/b.csv", "/a.csv", ".hidden.csv", "-a.csv", "a\n.csv"])
async def test_only_a_bare_name_is_taken(place: Place, name: str) -> None:
    async def begin() -> None:
        async with place.files.draft(name, HEADER):
            pass

    for use in (
        begin(),
        ids_in(place, name),
        place.files.checksum(name),
        place.files.remove(name),
    ):
        with pytest.raises(ValueError, match="not a bare file name"):
            await use

    assert place.names() == []
