"""The error file is read as a bounded stream, and whatever cannot be read of it is unknown."""

import asyncio
import csv
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from globeco_allocation.adapters.output_files.error_file import (
    LONGEST_ROW,
    MOST_COMMAS,
    allow_long_fields,
    error_rows,
)
from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow, PrintedCounts
from globeco_allocation.domain.delivery import DeliveryStatus, Knowledge
from globeco_allocation.domain.judging.earlier import EarlierAttempts
from globeco_allocation.domain.judging.judge import Judge

COLUMNS = (
    "portfolio_id,security_id,source_id,transaction_type,quantity,price,transaction_date,error_message\n"
)
UNREADABLE = ErrorRow("", "")


@pytest.fixture(autouse=True)
def long_fields() -> None:
    allow_long_fields()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.csv.errors.csv"


def write(path: Path, content: str | bytes) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def row(source_id: str, message: str) -> str:
    quoted = '"' + message.replace('"', '""') + '"'
    return f"p,s,{source_id},BUY,100.00000000,50.12500000,20260302,{quoted}\n"


async def read(path: Path) -> list[ErrorRow]:
    return [one async for one in error_rows(path)]


async def test_rows_come_in_order_with_their_messages_whole(path: Path) -> None:
    write(path, COLUMNS + row("AC1", 'two\nlines, "quoted"') + row("AC2", "plain"))

    assert await read(path) == [ErrorRow("AC1", 'two\nlines, "quoted"'), ErrorRow("AC2", "plain")]


async def test_columns_are_found_by_name(path: Path) -> None:
    write(path, "error_message,source_id\nrefused,AC1\n")

    assert await read(path) == [ErrorRow("AC1", "refused")]


async def test_no_file_has_no_rows(path: Path) -> None:
    assert await read(path) == []


async def test_a_header_alone_has_no_rows(path: Path) -> None:
    write(path, COLUMNS)

    assert await read(path) == []


async def test_a_row_with_too_few_fields_is_unknown_and_the_next_one_is_read(path: Path) -> None:
    write(path, COLUMNS + "p,s,AC1,BUY\n" + "p\n" + row("AC2", "plain"))

    assert await read(path) == [ErrorRow("AC1", ""), UNREADABLE, ErrorRow("AC2", "plain")]


async def test_undecodable_bytes_spoil_their_own_row_only(path: Path) -> None:
    write(path, COLUMNS.encode() + b"p,s,AC\xff1,BUY,1,1,20260302,b\xffd\n" + row("AC2", "x").encode())

    assert await read(path) == [ErrorRow("AC\ufffd1", "b\ufffdd"), ErrorRow("AC2", "x")]


@pytest.mark.parametrize(
    "rest",
    [
        row("AC2", "cut off")[:-9],
        row("AC2", "cut off")[:-1],
        'p,s,AC2,BUY,1,1,20260302,"quo"te"\n',
        row("AC2", "x" * LONGEST_ROW),
        "x" * (LONGEST_ROW + 1),
        row("AC2", "many lines\n" * (LONGEST_ROW // 10)),
        '"a\n",' * (LONGEST_ROW // 4),
        "," * (MOST_COMMAS + 1) + "\n",
    ],
    ids=[
        "in quotes",
        "after quotes",
        "stray quote",
        "long row",
        "long line",
        "many lines",
        "many fields",
        "commas",
    ],
)
async def test_where_the_rest_cannot_be_read_one_unknown_row_stands_for_it(path: Path, rest: str) -> None:
    write(path, COLUMNS + row("AC1", "plain") + rest)

    assert await read(path) == [ErrorRow("AC1", "plain"), UNREADABLE]


@pytest.mark.parametrize("content", ["", "some,other,columns\na,b,c\n", COLUMNS[:-9]])
async def test_a_file_without_the_columns_is_unknown(path: Path, content: str) -> None:
    write(path, content)

    assert await read(path) == [UNREADABLE]


async def test_a_file_that_cannot_be_opened_is_unknown(tmp_path: Path) -> None:
    assert await read(tmp_path) == [UNREADABLE]


def make_link(path: Path) -> None:
    other = path.with_name("another")
    write(other, COLUMNS + row("AC1", "plain"))
    path.symlink_to(other)


def make_dangling_link(path: Path) -> None:
    path.symlink_to("absent")


@pytest.mark.parametrize("make", [os.mkfifo, make_link, make_dangling_link, os.mkdir])
async def test_what_is_no_regular_file_is_unknown_and_never_waited_for(
    path: Path, make: Callable[[Path], None]
) -> None:
    make(path)
    reading = asyncio.ensure_future(read(path))
    done, _ = await asyncio.wait({reading}, timeout=10)
    if not done:  # lets the thread that waits for a writer go
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))

    assert done
    assert await reading == [UNREADABLE]


@pytest.mark.parametrize(
    "content",
    [
        COLUMNS + row("AC1", "\N{GRINNING FACE}" * (LONGEST_ROW - 200)) * 3,
        COLUMNS + row("x" * (LONGEST_ROW - 200), "short") * 60,
        COLUMNS + row("\N{GRINNING FACE}" * (LONGEST_ROW - 200), "short") * 3,
        "source_id,error_message," + ("\u0100," * (LONGEST_ROW // 2 - 20) + "\n") * 3,
    ],
    ids=["long messages", "long source ids", "wide source ids", "many fields"],
)
async def test_a_hostile_file_takes_little_memory(path: Path, content: str) -> None:
    write(path, content)
    tracemalloc.start()
    try:
        async for _ in error_rows(path):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 32 * 1024 * 1024


async def test_an_unreadable_row_makes_the_whole_delivery_unknown_never_refused(path: Path) -> None:
    # Cut in the middle of "HTTP 207": what is left of it would read like words of the CLI.
    write(path, COLUMNS + "p,s,AC1,BUY,1,1,20260302,HTT")
    run = AccountingRun(0, PrintedCounts(total=2, succeeded=1, failed=1))
    judge = Judge(1, EarlierAttempts(Knowledge()))
    for execution_id in (1, 2):
        judge.expect(execution_id)
    for one in await read(path):
        judge.see(one)
    list(judge.conclude(run))
    outcome = judge.judgement(run).outcome

    assert (outcome.status, outcome.unknown_count) == (DeliveryStatus.FAILED, 1)


async def test_large_rows_are_read_in_little_memory(path: Path) -> None:
    message = "HTTP 207: " + "x" * 340_000
    with path.open("w") as file:
        file.write(COLUMNS)
        for number in range(200):  # 68 MB
            file.write(row(f"AC{number}", message))
    tracemalloc.start()
    try:
        number = 0
        async for one in error_rows(path):
            assert one.source_id == f"AC{number}"
            number += 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert number == 200
    assert peak < 16 * 1024 * 1024


async def test_the_error_files_of_many_lanes_are_read_at_once_in_little_memory(path: Path) -> None:
    write(path, COLUMNS + "".join(row(f"AC{number}", "x" * 1700) for number in range(2000)))

    async def rows() -> int:
        return sum([1 async for _ in error_rows(path)])

    tracemalloc.start()
    try:
        counts = await asyncio.gather(*(rows() for _ in range(8)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert counts == [2000] * 8
    assert peak < 8 * 1024 * 1024


async def test_a_reader_may_stop_early(path: Path) -> None:
    write(path, COLUMNS + "".join(row(f"AC{number}", "x") for number in range(5000)))
    rows = error_rows(path)
    first = await anext(rows)
    await rows.aclose()

    assert first == ErrorRow("AC0", "x")


def test_the_processs_limit_for_fields_is_never_lowered() -> None:
    before = csv.field_size_limit(2 * LONGEST_ROW)
    try:
        allow_long_fields()
        assert csv.field_size_limit() == 2 * LONGEST_ROW
    finally:
        csv.field_size_limit(before)
