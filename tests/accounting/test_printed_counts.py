"""The CLI's counts and its last words are read from the ends of its outputs."""

import os
import time
from pathlib import Path

import pytest

from globeco_allocation.adapters.subprocess_cli.printed_counts import (
    LARGEST_TAIL,
    LONGEST_COMPLAINT,
    complaint,
    printed_counts,
    tail,
)
from globeco_allocation.domain import PrintedCounts

RESULTS = "\n=== Processing Results ===\nTotal Records: 5\nSuccess Records: 3\nError Records: 2\n"


def test_the_counts_of_the_results_are_read() -> None:
    assert printed_counts(RESULTS) == PrintedCounts(total=5, succeeded=3, failed=2)


def test_the_last_results_count() -> None:
    earlier = RESULTS.replace("5", "9")

    assert printed_counts(earlier + RESULTS) == PrintedCounts(5, 3, 2)


@pytest.mark.parametrize(
    "stdout",
    [
        "",
        RESULTS.replace("=== Processing Results ===", ""),
        RESULTS.replace("Error Records: 2\n", ""),
        RESULTS.replace("Error Records: 2", "Error Records: two"),
        RESULTS.replace("Error Records: 2", "Error Records: -2"),
        RESULTS.replace("Error Records: 2", "Error Records: 2 or so"),
        RESULTS.replace("Error Records: 2", "Error Records: 99999999999"),
        RESULTS + "Total Records: 7\n",
        RESULTS[: RESULTS.index("Error")] + "\x00\x1b[2J{]}",
    ],
    ids=[
        "nothing", "no title", "one missing", "a word", "negative", "more text", "beyond counting",
        "told twice", "garbage",
    ],
)  # fmt: skip
def test_anything_else_is_no_count(stdout: str) -> None:
    assert printed_counts(stdout) is None


def test_only_the_end_of_an_output_is_read(tmp_path: Path) -> None:
    path = tmp_path / "stdout.log"
    path.write_text("x" * 3 * LARGEST_TAIL + "\n" + RESULTS)

    assert len(tail(path)) <= LARGEST_TAIL
    assert printed_counts(tail(path)) == PrintedCounts(5, 3, 2)


def test_an_output_without_line_ends_is_read_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "stderr.log"
    path.write_text("x" * 3 * LARGEST_TAIL)

    assert tail(path) == "x" * LARGEST_TAIL


def test_a_line_that_lost_its_beginning_is_no_complaint(tmp_path: Path) -> None:
    path = tmp_path / "stderr.log"
    path.write_text('{"level":"info","msg":"CSV file reading completed"}\n' * 3000)

    assert complaint(tail(path)) == ""


def test_an_output_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "absent") == ""


def test_an_output_in_no_known_encoding_is_read_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "stdout.log"
    path.write_bytes(b"\xff\xfe\x80" + RESULTS.encode())

    assert printed_counts(tail(path)) == PrintedCounts(5, 3, 2)


@pytest.mark.parametrize(
    ("stderr", "expected"),
    [
        ("", ""),
        ("\n \n", ""),
        ("first\nlast words\n\n", "last words"),
        ('{"level":"error","msg":"failed","error":"no header"}\n', "failed: no header"),
        ('{"level":"fatal","msg":"failed"}\n{"level":"info","msg":"so far"}\n', "failed"),
        ('{"level":"error","msg":"failed"}\nsignal: killed\n{"level":"debug","msg":"x"}\n', "signal: killed"),
        ('{"level":"info","msg":"Starting transaction file processing"}\n', ""),
        ('{"level":"DEBUG","msg":"x"}\r\n{"level":"warn","msg":"y"}\r\n', ""),
        ('{"level":"info","msg":"\u2028 so \x85 far"}\n', ""),
        ('{"level":"info","ts":1795381493.96,"msg":"Star', ""),
        ('{"msg":"failed"}', "failed"),
        ('{"level":"error"', '{"level":"error"'),
        ('{"msg": 7}', '{"msg": 7}'),
        ("red \x1b[31malert\x1b[0m\x07now\x00", "red alert now"),
        ("open /var/lib/files/t.csv: permission denied", "open t.csv: permission denied"),
        ("open file:///tmp/x/y.csv", "open y.csv"),
        ("open FILE://localhost/tmp/x/y.csv failed", "open y.csv failed"),
        ("open 'file:///tmp/x y/z.csv'", "open 'z.csv'"),
        ('open "/tmp/x y/é z.csv": denied', 'open "é z.csv": denied'),
        ("OSError: '/a b/c' or `/x y/z`", "OSError: 'c' or `z`"),
        ("daemon at unix:///var/run/docker.sock", "daemon at docker.sock"),
        ("error:/tmp/x/y.csv (/a/b) x=/c/d", "error:y.csv (b) x=d"),
        ("stat ~/x/y.csv or ~us/y or ../x/y or ./x/y", "stat y.csv or y or y or y"),
        ("open /tmp/a\\ b/c.csv", "open c.csv"),
        ("stat /tmp/x/: is a directory /tmp/y/", "stat : is a directory y"),
        ('{"level":"error","path":"/tmp/x y/z.csv"}', '{"level":"error","path":"z.csv"}'),
        ("4 / 5 and/or application/json", None),
        ('Post "http://10.0.0.1:8087/api/v1/transactions": EOF', None),
        ("2026/11/22 21:04:57 failed", None),
        ("x" * 1000, "x" * LONGEST_COMPLAINT),
        ("[" * 100_000, "[" * LONGEST_COMPLAINT),
        ("{" * 60_000, "{" * LONGEST_COMPLAINT),
    ],
)
def test_a_complaint_is_the_last_line_fit_to_be_shown(stderr: str, expected: str | None) -> None:
    assert complaint(stderr) == (stderr if expected is None else expected)


@pytest.mark.parametrize(
    ("stderr", "expected"),
    [
        ("open /srv/Übergabe der Daten/out put/t.csv: denied", "open t.csv: denied"),
        ("open /srv/Übergabe der Daten/out put/sub/t.csv: denied", "open t.csv: denied"),
        ("open file:///srv/Übergabe der Daten/out put/t.csv: denied", "open t.csv: denied"),
        ("open '/srv/Übergabe der Daten/out put/t.csv': denied", "open 't.csv': denied"),
        ("chdir /srv/Übergabe der Daten/out put: denied", "chdir out put: denied"),
        ('{"level":"error","msg":"open /srv/\\u00dcbergabe der Daten/out put/t.csv"}', "open t.csv"),
        ("open /home/o'neil/t.csv: denied", "open t.csv: denied"),
        ("open /home/o'neil: denied", "open o'neil: denied"),
        ("open /mnt/home/other/t.csv", "open t.csv"),
    ],
)
def test_known_directories_are_taken_away_whatever_their_names(stderr: str, expected: str) -> None:
    assert complaint(stderr, ["/home/o'neil", "/srv/Übergabe der Daten/out put/"]) == expected


def test_a_directory_whose_name_is_no_text_is_taken_away() -> None:
    directory = os.fsdecode(b"/srv/a\xff b\xfe c")

    assert complaint("open /srv/a\ufffd b\ufffd c/t.csv", [directory]) == "open t.csv"


@pytest.mark.parametrize("directory", ["", "/", "."])
def test_the_root_is_no_directory_to_take_away(directory: str) -> None:
    assert complaint("open /data/t.csv: 4 / 5", [directory]) == "open t.csv: 4 / 5"


@pytest.mark.parametrize("piece", ["a", "/", "/a", "./", "~", "'/", "file://", "a://", "\\", "/ ", "'/\"/`/"])
def test_a_long_line_takes_little_time(piece: str) -> None:
    began = time.process_time()
    complaint(piece * (LARGEST_TAIL // len(piece)), ["/", "/a", "/a/a"])

    assert time.process_time() - began < 2
