"""``globeco-allocation batches deliver``: what is due is written and delivered without the service."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.cli.office import Office, refused
from tests.processes import command_line

from globeco_allocation.entrypoints.exit_codes import ExitCode

PATIENCE = 60.0


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def runs(of: Path) -> list[psutil.Process]:
    """The accounting CLI's processes on a file."""
    return [one for one in psutil.process_iter() if str(of) in command_line(one)]


def end(process: "subprocess.Popen[str]") -> tuple[str, str]:
    try:
        return process.communicate(timeout=PATIENCE)
    finally:
        process.kill()


def test_a_batch_that_was_only_claimed_is_written_and_delivered(office: Office) -> None:
    batch = office.claimed(4)

    said = office.run("deliver")

    (delivery,) = office.of_batch(batch)
    assert (said.code, said.err) == (ExitCode.OK, "")
    assert said.lines == [
        f"batch {batch}: writing its files ...",
        f"{delivery.file_name}: attempt 1, 4 records ...",
        f"{delivery.file_name}: delivered, 4 booked",
    ]
    assert office.booked() == {f"AC{key}": "PROC" for key in (1, 2, 3, 4)}


def test_every_lane_and_part_is_delivered(office: Office) -> None:
    planned = office.planned(2)
    files = office.written(12, lanes=3, largest=2)

    said = office.run("deliver")

    assert said.code == ExitCode.OK
    assert {office.status(one) for one in (planned, *files)} == {"delivered"}
    assert len(office.booked()) == 14


def test_a_run_that_a_killed_service_had_begun_is_carried_on_by_its_number(office: Office) -> None:
    delivery = office.held()
    office.sql("UPDATE delivery SET lease_until = clock_timestamp()")

    said = office.run("deliver")

    assert said.code == ExitCode.OK
    assert said.lines[0] == f"{delivery.file_name}: attempt 1, 2 records ..."
    assert office.get(delivery.id).attempts == 1
    assert set(office.booked().values()) == {"PROC"}


def test_where_nothing_is_to_be_done_it_says_so(office: Office) -> None:
    office.failed()

    said = office.run("deliver", "--wait", "60")

    assert (said.code, said.out) == (ExitCode.OK, "Nothing to deliver: every file has its outcome.\n")


def test_refused_records_are_exit_code_4(office: Office) -> None:
    office.claimed(2)
    office.sql("UPDATE execution SET portfolio_id = 'too short' WHERE id = 1")

    said = office.run("deliver")

    assert said.code == ExitCode.PARTIAL
    assert "partial, 1 booked: " in said.lines[-1]
    assert office.booked() == {"AC2": "PROC"}


def test_a_file_of_which_nothing_is_taken_is_exit_code_1(office: Office) -> None:
    office.claimed(2)

    said = office.run("deliver", SIMULATED_ACCOUNTING_FAULT="refuse-all")

    assert said.code == ExitCode.FAILED
    assert "failed, 0 booked: " in said.lines[-1]


def test_a_failed_attempt_leaves_its_file_for_later(office: Office) -> None:
    batch = office.claimed(2)

    said = office.run(
        "deliver", SIMULATED_ACCOUNTING_FAULT="exit-1", DELIVERY_RETRY_BASE_DELAY_SECONDS="3600"
    )

    (delivery,) = office.of_batch(batch)
    assert said.code == ExitCode.UNDER_WAY
    assert f"{delivery.file_name}: not delivered, tried again in " in said.lines[-2]
    assert said.lines[-1].startswith(f"{delivery.file_name}: delivering still, tried again at ")
    assert delivery.attempts == 1


def test_with_time_to_wait_it_is_tried_again_until_it_is_delivered(office: Office) -> None:
    batch = office.claimed(2)

    said = office.run("deliver", "--wait", "60", SIMULATED_ACCOUNTING_FAULT="exit-1:2")

    (delivery,) = office.of_batch(batch)
    assert said.code == ExitCode.OK
    assert said.lines[-1] == f"{delivery.file_name}: delivered, 2 booked"
    assert [line for line in said.lines if line.startswith("Waiting")]
    assert delivery.attempts == 3


def test_with_time_to_wait_it_ends_when_its_attempts_are_used_up(office: Office) -> None:
    batch = office.claimed(2)

    said = office.run(
        "deliver", "--wait", "60", SIMULATED_ACCOUNTING_FAULT="exit-1", DELIVERY_RETRY_MAX_ATTEMPTS="2"
    )

    (delivery,) = office.of_batch(batch)
    assert said.code == ExitCode.FAILED
    assert said.lines[-1].startswith(f"{delivery.file_name}: failed, 0 booked: ")
    assert delivery.attempts == 2


def test_a_failure_is_told_before_what_is_not_done_yet(office: Office) -> None:
    first, second = office.written(2, largest=1)
    office.sql(
        "UPDATE delivery SET not_before = clock_timestamp() + interval '1 hour' WHERE id = %s", second.id
    )

    said = office.run("deliver", SIMULATED_ACCOUNTING_FAULT="refuse-all")

    assert said.code == ExitCode.FAILED
    assert said.line(f"{first.file_name}: failed")
    assert said.lines[-1] == f"{second.file_name}: written still"


def test_what_others_work_on_is_left_to_them(office: Office) -> None:
    delivery = office.held()

    said = office.run("deliver")

    assert (said.code, said.out) == (
        ExitCode.UNDER_WAY,
        f"{delivery.file_name}: delivering still\n",
    )


def test_a_batch_of_which_no_file_is_planned_is_not_overlooked(office: Office) -> None:
    batch = office.claimed(2)
    office.sql("UPDATE batch_claim SET lease_until = clock_timestamp() + interval '1 hour'")

    said = office.run("deliver")

    assert said.code == ExitCode.UNDER_WAY
    assert said.lines == [f"batch {batch}: claimed still; somebody is writing its files, or was"]


def test_however_much_is_left_few_lines_tell_of_it(office: Office) -> None:
    office.written(25, largest=1)

    said = office.run("deliver", CLI_COMMAND="")

    assert len(said.lines) == 20 + 1 + 1
    assert said.lines[-2] == "... and 5 more: see `batches list`"


def test_without_an_accounting_cli_files_are_written_and_it_says_so(office: Office) -> None:
    batch = office.claimed(2)

    said = office.run("deliver", CLI_COMMAND="")

    (delivery,) = office.of_batch(batch)
    assert (said.code, said.err) == (ExitCode.UNDER_WAY, "")
    assert said.lines[1:] == [
        f"{delivery.file_name}: written still",
        "No accounting CLI is set (CLI_COMMAND): files are written, but not delivered.",
    ]


def test_a_command_that_names_no_file_is_told(office: Office) -> None:
    office.written(2)

    said = office.run("deliver", CLI_COMMAND="docker run -it cli process --file /data/transactions.csv")

    assert (said.code, said.out) == (ExitCode.USAGE, "")
    assert "CLI_COMMAND must hold {filename}" in said.err


def test_a_program_that_is_not_there_is_told_and_the_file_waits(office: Office) -> None:
    office.written(2)

    said = office.run("deliver", CLI_COMMAND="portfolio-cli-that-is-not-there {filename}")

    assert said.code == ExitCode.UNDER_WAY
    assert "there is no such program" in said.lines[-1]


@pytest.mark.parametrize("where", ["/proc/1", "/dev/null"])
def test_an_output_directory_that_cannot_be_used_is_told(office: Office, where: str) -> None:
    batch = office.claimed(2)

    said = office.run("deliver", OUTPUT_DIR=where)

    refused(said, "a transaction file was not written: the output directory")
    assert said.out == ""
    assert office.of_batch(batch) == []


def test_a_file_that_cannot_be_written_does_not_keep_the_others(office: Office) -> None:
    older = office.written(1)[0]
    newer = office.planned(1)
    (office.files / newer.file_name).write_text("somebody else's")

    said = office.run("deliver")

    assert said.code == ExitCode.UNDER_WAY
    assert office.status(older) == "delivered"
    assert f"batch {newer.batch_id}: the file {newer.file_name} was not written: another one" in said.out
    assert said.lines[-1].startswith(f"{newer.file_name}: claimed still: ")


def test_while_delivery_is_stopped_it_says_why(office: Office) -> None:
    stopped = office.stopped()
    (waiting,) = office.written(2)

    said = office.run("deliver")

    assert said.code == ExitCode.UNDER_WAY
    assert said.lines[0] == f"{waiting.file_name}: written still"
    assert f"by batch {stopped.batch_id}: " in said.line("ALL DELIVERY IS STOPPED")
    assert office.booked() == {}


def test_a_kubernetes_api_that_does_not_answer_is_exit_code_3(office: Office, tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "contexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n"
    )

    said = office.run("deliver", KUBERNETES_BATCH_ENABLED="true", KUBECONFIG=str(config))
    nowhere = office.run("deliver", KUBERNETES_BATCH_ENABLED="true", KUBECONFIG=str(tmp_path / "none"))

    assert said.code == ExitCode.TRY_AGAIN
    assert "the Kubernetes API cannot be used now" in said.err
    refused(nowhere, "the file that KUBECONFIG names cannot be used")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_command_hands_its_lease_back_and_leaves_the_run_alone(
    office: Office, tmp_path: Path, how: signal.Signals
) -> None:
    (delivery,) = office.written(2)
    fault = tmp_path / "fault"
    fault.write_text("slow:1500")

    process = office.start("deliver", SIMULATED_ACCOUNTING_FAULT=f"@{fault}")
    wait_until(lambda: office.get(delivery.id).run_uid)
    process.send_signal(how)
    _, err = end(process)
    left_running = runs(office.files / delivery.file_name)
    leases = office.sql("SELECT lease_until FROM delivery")
    fault.write_text("")
    said = office.run("deliver", SIMULATED_ACCOUNTING_FAULT=f"@{fault}")

    assert process.returncode == ExitCode.INTERRUPTED
    assert err.startswith("globeco-allocation: interrupted. The work is handed back")
    assert "Traceback" not in err
    assert left_running
    assert [tuple(one) for one in leases] == [(None,)]
    assert said.lines[-1] == f"{delivery.file_name}: delivered, 2 booked"
    assert office.get(delivery.id).attempts == 1


def test_a_command_that_is_to_outlive_its_terminal_does(office: Office, tmp_path: Path) -> None:
    (delivery,) = office.written(2)
    fault = tmp_path / "fault"
    fault.write_text("slow:500")

    earlier = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what nohup does; a child inherits it
    try:
        process = office.start("deliver", SIMULATED_ACCOUNTING_FAULT=f"@{fault}")
    finally:
        signal.signal(signal.SIGHUP, earlier)
    wait_until(lambda: office.get(delivery.id).run_uid)
    process.send_signal(signal.SIGHUP)
    out, _ = end(process)

    assert process.returncode == ExitCode.OK
    assert out.endswith(f"{delivery.file_name}: delivered, 2 booked\n")


def test_two_at_once_deliver_everything_once(office: Office) -> None:
    files = office.written(6, lanes=2, largest=1)

    processes = [office.start("deliver", "--wait", "60") for _ in range(2)]
    said = [end(one) for one in processes]

    assert [one.returncode for one in processes] == [ExitCode.OK, ExitCode.OK]
    assert {office.get(one.id).attempts for one in files} == {1}
    assert sum(out.count(": delivered, 1 booked") for out, _ in said) == 6
    assert office.booked() == {f"AC{key}": "PROC" for key in range(1, 7)}
