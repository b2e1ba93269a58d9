"""The simulated accounting CLI does what the real one was recorded to do (data/accounting-cli).

Not reproduced: ``validate-bad-file``, for the simulator has the ``process`` command only, the one that the
service uses. Of the rest it reproduces everything but what no caller can rely on: durations, the server's own
row numbers, times, and the wording of log lines on stderr.
"""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.simulated.workplace import HEADER, PORTFOLIO, SECURITY, Workplace, good, row

from globeco_allocation.entrypoints.simulated.accounting_cli import LEDGER_NAME
from globeco_allocation.entrypoints.simulated.accounting_files import read_transactions
from globeco_allocation.entrypoints.simulated.accounting_ledger import Ledger

RECORDED = Path(__file__).parent.parent / "data" / "accounting-cli"
NOT_REPRODUCED = {"validate-bad-file"}
FAULT_OF_CASE = {
    "accounting-database-down": "accounting-database-down",
    "server-500": "server-500",
    "server-answer-unreadable": "unreadable-answer",
    "server-down": "server-down",
    "server-hangs": "server-hangs",
}
CASES = sorted(path.name for path in RECORDED.iterdir() if path.name not in NOT_REPRODUCED)


def lay_out(place: Workplace, name: str, case: Mapping[str, Any]) -> None:
    """Put the case's input in place, and what was in accounting before it."""
    recorded_input = RECORDED / name / "input.csv"
    if name == "batch-too-large":  # recorded with its first three rows only
        place.write(*(row(f"AC{number}") for number in range(1000, 2001)))
    elif name == "wrong-extension":
        (place.path / "transactions.txt").write_text(HEADER, encoding="utf-8")
    elif recorded_input.exists():
        place.input.write_bytes(recorded_input.read_bytes())
    if "stored-but-not-booked" in name:
        # The recording's accounting held the rows of earlier cases: the holding overflows before the cash.
        place.book(good("AC900"))
    already = re.findall(r"AC\d+", case["already_in_accounting"])
    if already:
        place.book(*(known for known in read_transactions(place.input).rows if known.source_id in already))


def comparable(text: str) -> str:
    """Take out durations, the server's row numbers and times."""
    text = re.sub(r"Processing Duration: [0-9.]+(?:µs|ms|s)\n", "Processing Duration: D\n", text)
    text = re.sub(r'""id"":\d+', '""id"":N', text)
    return re.sub(r'""timestamp"":""[0-9TZ:.-]+""', '""timestamp"":""T""', text)


def expected_statuses(case: Mapping[str, Any]) -> dict[str, str]:
    meaning = {
        "booked": "PROC",
        "booked as 1.12345679": "PROC",
        "already there": "PROC",
        "stored with status ERROR, not booked": "ERROR",
    }
    truth: dict[str, str] = case["truth_per_source_id"]
    return {source_id: meaning[words] for source_id, words in truth.items() if words in meaning}


@pytest.mark.parametrize("name", CASES)
def test_it_reproduces_the_recorded_case(place: Workplace, name: str) -> None:
    case = json.loads((RECORDED / name / "case.json").read_text(encoding="utf-8"))
    lay_out(place, name, case)
    before = place.statuses()
    # The recorded limit of 2 s would be waited for.
    arguments = shlex.split(case["command"].replace("--timeout 2s", "--timeout 20ms"))[1:]

    ran = place.run(*arguments, fault=FAULT_OF_CASE.get(name, ""))

    recorded = RECORDED / name
    assert ran.code == case["exit_code"]
    assert comparable(ran.stdout) == comparable((recorded / "stdout.txt").read_text(encoding="utf-8"))
    assert (place.path / arguments[2]).exists() is bool(case["input_file_still_there_afterwards"])
    assert place.errors.exists() is bool(case["error_file"])
    if case["error_file"]:
        written = comparable(place.errors.read_text(encoding="utf-8"))
        golden = comparable((recorded / "errors.csv").read_text(encoding="utf-8"))
        if name == "batch-too-large":  # recorded with its first rows only
            assert written.startswith(golden)
            assert len(place.messages()) == 1001
        else:
            assert written == golden
    after = place.statuses()
    after.pop("AC900", None)
    assert after == expected_statuses(case)
    assert len(after.keys() - before.keys()) == case["new_rows_in_accounting"]
    if ran.code:
        words = [line for line in (recorded / "stderr.txt").read_text().splitlines() if line[:6] == "Error:"]
        assert [line for line in ran.stderr.splitlines() if line[:6] == "Error:"] == words


def test_the_ninth_decimal_is_rounded_in_the_ledger(place: Workplace) -> None:
    place.write(row("AC63", quantity="1.123456789"), row("AC64", quantity="-5"))

    place.process()

    assert place.stored() == {"AC63": ("PROC", "1.12345679"), "AC64": ("PROC", "-5.00000000")}


def test_cash_overflows_like_a_holding(place: Workplace) -> None:
    place.write(row("AC1", quantity="200000000.00000000"), row("AC2"))

    ran = place.process("--batch-size", "1")

    ((source_id, message),) = place.messages()
    assert (source_id, ran.count("Success Records")) == ("AC1", 1)
    assert '"field":"processing"' in message
    assert place.statuses() == {"AC1": "ERROR", "AC2": "PROC"}


def test_buying_and_selling_change_the_holding_and_the_cash(place: Workplace) -> None:
    place.write(
        row("AC1", quantity="3", price="2.5"), row("AC2", quantity="4", price="2").replace("BUY", "sell")
    )

    place.process()

    with Ledger(place.ledger) as ledger:
        assert (ledger.balance(PORTFOLIO, SECURITY), ledger.balance(PORTFOLIO)) == (-1, 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (row("AC1").replace("20260302", "20260230"), "transaction_date must be in YYYYMMDD format"),
        (row("AC1", price="x"), "price must be a valid decimal number"),
        (row("AC1").replace(SECURITY, "short"), "security_id must be 24 characters"),
        (row("AC1").replace(PORTFOLIO, "é" * 13), "portfolio_id must be 24 characters"),
    ],
    ids=["no such day", "price", "security id", "bytes, not characters"],
)
def test_the_cli_itself_refuses_a_row_that_breaks_a_rule(place: Workplace, text: str, message: str) -> None:
    place.write(text, row("AC2"))

    ran = place.process()

    assert place.messages() == [("AC1", message)]
    assert (ran.count("Success Records"), place.statuses()) == (1, {"AC2": "PROC"})


def test_ids_may_hold_ascii_letters_and_digits_only(place: Workplace) -> None:
    place.write(row("AC1").replace(PORTFOLIO, "é" * 12))

    place.process()

    ((_, message),) = place.messages()
    assert message.startswith("HTTP 207: ")
    assert '"field":"portfolioId"' in message
    assert place.statuses() == {}


def test_headers_may_come_in_any_order_among_others_and_blank_lines_do_not_count(place: Workplace) -> None:
    names = [*reversed(HEADER.strip().split(",")), "more"]
    values = ",".join([*reversed(good("AC1")), '"two\nlines"'])
    place.input.write_bytes(f"\r\n{','.join(names)}\r\n\n{values}\r\n\r\n{values}".encode())

    ran = place.process("--batch-size", "1")

    assert (ran.count("Total Records"), ran.count("Success Records")) == (2, 1)
    assert place.statuses() == {"AC1": "PROC"}


def test_an_output_directory_that_cannot_be_made_ends_the_run(place: Workplace) -> None:
    place.write(row("AC1"))
    (place.path / "out").write_text("a file", encoding="utf-8")

    ran = place.process()

    assert (ran.code, ran.stdout, place.statuses()) == (1, "", {})


def test_an_error_file_that_cannot_be_written_is_not_named(place: Workplace) -> None:
    place.write(row("AC1", price="0"))
    place.errors.mkdir(parents=True)

    ran = place.process()

    assert (ran.code, ran.count("Error Records")) == (0, 1)
    assert "Error File" not in ran.stdout


def test_the_error_file_of_the_last_run_stays_when_nothing_fails(place: Workplace) -> None:
    place.errors.parent.mkdir()
    place.errors.write_text("old", encoding="utf-8")
    place.write(row("AC1"))

    place.process()

    assert place.errors.read_text(encoding="utf-8") == "old"


def test_the_ledger_is_in_the_output_directory_unless_told_otherwise(place: Workplace) -> None:
    place.write(row("AC1"))

    place.process(environment={"SIMULATED_ACCOUNTING_LEDGER": ""})

    with Ledger(place.path / "out" / LEDGER_NAME) as ledger:
        assert [entry.source_id for entry in ledger.entries()] == ["AC1"]


@pytest.mark.parametrize(
    "wrong",
    [["--batch-size", "0"], ["--timeout", "5"], ["--no-such-flag"]],
    ids=["batch size", "timeout without unit", "unknown flag"],
)
def test_a_wrong_command_line_ends_with_1(place: Workplace, wrong: list[str]) -> None:
    place.write(row("AC1"))

    assert place.process(*wrong).code == 1
    assert place.input.exists()


def test_flags_that_the_real_one_ignores_are_ignored(place: Workplace) -> None:
    place.write(row("AC1"))

    ran = place.process(
        *("--workers", "4", "--force", "--log-level", "debug", "--config", "none.yaml", "--timeout", "1m30s")
    )

    assert (ran.code, place.statuses()) == (0, {"AC1": "PROC"})


def test_it_starts_without_anything_but_the_standard_library(place: Workplace) -> None:
    program = (
        "import sys; import globeco_allocation.entrypoints.simulated.accounting_cli;"
        "print(sorted({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))"
    )

    before, after = (
        subprocess.run(
            [sys.executable, "-c", text], cwd=place.path, check=True, capture_output=True, text=True
        ).stdout
        for text in (program.replace(".entrypoints.simulated.accounting_cli", ""), program)
    )

    assert after == before
    assert "aiohttp" not in after
