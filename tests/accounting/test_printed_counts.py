"""The CLI's counts and its last words are read from the ends of its outputs."""

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
    path.write_text("x" * 3 * LARGEST_TAIL + RESULTS)

    assert len(tail(path)) == LARGEST_TAIL
    assert printed_counts(tail(path)) == PrintedCounts(5, 3, 2)


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
        ('{"level":"info","msg":"File processing completed"}\n', "File processing completed"),
        ('{"level":"error"', '{"level":"error"'),
        ('{"msg": 7}', '{"msg": 7}'),
        ("red \x1b[31malert\x1b[0m\x07now\x00", "red alert now"),
        ("open /var/lib/files/t.csv: permission denied", "open t.csv: permission denied"),
        ('Post "http://10.0.0.1:8087/api/v1/transactions": EOF', None),
        ("2026/11/22 21:04:57 failed", None),
        ("x" * 1000, "x" * LONGEST_COMPLAINT),
        ("[" * 100_000, "[" * LONGEST_COMPLAINT),
        ("{" * 60_000, "{" * LONGEST_COMPLAINT),
    ],
)
def test_a_complaint_is_the_last_line_fit_to_be_shown(stderr: str, expected: str | None) -> None:
    assert complaint(stderr) == (stderr if expected is None else expected)
