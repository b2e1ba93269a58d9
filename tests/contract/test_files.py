"""What the port ``TransactionFiles`` promises, of the twin in memory and of a local directory."""

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from globeco_allocation.adapters.local_files import LocalFiles
from globeco_allocation.adapters.memory.files import MemoryFiles
from globeco_allocation.domain import Execution, FileNotWrittenError, FileQuantity
from globeco_allocation.domain.transaction_file import HEADER, row_formatter
from globeco_allocation.ports.files import TransactionFiles

NAME = "transactions_20260302_160000_7.csv"
ROW = row_formatter(FileQuantity.ORDERED)


class Place(ABC):
    """A directory's other side: what stands in it, and whether it can be written to."""

    files: TransactionFiles

    @abstractmethod
    def content(self, name: str) -> bytes | None: ...

    @abstractmethod
    def names(self) -> list[str]: ...

    @abstractmethod
    def goes_away(self) -> None: ...


class InMemory(Place):
    def __init__(self) -> None:
        self.files = self.twin = MemoryFiles()

    def content(self, name: str) -> bytes | None:
        return self.twin.contents.get(name)

    def names(self) -> list[str]:
        return sorted(self.twin.contents)

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

    def goes_away(self) -> None:
        self.directory.rename(self.directory.with_name("elsewhere"))


@pytest.fixture(params=["memory", "directory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "memory":
        return InMemory()
    directory = tmp_path / "files"
    directory.mkdir()
    return OnDisk(directory)


def execution(number: int, price: str = "50.125") -> Execution:
    noon = datetime(2026, 3, 2, 17, tzinfo=UTC)
    return Execution(
        id=number,
        execution_service_id=number,
        execution_status="FULL",
        trade_type="BUY",
        destination="ML",
        security_id="68336002fe95851f0a2aeda9",
        ticker="IBM",
        quantity=Decimal(100),
        average_price=Decimal(price),
        received_timestamp=noon,
        sent_timestamp=noon,
        trade_date=date(2026, 3, 2),
        portfolio_id="683b6b9620f302c879a5fef4",
        ready_to_send_timestamp=noon,
    )


async def stream(*executions: Execution) -> AsyncIterator[Execution]:
    for one in executions:
        yield one


async def test_a_file_holds_the_header_and_one_row_per_execution(place: Place) -> None:
    written = await place.files.write(NAME, HEADER, stream(execution(1), execution(2)), ROW)

    expected = HEADER + ROW(execution(1)) + ROW(execution(2))
    assert place.content(NAME) == expected
    assert place.names() == [NAME]
    assert (written.record_count, written.byte_count) == (2, len(expected))
    assert written.checksum == hashlib.sha256(expected).hexdigest()


async def test_a_file_without_executions_is_its_header(place: Place) -> None:
    written = await place.files.write(NAME, HEADER, stream(), ROW)

    assert place.content(NAME) == HEADER
    assert written.record_count == 0


async def test_writing_the_same_file_again_changes_nothing(place: Place) -> None:
    first = await place.files.write(NAME, HEADER, stream(execution(1)), ROW)
    second = await place.files.write(NAME, HEADER, stream(execution(1)), ROW)

    assert second == first
    assert place.names() == [NAME]


async def test_a_file_with_other_bytes_is_never_replaced(place: Place) -> None:
    await place.files.write(NAME, HEADER, stream(execution(1)), ROW)
    before = place.content(NAME)

    with pytest.raises(FileNotWrittenError, match="other content"):
        await place.files.write(NAME, HEADER, stream(execution(1, price="50.126")), ROW)

    assert place.content(NAME) == before
    assert place.names() == [NAME]


async def test_of_two_writers_with_other_bytes_one_wins_whole(place: Place) -> None:
    some = [execution(number) for number in range(1, 2001)]
    others = [execution(number, price="1") for number in range(1, 2001)]
    results = await asyncio.gather(
        place.files.write(NAME, HEADER, stream(*some), ROW),
        place.files.write(NAME, HEADER, stream(*others), ROW),
        return_exceptions=True,
    )

    assert sorted(type(result).__name__ for result in results) == ["FileNotWrittenError", "WrittenFile"]
    winner = some if not isinstance(results[0], BaseException) else others
    assert place.content(NAME) == HEADER + b"".join(map(ROW, winner))
    assert place.names() == [NAME]


async def test_writers_of_the_same_bytes_all_succeed(place: Place) -> None:
    some = [execution(number) for number in range(1, 1501)]
    results = await asyncio.gather(*(place.files.write(NAME, HEADER, stream(*some), ROW) for _ in range(5)))

    assert len(set(results)) == 1
    assert place.names() == [NAME]


async def test_a_directory_that_is_away_is_said_without_a_path(place: Place) -> None:
    place.goes_away()

    with pytest.raises(FileNotWrittenError, match="output directory is missing") as caught:
        await place.files.write(NAME, HEADER, stream(execution(1)), ROW)

    assert place.content(NAME) is None
    assert "/" not in str(caught.value)


async def test_a_broken_source_of_executions_leaves_nothing(place: Place) -> None:
    async def breaking() -> AsyncIterator[Execution]:
        yield execution(1)
        raise OSError("connection reset")  # not the file's: to be passed on as it is

    with pytest.raises(OSError, match="connection reset"):
        await place.files.write(NAME, HEADER, breaking(), ROW)

    assert place.names() == []


async def test_a_removed_file_is_gone_and_may_be_removed_again(place: Place) -> None:
    await place.files.write(NAME, HEADER, stream(execution(1)), ROW)
    await place.files.remove(NAME)
    await place.files.remove(NAME)

    assert place.names() == []


@pytest.mark.parametrize("name", ["", "../a.csv", "a/b.csv", "/a.csv", ".hidden.csv", "-a.csv", "a\n.csv"])
async def test_only_a_bare_name_is_taken(place: Place, name: str) -> None:
    with pytest.raises(ValueError, match="not a bare file name"):
        await place.files.write(name, HEADER, stream(execution(1)), ROW)
    with pytest.raises(ValueError, match="not a bare file name"):
        await place.files.remove(name)

    assert place.names() == []
