"""The simulated accounting CLI misbehaves on request, and keeps the ledger's truth meanwhile."""

import re
import signal
import subprocess

import pytest
from tests.simulated.workplace import PATIENCE, PORTFOLIO, SECURITY, Workplace, good, row

from globeco_allocation.entrypoints.simulated.accounting_faults import Fault, WantedFault
from globeco_allocation.entrypoints.simulated.accounting_ledger import Ledger


def test_cut_off_answers_hide_that_the_rows_are_booked(place: Workplace) -> None:
    place.write(row("AC1"), row("AC2"))

    ran = place.process(fault="eof", environment={"GLOBECO_PA_SERVER_PORT": "9"})

    message = 'Post "http://127.0.0.1:9/api/v1/transactions": EOF'
    assert place.messages() == [("AC1", message), ("AC2", message)]
    assert (ran.count("Success Records"), place.statuses()) == (0, {"AC1": "PROC", "AC2": "PROC"})


def test_every_row_can_be_refused_by_the_server(place: Workplace) -> None:
    place.write(row("AC1"), row("AC2"))

    ran = place.process("--batch-size", "1", fault="refuse-all")

    assert (ran.code, ran.count("Error Records"), place.statuses()) == (0, 2, {})
    assert all('"field":"transaction"' in message for _, message in place.messages())


def test_it_can_fail_before_anything_is_read(place: Workplace) -> None:
    place.write(row("AC1"))

    ran = place.process(fault="exit-1")

    assert (ran.code, ran.stdout, place.statuses()) == (1, "", {})
    assert place.input.exists()


def test_it_can_print_nonsense_and_claim_success(place: Workplace) -> None:
    place.write(row("AC1"))

    ran = place.process(fault="garbage")

    assert (ran.code, place.errors.exists(), place.statuses()) == (0, False, {})
    assert ran.stdout
    assert not re.search(r"^Total Records: \d", ran.stdout, re.MULTILINE)


def test_killed_in_the_middle_of_a_row_it_leaves_that_row_new_and_says_nothing(place: Workplace) -> None:
    place.book(good("AC1"))
    place.write(row("AC1"), row("AC2"), row("AC3"))

    killed = place.process("--batch-size", "1", fault="killed")

    assert (killed.code, killed.stdout, place.errors.exists()) == (-signal.SIGKILL, "", False)
    assert place.statuses() == {"AC1": "PROC", "AC2": "NEW"}

    again = place.process("--batch-size", "1")

    assert (again.count("Success Records"), again.count("Error Records")) == (1, 2)
    assert place.statuses() == {"AC1": "PROC", "AC2": "NEW", "AC3": "PROC"}


def test_it_can_be_killed_in_the_middle_of_a_later_row(place: Workplace) -> None:
    place.book(good("AC1"))
    place.write(*(row(f"AC{number}") for number in range(1, 6)))

    killed = place.process("--batch-size", "1", fault="killed_at:3")

    assert (killed.code, killed.stdout) == (-signal.SIGKILL, "")
    assert place.statuses() == {"AC1": "PROC", "AC2": "PROC", "AC3": "PROC", "AC4": "NEW"}
    with Ledger(place.ledger) as ledger:
        assert ledger.balance(PORTFOLIO, SECURITY) == 3 * 100


def test_one_answer_can_be_lost_among_others(place: Workplace) -> None:
    place.write(row("AC1"), row("AC2"), row("AC3"))

    ran = place.process("--batch-size", "1", fault="eof:2")

    ((source_id, message),) = place.messages()
    assert (source_id, message.endswith(": EOF"), ran.count("Success Records")) == ("AC2", True, 2)
    assert set(place.statuses().values()) == {"PROC"}


def test_it_can_fail_a_number_of_times_and_then_behave(place: Workplace) -> None:
    codes: list[int] = []
    for _ in range(3):
        place.write(row("AC1"))
        codes.append(place.process(fault="exit_1:2").code)

    assert codes == [1, 1, 0]
    assert place.statuses() == {"AC1": "PROC"}


def test_it_can_delete_its_input_although_told_to_keep_it(place: Workplace) -> None:
    place.write(row("AC1"), row("AC2"))

    ran = place.process("--skip-sort", "--batch-size", "1", fault="delete-input")

    assert (ran.code, ran.count("Success Records"), place.input.exists()) == (0, 2, False)


@pytest.mark.parametrize(
    ("fault", "ends_on_sigterm"), [("hang", True), ("hang-ignoring-term", False)], ids=["obeys", "ignores"]
)
def test_hanging_it_waits_at_the_first_row_until_it_is_ended(
    place: Workplace, fault: str, ends_on_sigterm: bool
) -> None:
    place.write(row("AC1"))

    with place.start("process", "--file", "transactions.csv", "--output-dir", "out", fault=fault) as process:
        try:
            assert process.stderr is not None
            process.stderr.readline()  # it has started
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.3)
            process.terminate()
            if not ends_on_sigterm:
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(0.3)
                process.kill()
            stdout, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()

    assert (process.returncode, stdout) == (-signal.SIGTERM if ends_on_sigterm else -signal.SIGKILL, b"")
    assert (place.statuses(), place.input.exists(), place.errors.exists()) == ({}, True, False)


def test_the_fault_can_be_read_from_a_file_that_changes_between_runs(place: Workplace) -> None:
    named = place.path / "fault"
    codes: list[int] = []
    for text in ("exit-1", ""):
        place.write(row("AC1"))
        named.write_text(text, encoding="utf-8")
        codes.append(place.process(fault=f"@{named}").code)

    assert codes == [1, 0]
    assert place.statuses() == {"AC1": "PROC"}


@pytest.mark.parametrize(
    "fault", ["sever-down", "hang:2", "killed:", "killed:0", "killed:x", "exit-1:-1", "slow"]
)
def test_a_fault_nobody_knows_is_not_taken_for_none(fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        WantedFault.parse(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", WantedFault(Fault.NONE)),
        (" server-down\n", WantedFault(Fault.SERVER_DOWN)),
        ("server_down", WantedFault(Fault.SERVER_DOWN)),
        ("killed", WantedFault(Fault.KILLED)),
        ("killed-at:7", WantedFault(Fault.KILLED, 7)),
        ("exit-1", WantedFault(Fault.EXIT_1)),
    ],
)
def test_a_fault_is_a_name_and_for_some_a_number(text: str, fault: WantedFault) -> None:
    assert WantedFault.parse(text) == fault


def test_a_wrong_setting_of_its_own_ends_the_run(place: Workplace) -> None:
    place.write(row("AC1"))

    assert place.process(fault="sever-down").code == 2
    assert place.statuses() == {}


@pytest.mark.parametrize(
    ("fault", "setting"), [("", "50"), ("slow:50", "0")], ids=["by setting", "by fault, which may change"]
)
def test_each_new_row_takes_the_time_that_was_set_and_a_known_one_none(
    place: Workplace, fault: str, setting: str
) -> None:
    place.book(*(good(f"AC{number}") for number in range(1, 500)))
    place.write(*(row(f"AC{number}") for number in range(1, 502)))

    environment = {"SIMULATED_ACCOUNTING_MS_PER_ROW": setting}
    ran = place.process("--batch-size", "1", fault=fault, environment=environment)

    ((number, unit),) = re.findall(r"Processing Duration: ([0-9.]+)(ms|s)", ran.stdout)
    assert 2 * 0.050 <= float(number) / (1000 if unit == "ms" else 1) < 500 * 0.050
