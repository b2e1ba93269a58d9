"""What the CLI prints: its counts on standard output, its complaints on standard error."""

import json
import os
import re
from pathlib import Path
from typing import cast

from globeco_allocation.domain.accounting_run import PrintedCounts

LARGEST_TAIL = 64 * 1024
"""Bytes of an output file that are read, from its end."""

LONGEST_COMPLAINT = 300
"""Characters of a complaint that are kept."""

_TITLE = "=== Processing Results ==="
_COUNT = re.compile(r"^(Total|Success|Error) Records: ([0-9]{1,10})\r?$", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_DIRECTORY = re.compile(r"(?<![\w:/.])/(?:[^\s/\"':]+/)*")


def tail(path: Path) -> str:
    """Return the end of an output file; empty when there is none or it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - LARGEST_TAIL, 0))
            return file.read(LARGEST_TAIL).decode(errors="replace")
    except OSError:
        return ""


def printed_counts(stdout: str) -> PrintedCounts | None:
    """Read the counts of the last results that the CLI printed (contract: accounting CLI, "Results").

    Returns:
        None unless each of the three stands there exactly once.
    """
    _, title, results = stdout.rpartition(_TITLE)
    found = [(match[1], int(match[2])) for match in _COUNT.finditer(results)] if title else []
    counts = dict(found)
    if len(found) != len(counts) or counts.keys() != {"Total", "Success", "Error"}:
        return None
    return PrintedCounts(total=counts["Total"], succeeded=counts["Success"], failed=counts["Error"])


def complaint(stderr: str) -> str:
    """Return the last thing said on standard error, on one line, shortened, without directories.

    >>> complaint('{"level":"error","msg":"File processing failed","error":"no such file: /data/a.csv"}')
    'File processing failed: no such file: a.csv'
    """
    lines = [line for line in stderr.splitlines() if line.strip()]
    if not lines:
        return ""
    text = _CONTROL.sub(" ", _ANSI.sub("", _of_log_line(lines[-1]))).strip()
    return _DIRECTORY.sub("", text)[:LONGEST_COMPLAINT]


def _of_log_line(line: str) -> str:
    if not line.lstrip().startswith("{"):
        return line
    try:
        fields = cast("dict[str, object]", json.loads(line))
    except (ValueError, RecursionError):
        return line
    parts = [part for part in (fields.get("msg"), fields.get("error")) if isinstance(part, str) and part]
    return ": ".join(parts) or line
