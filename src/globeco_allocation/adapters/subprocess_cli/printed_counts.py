"""What the CLI prints: its counts on standard output, its complaints on standard error."""

import json
import os
import re
from collections.abc import Sequence
from functools import partial
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

_HARMLESS = {"trace", "debug", "info", "notice", "warn", "warning"}
_LEVEL = re.compile(r'"level"\s*:\s*"([A-Za-z]+)"')

# Where a path may begin: by itself, or behind a scheme without a host. The parts are bounded, for each is
# tried at every character of what may be a long line.
_ROOT = r"(?:file://[\w.-]{0,255}|[A-Za-z][A-Za-z0-9+.-]{0,19}://|~[\w.-]{0,32}|\.{1,2})?/"
_PATH = re.compile(
    rf"(?P<address>\b(?!file:)[A-Za-z][A-Za-z0-9+.-]{{0,19}}://[^\s/\"'][^\s\"']*)"
    rf"|(?P<quote>[\"'`]){_ROOT}(?P<quoted>(?:\\.|(?!(?P=quote)).)*)(?P=quote)"
    rf"|(?<![\w/.~-]){_ROOT}(?P<plain>(?:\\.|[^\s\"'`])+)",
    re.DOTALL | re.IGNORECASE,
)
_BELOW = r"(?P<below>/+(?:[^\s/\"'`]+/+)*)"


def tail(path: Path) -> str:
    """Return the end of an output file; empty when there is none or it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - LARGEST_TAIL, 0))
            content = file.read(LARGEST_TAIL)
    except OSError:
        return ""
    if size > LARGEST_TAIL:  # the first line may have lost its beginning
        content = content.partition(b"\n")[2] or content
    return content.decode(errors="replace")


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


def complaint(stderr: str, directories: Sequence[str] = ()) -> str:
    """Return the last complaint on standard error, on one line, shortened, with files' bare names for paths.

    What a structured log tells below an error is no complaint: the last such line of a CLI that was killed
    is only how far it came.

    Args:
        stderr: The end of the output.
        directories: Absolute paths that the CLI knows; without being told, one with blanks cannot be seen
            to be a single path.

    >>> complaint('{"level":"error","msg":"File processing failed","error":"no such file: /data/a.csv"}')
    'File processing failed: no such file: a.csv'
    """
    for line in reversed(stderr.split("\n")):
        if line.strip() and (text := _told(line)):
            return _CONTROL.sub(" ", _without_paths(_ANSI.sub("", text), directories)).strip()[
                :LONGEST_COMPLAINT
            ]
    return ""


def _told(line: str) -> str:
    """Return what a line complains about; empty for one of a log that does not."""
    if not line.lstrip().startswith("{"):
        return line
    try:
        fields = cast("dict[str, object]", json.loads(line))
    except (ValueError, RecursionError):
        found = _LEVEL.search(line)  # a line that was not finished
        return "" if found and found[1].lower() in _HARMLESS else line
    level = fields.get("level")
    if isinstance(level, str) and level.lower() in _HARMLESS:
        return ""
    parts = [part for part in (fields.get("msg"), fields.get("error")) if isinstance(part, str) and part]
    return ": ".join(parts) or line


def _without_paths(text: str, directories: Sequence[str]) -> str:
    for directory in sorted(directories, key=len, reverse=True):
        # Undecodable bytes of a name stand in the text as `tail` has decoded them.
        shown = os.fsencode(directory).decode(errors="replace").rstrip("/")
        if shown.startswith("/"):
            path = rf"(?<![\w.~-])(?:file://)?{re.escape(shown)}(?:{_BELOW}|(?![\w-]|\.\w))"
            name = shown.rpartition("/")[2]
            text = re.sub(path, partial(_below_or, name), text)
    return _PATH.sub(_bare, text)


def _below_or(name: str, match: re.Match[str]) -> str:
    return "" if match["below"] else name


def _bare(match: re.Match[str]) -> str:
    if match["address"]:
        return match["address"]
    quote = match["quote"] or ""
    path = match["quoted"] if quote else match["plain"]
    return quote + path.rstrip("/").rpartition("/")[2] + quote
