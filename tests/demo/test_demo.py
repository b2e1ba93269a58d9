"""The demonstration is one real run of the main job, with everything as real processes."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

RECORDS = 306


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "globeco_allocation", "demo", "--output", str(folder)]
    # Whatever the environment says of a database or a port, the demonstration has its own.
    environment = {**os.environ, "DB_HOST": "nowhere.invalid", "PORT": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment, check=False)


def test_it_ends_well_and_says_where_the_file_lies(
    demo: "subprocess.CompletedProcess[str]", folder: Path
) -> None:
    assert demo.returncode == 0, demo.stdout + demo.stderr
    (output,) = folder.iterdir()
    assert str(output) in demo.stdout


def test_it_prints_what_came_of_every_record(demo: "subprocess.CompletedProcess[str]") -> None:
    lines = demo.stdout.splitlines()
    first = lines.index(f"What came of each of the {RECORDS} records:") + 1
    fates = [line.split() for line in lines[first : first + RECORDS]]

    assert sum("booked" in words for words in fates) == 279
    assert sum("skipped" in words for words in fates) == 15
    assert sum("error" in words for words in fates) == 10
    assert sum("refused" in words for words in fates) == 2


def test_the_file_holds_each_created_execution_once(
    demo: "subprocess.CompletedProcess[str]", folder: Path
) -> None:
    (file,) = folder.glob("*/transactions_*[0-9].csv")
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))

    assert [row["source_id"] for row in rows] == [f"AC{number}" for number in range(1, 282)]
    # New York: the last tenth of a microsecond of the day, midnight, and in UTC a second before it.
    assert [row["transaction_date"] for row in rows[271:274]] == ["20260302", "20260303", "20260302"]
    assert rows[0]["price"] == "63.54199824", demo.stdout
