"""What one row of the CLI's error file says of its record (contract: accounting CLI, "One bad row ...").

Standing in the error file is not failure: when one record of a request fails, the CLI lists all of them, each
with the server's whole answer.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, cast

from globeco_allocation.domain.accounting_run import ErrorRow
from globeco_allocation.domain.delivery import RecordVerdict

_ANSWER = re.compile(r"HTTP (?P<status>[0-9]{3}):\s*(?P<body>.*)", re.DOTALL)
_NEVER_CONNECTED = re.compile(r'Post "[^"]*": dial tcp')


@dataclass(frozen=True, slots=True)
class _Answer:
    """The server's answer to one request: who was booked, and why the others were not."""

    booked: frozenset[str]
    failures: dict[str, tuple[str, str]]


_UNREADABLE = _Answer(frozenset(), {})


class RowReader:
    """Reads the rows of one error file, one after the other."""

    def __init__(self) -> None:
        # Every record of a request repeats the same answer, of up to n x 340 bytes for n records.
        self._last_message = ""
        self._last_answer = _UNREADABLE

    def read(self, row: ErrorRow) -> tuple[RecordVerdict, str]:
        """Return what this run alone says of the record, and in which words.

        ``DUPLICATE`` says only that some row has its source id; whose it is, earlier attempts tell.
        """
        message = row.message.strip()
        if not message:
            return RecordVerdict.UNKNOWN, "the accounting CLI's error file could not be read here"
        answer = _ANSWER.fullmatch(message)
        if answer is None:
            return _verdict_without_answer(message), message
        if answer["status"] == "207":
            return self._read_one_of_many(row.source_id, message, answer["body"])
        if answer["status"] == "400":
            return RecordVerdict.NOT_SENT, message  # the whole request was refused: nothing is stored
        return RecordVerdict.UNKNOWN, message

    def _read_one_of_many(self, source_id: str, message: str, body: str) -> tuple[RecordVerdict, str]:
        if message != self._last_message:
            self._last_message, self._last_answer = message, _read_answer(body)
        answer = self._last_answer
        if source_id in answer.booked:
            return RecordVerdict.ACCEPTED, ""
        if source_id not in answer.failures:
            return RecordVerdict.UNKNOWN, "Portfolio Accounting's answer does not name this record"
        field, words = answer.failures[source_id]
        return _verdict_of_failure(field, words), f"{field}: {words}"


def _verdict_without_answer(message: str) -> RecordVerdict:
    if message.startswith("HTTP "):
        return RecordVerdict.UNKNOWN  # an answer, but none that was ever recorded
    if not message.startswith('Post "'):
        return RecordVerdict.REFUSED  # the CLI's own words: never sent
    return RecordVerdict.NOT_SENT if _NEVER_CONNECTED.match(message) else RecordVerdict.UNKNOWN


def _verdict_of_failure(field: str, words: str) -> RecordVerdict:
    if field == "sourceId" and "must be unique" in words:
        return RecordVerdict.DUPLICATE
    if field == "processing":
        return RecordVerdict.NOT_BOOKED
    if field == "repository":
        if "duplicate key" in words:
            return RecordVerdict.DUPLICATE
        return RecordVerdict.REFUSED if "overflow" in words else RecordVerdict.NOT_SENT
    return RecordVerdict.REFUSED


def _read_answer(body: str) -> _Answer:
    """Read the JSON of a 207; anything else than the recorded shape makes its records unknown."""
    try:
        document = cast("dict[str, Any]", json.loads(body))
        booked = frozenset(str(one["sourceId"]) for one in document["successful"] or ())
        failures = {
            str(one["transaction"]["sourceId"]): (
                str(one["errors"][0]["field"]),
                str(one["errors"][0]["message"]),
            )
            for one in document["failed"] or ()
        }
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return _UNREADABLE
    return _Answer(booked, failures)
