"""Run the demonstration: start everything, post, send, and report what came of every record."""

import json
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO

from globeco_allocation.entrypoints.demo.report import print_report
from globeco_allocation.entrypoints.end_signals import EndSignals, ToldToEnd
from globeco_allocation.entrypoints.stack import Stack, StackError, StackOptions, call, running_stack

RECORDS_AT_ONCE = 100
"""The most that one POST takes (specification, "Execution Processing")."""

UNKNOWN_TO_TRADE_SERVICE = (5202, 5252)
"""Ids of the data file that the simulated Trade Service has no execution for."""

Json = dict[str, Any]


def run(folder: Path, stream: TextIO = sys.stdout) -> int:
    """Run the demonstration, leaving its files in a new folder of *folder*, named by the time.

    Each run has a database of its own, whose ids begin at 1, so it needs an empty ledger at accounting too.

    Returns:
        0 when every record ended as it should; 1 when the service did not do its job; 128 and the signal's
        number when one ended it.
    """
    records = read_records()
    output = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    try:
        with (
            EndSignals() as signals,
            tempfile.TemporaryDirectory(prefix="globeco-") as scratch,
            _running(_options(Path(scratch), output), signals, stream) as stack,
            signals.may_interrupt(),
        ):
            return post_and_send(stack, records, stream)
    except StackError as error:
        print(f"The demonstration could not run: {error}", file=sys.stderr)
        return 1
    except ToldToEnd as told:
        with suppress(OSError):  # the terminal may be gone
            print("The demonstration was interrupted; everything has been stopped.", file=sys.stderr)
        return told.exit_code


def _options(scratch: Path, output: Path) -> StackOptions:
    return StackOptions(
        data=scratch / "postgresql",
        output=output,
        unknown=UNKNOWN_TO_TRADE_SERVICE,
        log=output / "service.log",
    )


def read_records() -> list[bytes]:
    """Return the data file's records as they stand: JSON numbers keep every digit they have there."""
    text = files("globeco_allocation.entrypoints.demo").joinpath("executions.json").read_text("utf-8")
    return [line.removesuffix(",").encode() for line in text.splitlines() if line.startswith("{")]


@contextmanager
def _running(options: StackOptions, signals: EndSignals, stream: TextIO) -> Generator[Stack]:
    print("Starting PostgreSQL, a simulated Trade Service and the service ...", file=stream, flush=True)
    begun = time.perf_counter()
    with running_stack(options, signals) as stack:
        print(f"  ready after {time.perf_counter() - begun:.1f} s: {stack.url}", file=stream, flush=True)
        yield stack
        print("Stopping everything ...", file=stream, flush=True)


def post_and_send(stack: Stack, records: list[bytes], stream: TextIO) -> int:
    """Post the records, send the batch, and report.

    Returns:
        0 when every record ended as it should; 1 when the service did not do its job.

    Raises:
        StackError: the service gave no answer.
    """
    print(f"Posting {len(records)} records, {RECORDS_AT_ONCE} at a time ...", file=stream, flush=True)
    results: list[Json] = []
    for first in range(0, len(records), RECORDS_AT_ONCE):
        some = records[first : first + RECORDS_AT_ONCE]
        begun = time.perf_counter()
        status, answer = _ask(f"{stack.url}/api/v1/executions", b"[" + b",".join(some) + b"]")
        if "results" not in answer:
            print(f"  POST answered {status}: {answer}", file=stream)
            return 1
        results += answer["results"]
        print(
            f"  {status}: {answer['processedCount']} created, {answer['skippedCount']} skipped, "
            f"{answer['errorCount']} errors in {(time.perf_counter() - begun) * 1000:.0f} ms",
            file=stream,
            flush=True,
        )
    print("Sending the batch ...", file=stream, flush=True)
    begun = time.perf_counter()
    status, sent = _ask(f"{stack.url}/api/v1/executions/send", b"{}")
    print(f"  {status} in {(time.perf_counter() - begun) * 1000:.0f} ms: {json.dumps(sent)}", file=stream)
    if status != HTTPStatus.OK or not sent.get("fileName"):
        print("The batch was not delivered.", file=stream)
        return 1
    return print_report(stack, [json.loads(record) for record in records], results, sent, stream)


def _ask(url: str, body: bytes) -> tuple[int, Json]:
    try:
        return call(url, body)
    except (OSError, ValueError, HTTPException) as error:
        raise StackError(f"{url} gave no whole answer: {error}") from error
