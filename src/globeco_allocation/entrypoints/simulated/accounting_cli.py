"""A Portfolio Accounting CLI that behaves as the real one was recorded, on a ledger of its own.

``python -m globeco_allocation.entrypoints.simulated.accounting_cli process --file F --output-dir D``

Source of every rule here: contract "Portfolio Accounting CLI" and its golden cases. Exit code 0 is not
success there either, and without ``--skip-sort`` the input file is deleted. It is started often, so it uses
the standard library only.

Environment:
    SIMULATED_ACCOUNTING_LEDGER: the ledger file; if unset, ``accounting-ledger.sqlite3`` in the output
        directory.
    SIMULATED_ACCOUNTING_FAULT: what to do wrong, see ``Fault``; ``@FILE`` reads it from a file, anew by each
        run.
    SIMULATED_ACCOUNTING_MS_PER_ROW: milliseconds that each new row takes, 0 if unset (the real one: 6 to 9).
    GLOBECO_PA_SERVER_HOST, GLOBECO_PA_SERVER_PORT: what messages call the server, 0.0.0.0 and 8087 if unset.
"""

import argparse
import json
import os
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from globeco_allocation.entrypoints.simulated.accounting_faults import Fault, WantedFault
from globeco_allocation.entrypoints.simulated.accounting_files import (
    Failure,
    HeaderError,
    read_transactions,
    write_errors,
)
from globeco_allocation.entrypoints.simulated.accounting_ledger import Ledger
from globeco_allocation.entrypoints.simulated.accounting_server import AccountingServer

LEDGER_NAME = "accounting-ledger.sqlite3"

_GO_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|ms|s|m|h))+", re.ASCII)
_GO_DURATION_PART = re.compile(r"([0-9.]+)([a-zµ]+)", re.ASCII)
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class _ProcessingError(Exception):
    """The run cannot be made: exit code 1, nothing was sent."""


@dataclass(frozen=True, slots=True)
class _Options:
    file: str
    output_dir: str
    batch_size: int
    timeout: float
    skip_sort: bool


@dataclass(slots=True)
class _Result:
    """What a run counts; *total* exceeds success + errors where an answer could not be read."""

    total: int
    success: int = 0
    errors: int = 0
    batches: int = 0
    seconds: float = 0.0
    error_file: str = ""


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Run one ``process`` command.

    Returns:
        The exit code: 1 when the file, its header, the output directory or the ledger is unusable, else 0,
        whatever became of the rows.

    Raises:
        SystemExit: the command line is wrong (code 1), or the simulator's own settings are (code 2).
    """
    options = _options(arguments)
    try:
        fault = WantedFault.of(environment)
        ms_per_row = float(environment.get("SIMULATED_ACCOUNTING_MS_PER_ROW") or 0)
    except ValueError as error:
        print(f"SIMULATED_ACCOUNTING_...: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    if fault.kind is Fault.SLOW and fault.number:
        ms_per_row = fault.number
    if fault.kind is Fault.HANG_IGNORING_TERM:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _log("info", "Starting transaction file processing", file=options.file, output_dir=options.output_dir)
    if fault.kind is Fault.GARBAGE:
        _write("\x00\x1b[2J{]} Success Records: many\nTotal Records: ?\n")
        return 0
    path = Path(environment.get("SIMULATED_ACCOUNTING_LEDGER") or f"{options.output_dir}/{LEDGER_NAME}")
    try:
        _check(options)
        _fail_on_request(fault, path)
        with Ledger(path, run=f"{os.getpid()}-{time.time_ns()}") as ledger:
            host = environment.get("GLOBECO_PA_SERVER_HOST") or "0.0.0.0"  # noqa: S104 - a name in messages
            server = AccountingServer(
                ledger,
                address=f"{host}:{environment.get('GLOBECO_PA_SERVER_PORT') or '8087'}",
                fault=fault,
                seconds_per_row=ms_per_row / 1000,
                timeout=options.timeout,
            )
            result = _process(options, ledger, server, deleting=fault.kind is Fault.DELETE_INPUT)
    except (_ProcessingError, sqlite3.OperationalError) as error:
        _report_failure(str(error))
        return 1
    _log("info", "File processing completed", file=options.file, total_records=result.total)
    _write(_summary(options.file, result))
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Leave with 1, as the real program does for a wrong command line."""
        self.exit(1, f"Error: {message}\n")


def _options(arguments: Sequence[str] | None) -> _Options:
    parser = _Parser(
        prog="portfolio-cli", description="A simulated Portfolio Accounting CLI.", allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    process = commands.add_parser("process", help="send a transaction file", allow_abbrev=False)
    process.add_argument("--file", required=True)
    process.add_argument("--output-dir", default=".")
    process.add_argument("--batch-size", type=_positive, default=1000)
    process.add_argument("--timeout", type=_go_duration, default=300.0)
    process.add_argument("--skip-sort", action="store_true")
    ignored = process.add_argument_group("accepted and ignored, --dry-run too: the rows are booked")
    ignored.add_argument("--dry-run", action="store_true")
    ignored.add_argument("--force", action="store_true")
    for name in ("--workers", "--log-level", "--config"):
        ignored.add_argument(name)
    given = parser.parse_args(arguments)
    return _Options(given.file, given.output_dir, given.batch_size, given.timeout, given.skip_sort)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _go_duration(text: str) -> float:
    if not _GO_DURATION.fullmatch(text):
        raise ValueError(text)
    return sum(float(number) * _SECONDS[unit] for number, unit in _GO_DURATION_PART.findall(text))


def _fail_on_request(fault: WantedFault, ledger: Path) -> None:
    if fault.kind is not Fault.EXIT_1:
        return
    if fault.number is None:
        raise _ProcessingError("failed on request")
    # One byte for each run: appending gives runs at the same time different places.
    with ledger.with_name(f"{ledger.name}.exits").open("ab") as count:
        count.write(b".")
        count.flush()
        if count.tell() <= fault.number:
            raise _ProcessingError(f"failed on request, {count.tell()} of {fault.number} times")


def _check(options: _Options) -> None:
    path = Path(options.file)
    if not path.is_file():
        raise _ProcessingError(f"file validation failed: file does not exist: {options.file}")
    if path.suffix != ".csv":
        reason = f"unsupported file format: {path.suffix} (only .csv files are supported)"
        raise _ProcessingError(f"file validation failed: {reason}")
    try:
        Path(options.output_dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _ProcessingError(f"failed to create output directory: {error}") from error


def _process(options: _Options, ledger: Ledger, server: AccountingServer, *, deleting: bool) -> _Result:
    """Read, send batch by batch, write the error file; delete the input unless told otherwise.

    With *deleting*, the input is deleted before anything is sent.

    Raises:
        _ProcessingError: the header is unreadable. The input is deleted even then.
    """
    started = time.perf_counter()
    try:
        rows, failures = read_transactions(Path(options.file))
        ledger.begin(Path(options.file).name, {row.portfolio_id for row in rows})
        if deleting:
            Path(options.file).unlink()
        result = _Result(total=len(rows) + len(failures), errors=len(failures))
        for start in range(0, len(rows), options.batch_size):
            batch = rows[start : start + options.batch_size]
            answer = server.post(batch)
            result.batches += 1
            result.success += answer.accepted
            if answer.error:
                result.errors += len(batch)
                failures.extend(Failure(row, answer.error) for row in batch)
        if failures:
            result.error_file = _written(options, failures)
    except (HeaderError, OSError) as error:
        reason = f"failed to read/validate CSV: header validation failed: {error}"
        raise _ProcessingError(f"batch processing failed: {reason}") from error
    finally:
        if not options.skip_sort:
            with suppress(OSError):
                Path(options.file).unlink()
    result.seconds = time.perf_counter() - started
    return result


def _written(options: _Options, failures: list[Failure]) -> str:
    """Write the error file and return its path; ``""`` when it cannot be written, which is no failure."""
    path = os.path.normpath(f"{options.output_dir}/{Path(options.file).name}.errors.csv")
    try:
        write_errors(Path(path), failures)
    except OSError as error:
        _log("error", "Error file not written", error=str(error))
        return ""
    return path


def _summary(file: str, result: _Result) -> str:
    lines = [
        "",
        "=== Processing Results ===",
        f"Input File: {file}",
        f"Total Records: {result.total}",
        f"Processed Records: {result.success}",
        f"Success Records: {result.success}",
        f"Error Records: {result.errors}",
        "Skipped Records: 0",
        f"Batches Processed: {result.batches}",
        f"Processing Duration: {_go_text(result.seconds)}",
    ]
    if result.error_file:
        lines.append(f"Error File: {result.error_file}")
    if result.errors:
        lines += ["", f"⚠️  {result.errors} records had errors. Check the error file for details."]
    elif result.success:
        lines += ["", "✅ All records processed successfully!"]
    return "\n".join([*lines, "", ""])


def _go_text(seconds: float) -> str:
    """Write a duration as Go does: ``385.157µs``, ``28.159666ms``, ``2.002126074s``, ``1m31.5s``."""
    if seconds < _SECONDS["ms"]:
        return f"{seconds * 1e6:.3f}".rstrip("0").rstrip(".") + "µs"
    if seconds < 1:
        return f"{seconds * 1e3:.6f}".rstrip("0").rstrip(".") + "ms"
    minutes, rest = divmod(round(seconds, 9), 60)
    hours, minutes = divmod(int(minutes), 60)
    larger = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return larger + f"{rest:.9f}".rstrip("0").rstrip(".") + "s"


def _report_failure(reason: str) -> None:
    _log("error", "File processing failed", error=reason)
    now = datetime.now().astimezone()
    print(f"Error: processing failed: {reason}", file=sys.stderr)
    print(f"\n{now:%Y/%m/%d %H:%M:%S} CLI execution failed: processing failed: {reason}", file=sys.stderr)


def _log(level: str, message: str, **fields: object) -> None:
    line = {
        "level": level,
        "ts": time.time(),
        "caller": "simulated/accounting_cli.py",
        "msg": message,
        **fields,
    }
    print(json.dumps(line, separators=(",", ":")), file=sys.stderr, flush=True)


def _write(text: str) -> None:
    # UTF-8 whatever the locale says, as Go writes it.
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # dies without a word, as on SIGTERM
    raise SystemExit(main())
