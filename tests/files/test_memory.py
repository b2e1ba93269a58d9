"""A file of any length, and as many as there are lanes, take little memory."""

from pathlib import Path

from tests.files.processes import in_process
from tests.files.rows import NAME

WRITE = "print((await write(files, {count})).record_count)"
READ = """
count = 0
async for _ in files.execution_ids(NAME):
    count += 1
print(count)
"""
SIDE_BY_SIDE = """
few = rows(100)
async with AsyncExitStack() as stack:
    names = [str(lane) + ".csv" for lane in range({count})]
    drafts = [await stack.enter_async_context(files.draft(name, HEADER)) for name in names]
    for _ in range(1600 // {count}):
        for draft in drafts:
            await draft.append(few)
"""


def test_writing_many_rows_takes_no_more_than_writing_few(directory: Path) -> None:
    few, least = in_process(directory, WRITE.format(count=1000))
    (directory / NAME).unlink()
    many, most = in_process(directory, WRITE.format(count=200_000))

    assert (few, many) == ("1000", "200000")
    assert most - least < 6, "MiB more"
    assert (directory / NAME).stat().st_size > 17_000_000


def test_reading_many_ids_takes_no_more_than_reading_few(directory: Path) -> None:
    in_process(directory, WRITE.format(count=1000))
    few, least = in_process(directory, READ)
    (directory / NAME).unlink()
    in_process(directory, WRITE.format(count=200_000))
    many, most = in_process(directory, READ)

    assert (few, many) == ("1000", "200000")
    assert most - least < 6, "MiB more"


def test_many_open_files_take_hardly_more_than_one(directory: Path) -> None:
    _, least = in_process(directory, SIDE_BY_SIDE.format(count=1))
    _, most = in_process(directory, SIDE_BY_SIDE.format(count=32))

    assert most - least < 6, "MiB more"
