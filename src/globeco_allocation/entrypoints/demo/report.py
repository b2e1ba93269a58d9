"""What came of every record of the demonstration."""

import csv
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, TextIO

from globeco_allocation.domain.source_id import source_id
from globeco_allocation.entrypoints.stack import Stack

_HEAD_LINES = 6

Json = dict[str, Any]


def print_report(stack: Stack, records: list[Json], results: list[Json], sent: Json, stream: TextIO) -> int:
    """Print each record's fate, the head of the file, and where it lies.

    A record counts as booked when the simulated Portfolio Accounting's own ledger says so.

    Returns:
        0 when every created execution was booked or refused by name, and the file holds just those; else 1.
    """
    file = stack.output / str(sent["fileName"])
    booked = _booked(stack.ledger)
    refused = _refused(Path(f"{file}.errors.csv"))
    fates: Counter[str] = Counter()
    created: list[str] = []
    print(f"\nWhat came of each of the {len(records)} records:", file=stream)
    for record, result in zip(records, results, strict=True):
        fate, words = result["status"], result.get("error", "")
        if fate == "created":
            source = source_id(result["executionId"])
            created.append(source)
            fate, words = _delivered(source, booked, refused)
        fates[fate] += 1
        what = (
            f"{record.get('tradeType')!s:5} {record.get('quantity')!s:>6} {str(record.get('ticker'))[:8]:8}"
        )
        print(f"  {result['executionServiceId']:>6}  {what}  {fate:8}  {words}", file=stream)
    print("\nIn all: " + ", ".join(f"{count} {fate}" for fate, count in fates.most_common()), file=stream)
    lines = file.read_text("utf-8").splitlines()
    print(f"\nThe head of {file} ({len(lines) - 1} executions):", file=stream)
    for line in lines[:_HEAD_LINES]:
        print(f"  {line}", file=stream)
    print(f"  ...\n\nFile, log and ledger lie in {stack.output.resolve()}", file=stream)
    in_file = [row.split(",")[2] for row in lines[1:]]
    return 0 if sorted(in_file) == sorted(created) and not fates["lost"] else 1


def _delivered(source: str, booked: frozenset[str], refused: dict[str, str]) -> tuple[str, str]:
    if source in booked:
        return "booked", source
    if source in refused:
        return "refused", f"{source} by accounting: {refused[source]}"
    return "lost", f"{source} is neither booked nor refused"


def _booked(ledger: Path) -> frozenset[str]:
    if not ledger.exists():
        return frozenset()
    with closing(sqlite3.connect(ledger)) as database:
        rows: Iterable[tuple[str]] = database.execute(
            "SELECT source_id FROM transactions WHERE status = 'PROC'"
        )
        return frozenset(source for (source,) in rows)


def _refused(error_file: Path) -> dict[str, str]:
    if not error_file.exists():
        return {}
    with error_file.open(encoding="utf-8", newline="") as lines:
        return {row["source_id"]: row["error_message"].strip() for row in csv.DictReader(lines)}
