"""What runs of the accounting CLI leave beside a transaction file."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path


def printed(succeeded: int, failed: int) -> str:
    """Return what a run prints at its end."""
    return (
        f"=== Processing Results ===\nTotal Records: {succeeded + failed}\n"
        f"Success Records: {succeeded}\nError Records: {failed}\n"
    )


def refused_as_known(source_id: str) -> str:
    """Return what the error file says of a record that Portfolio Accounting has."""
    return _answer(source_id, "sourceId", "source ID must be unique")


def not_booked(source_id: str) -> str:
    """Return what it says of one that is stored without its balances."""
    return _answer(source_id, "processing", "no balance")


def could_not_be_sent(_source_id: str) -> str:
    """Return what it says of one that never reached Portfolio Accounting."""
    return 'Post "http://accounting:8087/api/v1/transactions": dial tcp 10.0.0.1:8087: connect: refused'


def leave_errors(path: Path, messages: Sequence[tuple[str, str]]) -> None:
    """Write an error file: source ids, and what it says of them."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("source_id", "error_message"))
        writer.writerows(messages)


def leave_record(path: Path, attempt: int) -> None:
    """Write the record of the run that was begun last."""
    fields = {
        "run": f"a{attempt}",
        "attempt": attempt,
        "lane": 0,
        "lane_count": 1,
        "host": "h",
        "begun": "",
        "uid": "",
    }
    path.write_text(json.dumps(fields))


def _answer(source_id: str, field: str, words: str) -> str:
    failed = [
        {"transaction": {"sourceId": source_id}, "errors": [{"field": field, "message": words}]},
    ]
    return "HTTP 207: " + json.dumps({"successful": None, "failed": failed})
