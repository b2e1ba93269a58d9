"""What became of each record of a run (contract: accounting CLI; design, "Verdicts").

Exit code 0 is not success: the CLI exits 0 when every record failed. And standing in the error file is not
failure: when one record of a request fails, the CLI lists all of them, each with the server's whole answer.
What cannot account for every record is unknown, never delivered.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow
from globeco_allocation.domain.delivery import DeliveryStatus, Outcome, RecordVerdict, Reject
from globeco_allocation.domain.source_id import execution_id_of

LONGEST_REASON = 500
"""Characters of Portfolio Accounting's words that are kept for a record."""

_LONGEST_EXAMPLE = 120

# Whose own words hold addresses, and nothing that a sender could mend.
_IN_OUR_WORDS = {
    RecordVerdict.NOT_SENT: "Portfolio Accounting could not be reached, or did not store it",
    RecordVerdict.UNKNOWN: "Portfolio Accounting's answer was lost or cannot be read",
}

_ANSWER = re.compile(r"HTTP (?P<status>[0-9]{3}):\s*(?P<body>.*)", re.DOTALL)
_NEVER_CONNECTED = re.compile(r'Post "[^"]*": dial tcp')


@dataclass(frozen=True, slots=True)
class _Answer:
    """The server's answer to one request: who was booked, and why the others were not."""

    booked: frozenset[str]
    failures: dict[str, tuple[str, str]]


_STRAY = "the accounting CLI's error file names this record twice, or none of ours"
_UNREADABLE = _Answer(frozenset(), {})


class Judge:
    """Judges one run of a file of *record_count* records.

    Show it every row of the error file with `see`, then ask for the `outcome`. It holds counts, the last
    answer and a bit for each record seen, however long the error file is.
    """

    def __init__(self, record_count: int) -> None:
        self._record_count = record_count
        self._seen: Counter[RecordVerdict] = Counter()
        self._records = _IdSet()
        self._strays = 0
        self._words = ""  # the first reason, for people
        # Every record of a request repeats the same answer, of up to n x 340 bytes for n records.
        self._last_message = ""
        self._last_answer = _UNREADABLE

    def see(self, row: ErrorRow) -> Reject | None:
        """Judge one row of the error file.

        Returns:
            None when the record was booked all the same, else the record and the reason.
        """
        verdict, reason = self._judge(row)
        if self._is_stray(row.source_id, verdict):
            self._strays += 1
            return Reject(row.source_id, RecordVerdict.UNKNOWN, _STRAY)
        self._seen[verdict] += 1
        if verdict is RecordVerdict.ACCEPTED:
            return None
        self._words = self._words or _IN_OUR_WORDS.get(verdict, reason[:_LONGEST_EXAMPLE])
        return Reject(row.source_id, verdict, reason[:LONGEST_REASON])

    def outcome(self, run: AccountingRun) -> Outcome:
        """Sum the run up; to be called after the last row of the error file."""
        seen = self._seen
        listed = seen.total()  # strays stand for no record of the file: those stay unknown
        counts = run.counts
        trusted = run.exit_code == 0 and counts is not None and self._agrees(run)
        succeeded = counts.succeeded if trusted and counts is not None else 0
        accepted = succeeded + seen[RecordVerdict.ACCEPTED]
        rejected = sum(
            seen[verdict]
            for verdict in (RecordVerdict.REFUSED, RecordVerdict.NOT_BOOKED, RecordVerdict.DUPLICATE)
        )
        unknown = max(self._record_count - succeeded - listed, 0)
        unknown += seen[RecordVerdict.UNKNOWN] + seen[RecordVerdict.NOT_SENT]
        if unknown or not trusted:
            status = DeliveryStatus.FAILED
        elif not rejected:
            status = DeliveryStatus.DELIVERED
        elif accepted and not seen[RecordVerdict.DUPLICATE]:
            status = DeliveryStatus.PARTIAL
        else:
            status = DeliveryStatus.FAILED
        error = "" if status is DeliveryStatus.DELIVERED else self._explain(run, accepted, unknown)
        return Outcome(status, accepted, rejected, unknown, run.exit_code, error)

    def _agrees(self, run: AccountingRun) -> bool:
        """Tell whether the printed counts, the error file and the file that was written fit together."""
        counts = run.counts
        return (
            counts is not None
            and counts.total <= self._record_count
            and counts.failed == self._seen.total() + self._strays
            and counts.succeeded + counts.failed <= counts.total
        )

    def _explain(self, run: AccountingRun, accepted: int, unknown: int) -> str:
        seen = self._seen
        parts = [f"{accepted} of {self._record_count} records booked"]
        if refused := seen[RecordVerdict.REFUSED]:
            parts.append(f"{refused} refused")
        if stored := seen[RecordVerdict.NOT_BOOKED]:
            parts.append(f"{stored} stored but not booked, so that a person must look")
        if known := seen[RecordVerdict.DUPLICATE]:
            parts.append(f"{known} refused as known")
        if unknown:
            parts.append(f"{unknown} not known to be booked")
        text = ", ".join(parts) + self._explain_run(run)
        if known:
            text += f"; Portfolio Accounting already has rows under {known} of our source ids: find out whose"
        return f"{text} (such as: {self._words})" if self._words else text

    def _explain_run(self, run: AccountingRun) -> str:
        if run.exit_code == 0:
            if run.counts is None:
                return "; the accounting CLI printed no counts"
            if not self._agrees(run):
                return "; the accounting CLI's counts do not fit its error file and the records sent"
            return ""
        complaint = f" ({run.complaint})" if run.complaint else ""
        if run.exit_code is None:
            return f"; the accounting CLI was killed past its time limit{complaint}"
        return f"; the accounting CLI ended with exit code {run.exit_code}{complaint}"

    def _is_stray(self, source_id: str, verdict: RecordVerdict) -> bool:
        """Tell whether a row says nothing of a record that no row has spoken of yet."""
        key = execution_id_of(source_id)
        if key is None:
            return verdict is RecordVerdict.ACCEPTED  # the CLI may refuse a row without naming it
        return not self._records.add(key)

    def _judge(self, row: ErrorRow) -> tuple[RecordVerdict, str]:
        message = row.message.strip()
        if not message:
            return RecordVerdict.UNKNOWN, "the accounting CLI's error file could not be read here"
        answer = _ANSWER.fullmatch(message)
        if answer is None:
            return _verdict_without_answer(message), message
        if answer["status"] == "207":
            return self._judge_one_of_many(row.source_id, message, answer["body"])
        if answer["status"] == "400":
            return RecordVerdict.NOT_SENT, message  # the whole request was refused: nothing is stored
        return RecordVerdict.UNKNOWN, message

    def _judge_one_of_many(self, source_id: str, message: str, body: str) -> tuple[RecordVerdict, str]:
        if message != self._last_message:
            self._last_message, self._last_answer = message, _read_answer(body)
        answer = self._last_answer
        if source_id in answer.booked:
            return RecordVerdict.ACCEPTED, ""
        if source_id not in answer.failures:
            return RecordVerdict.UNKNOWN, "Portfolio Accounting's answer does not name this record"
        field, words = answer.failures[source_id]
        return _verdict_of_failure(field, words), f"{field}: {words}"


class _IdSet:
    """Ids that lie close together, one bit each: a million of them take 128 KiB."""

    _BITS = 1 << 16

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def add(self, key: int) -> bool:
        """Add an id; tells whether it is new."""
        number, place = divmod(key, self._BITS)
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = bytearray(self._BITS // 8)
        byte, bit = place >> 3, 1 << (place & 7)
        if page[byte] & bit:
            return False
        page[byte] |= bit
        return True


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
