"""The service is killed at every step of a send; a new one goes on from the last recorded step."""

import time

import pytest
from tests.chaos.gates import Closed, Step, closed_gate
from tests.chaos.stage import TAKEN_OVER_SECONDS, Stage, killed, paused
from tests.process.service_process import ServiceProcess

SLOW_MS = 60
RECORDS_OF_TWO_PIECES = 6000
"""Rows are written a quarter to half of a megabyte at a time."""


def successor(stage: Stage, since: float, said: str = "delivery attempt taken on") -> ServiceProcess:
    """Start the service anew, and wait until it has gone on with what the killed one left."""
    service = stage.replica()
    service.logged(said)
    seconds = time.monotonic() - since
    stage.note(f"taken over after {seconds:.1f} s")
    assert seconds < TAKEN_OVER_SECONDS
    return service


def ended_well(stage: Stage, service: ServiceProcess, since: float, records: int) -> None:
    """Wait until all is booked, and check everything."""
    delivery = stage.only_delivery(service, stage.newest_batch())
    stage.note(f"delivered after {time.monotonic() - since:.1f} s")
    assert (delivery["status"], delivery["acceptedCount"]) == ("delivered", records), delivery
    stage.check(service)


def temporary_files(stage: Stage) -> list[str]:
    return [path.name for path in stage.files.glob(".transactions_*.tmp")]


def killed_at(gate: Closed, service: ServiceProcess, *, lost: bool) -> float:
    """Kill the service while its statement waits at a gate: it is lost, or carried out all the same."""
    gate.until_reached()
    since = killed(service)
    if lost:
        gate.turn_away()
    return since


@pytest.mark.parametrize("lost", [True, False], ids=["nothing planned", "files planned"])
def test_after_the_claim_and_before_any_file(stage: Stage, lost: bool) -> None:
    service = stage.replica()
    stage.post(service, 10)
    with closed_gate(stage.database, Step.PLAN) as gate:
        stage.send_meanwhile(service)
        since = killed_at(gate, service, lost=lost)
        assert temporary_files(stage) == []

    ended_well(stage, successor(stage, since, "batch taken over: its files are not all written"), since, 10)


def test_in_the_middle_of_a_file(stage: Stage) -> None:
    service = stage.replica(DELIVERY_LANES="2")
    stage.post(service, RECORDS_OF_TWO_PIECES)
    with closed_gate(stage.database, Step.WRITTEN) as gate:
        stage.send_meanwhile(service)
        # The first piece is in both lanes' files; one of them is whole now, the other one is not.
        since = killed_at(gate, service, lost=False)
        assert len(temporary_files(stage)) == 1
        assert len(list(stage.files.glob("transactions_*.csv"))) == 1

    again = successor(stage, since, "batch taken over: its files are not all written")
    batch = stage.until_at_rest(again, stage.newest_batch())
    stage.note(f"delivered after {time.monotonic() - since:.1f} s")
    assert (batch["status"], batch["recordCount"]) == ("delivered", RECORDS_OF_TWO_PIECES)
    stage.check(again)


def test_after_the_file_has_its_name_and_before_that_is_recorded(stage: Stage) -> None:
    service = stage.replica()
    stage.post(service, 10)
    with closed_gate(stage.database, Step.WRITTEN) as gate:
        stage.send_meanwhile(service)
        since = killed_at(gate, service, lost=True)
        assert len(list(stage.files.glob("transactions_*.csv"))) == 1

    ended_well(stage, successor(stage, since, "batch taken over: its files are not all written"), since, 10)


@pytest.mark.parametrize("lost", [True, False], ids=["not recorded", "recorded"])
def test_before_the_run_is_started(stage: Stage, lost: bool) -> None:
    service = stage.replica()
    stage.post(service, 10)
    with closed_gate(stage.database, Step.BEGUN) as gate:
        stage.send_meanwhile(service)
        since = killed_at(gate, service, lost=lost)

    again = successor(stage, since)
    delivery = stage.only_delivery(again, stage.newest_batch())

    # Whether that run was started nobody can know: it counts as cut off, and the next one knows better.
    stage.note(f"{delivery['status']} after {time.monotonic() - since:.1f} s")
    assert (delivery["status"], delivery["acceptedCount"], delivery["attempts"]) == ("delivered", 10, 2)
    assert len(stage.accounting.books().runs) == 1
    stage.check(again)


@pytest.mark.parametrize("cli", ["lives on", "is killed too"])
def test_while_the_cli_runs(stage: Stage, cli: str) -> None:
    service = stage.replica()
    stage.post(service, 40)
    stage.accounting.does(f"slow:{SLOW_MS}")
    stage.send_meanwhile(service)
    stage.accounting.until_rows_are_booked(3)
    if cli == "lives on":
        run = stage.accounting.pause_the_run()
        since = killed(service)
        again = successor(stage, since)
        stage.until_lease_is_renewed()  # the new one waits for as long as the run goes on
        assert len(stage.accounting.books().runs) == 1
        run.resume()

        ended_well(stage, again, since, 40)
        assert stage.accounting.books().runs[0].ended
        return
    in_flight = stage.accounting.stop_a_run_in_the_middle_of_a_row()
    since = killed(service)
    stage.accounting.kill_runs()

    again = successor(stage, since)
    delivery = stage.only_delivery(again, stage.newest_batch())
    stage.note(f"{delivery['status']} after {time.monotonic() - since:.1f} s")

    assert (delivery["status"], delivery["acceptedCount"], delivery["attempts"]) == ("partial", 39, 2)
    assert [(one["sourceId"], one["verdict"]) for one in delivery["rejects"]] == [(in_flight, "unconfirmed")]
    stage.check(again)


def test_after_the_cli_ended_unseen(stage: Stage) -> None:
    service = stage.replica()
    stage.post(service, 20)
    stage.accounting.does(f"slow:{SLOW_MS}")
    stage.send_meanwhile(service)
    stage.accounting.until_rows_are_booked(3)
    paused(service)
    stage.accounting.until_no_run_goes_on()
    since = killed(service)

    ended_well(stage, successor(stage, since), since, 20)


@pytest.mark.parametrize("lost", [True, False], ids=["verdict lost", "verdict stored"])
def test_after_the_cli_ended_and_before_its_verdict_is_stored(stage: Stage, lost: bool) -> None:
    service = stage.replica()
    stage.post(service, 20)
    with closed_gate(stage.database, Step.JUDGED) as gate:
        stage.send_meanwhile(service)
        since = killed_at(gate, service, lost=lost)
        assert stage.accounting.runs() == []
    again = stage.replica()

    ended_well(stage, again, since, 20)
    runs = [run.file for run in stage.accounting.books().runs]
    assert len(runs) == len(set(runs))  # the verdict came from what the only run had left


def test_with_a_resend_under_way(stage: Stage) -> None:
    service = stage.replica(SEND_WAIT_SECONDS="20")
    stage.post(service, 20)
    stage.accounting.does("refuse-all")
    assert stage.send(service)[0] == 500
    batch = stage.newest_batch()
    stage.accounting.does(f"slow:{SLOW_MS}")
    stage.post_meanwhile(service, f"/api/v1/batches/{batch}/resend")
    stage.accounting.until_rows_are_booked(3)
    run = stage.accounting.pause_the_run()
    since = killed(service)
    again = successor(stage, since)
    stage.until_lease_is_renewed()
    run.resume()

    ended_well(stage, again, since, 20)
