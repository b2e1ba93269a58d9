"""Whatever the accounting CLI does, each record is booked once, or listed by name."""

import pytest
from tests.chaos.stage import Stage
from tests.process.service_process import ServiceProcess, wait_until

SLOW_MS = 60


def sent(stage: Stage, service: ServiceProcess, count: int) -> int:
    """Post and send so many executions; gives the batch."""
    stage.post(service, count)
    stage.send_meanwhile(service)
    wait_until(lambda: stage.newest_batch() > 0, "the batch is claimed")
    return stage.newest_batch()


def attempts(stage: Stage, batch: int) -> int:
    return int(stage.ask("SELECT coalesce(sum(attempts), 0) FROM delivery WHERE batch_id = %s", batch)[0][0])


def test_a_cli_killed_in_the_middle_of_a_row_leaves_it_unconfirmed(stage: Stage) -> None:
    service = stage.replica()
    stage.accounting.does(f"slow:{SLOW_MS}")
    batch = sent(stage, service, 20)
    stage.accounting.until_rows_are_booked(3)
    in_flight = stage.accounting.stop_a_run_in_the_middle_of_a_row()
    stage.accounting.kill_runs()

    delivery = stage.only_delivery(service, batch)

    assert (delivery["status"], delivery["acceptedCount"], delivery["rejectedCount"]) == ("partial", 19, 1)
    assert [(one["sourceId"], one["verdict"]) for one in delivery["rejects"]] == [(in_flight, "unconfirmed")]
    assert stage.accounting.books().statuses[in_flight] == "NEW"
    stage.check(service)


@pytest.mark.parametrize("fault", ["hang", "hang-ignoring-term"])
def test_a_cli_that_hangs_is_ended_and_run_again(stage: Stage, fault: str) -> None:
    service = stage.replica(CLI_TIMEOUT_SECONDS="2")
    stage.accounting.does(fault)
    batch = sent(stage, service, 10)
    stage.accounting.until_a_run_goes_on()
    stage.accounting.does("")

    delivery = stage.only_delivery(service, batch)

    assert (delivery["status"], delivery["acceptedCount"], delivery["attempts"]) == ("delivered", 10, 2)
    stage.check(service)


def test_a_cli_that_fails_twice_is_run_a_third_time(stage: Stage) -> None:
    service = stage.replica()
    stage.accounting.does("exit-1:2")
    batch = sent(stage, service, 10)

    delivery = stage.only_delivery(service, batch)

    assert (delivery["status"], delivery["acceptedCount"], delivery["attempts"]) == ("delivered", 10, 3)
    stage.check(service)


def test_exit_code_0_with_everything_refused_is_no_success(stage: Stage) -> None:
    service = stage.replica()
    stage.accounting.does("refuse-all")
    batch = sent(stage, service, 10)

    delivery = stage.only_delivery(service, batch)

    assert (delivery["status"], delivery["exitCode"], delivery["rejectedCount"]) == ("failed", 0, 10)
    assert {one["verdict"] for one in delivery["rejects"]} == {"refused"}
    assert len({one["sourceId"] for one in delivery["rejects"]}) == 10
    stage.check(service)


@pytest.mark.parametrize("fault", ["garbage", "exit-1", "unreadable-answer", "server-500"])
def test_what_tells_nothing_is_unknown_until_a_resend_makes_it_known(stage: Stage, fault: str) -> None:
    service = stage.replica()
    stage.accounting.does(fault)
    batch = sent(stage, service, 10)
    failed = stage.only_delivery(service, batch)
    stage.accounting.does("")

    assert (failed["status"], failed["unknownCount"], failed["attempts"] >= 3) == ("failed", 10, True), failed
    assert service.post(f"/api/v1/batches/{batch}/resend", {})[0] == 200
    delivery = stage.only_delivery(service, batch)
    assert (delivery["status"], delivery["acceptedCount"]) == ("delivered", 10), delivery
    stage.check(service)


def test_a_cli_that_deletes_its_input_takes_nothing_away(stage: Stage) -> None:
    service = stage.replica()
    stage.accounting.does("delete-input")
    batch = sent(stage, service, 10)

    delivery = stage.only_delivery(service, batch)

    assert delivery["status"] == "delivered"
    assert len((stage.files / delivery["fileName"]).read_bytes()) == delivery["byteCount"]
    stage.check(service)


@pytest.mark.parametrize("fault", ["server-down", "accounting-database-down"])
def test_an_accounting_server_that_is_down_for_a_while_is_waited_for(stage: Stage, fault: str) -> None:
    service = stage.replica(DELIVERY_RETRY_MAX_ATTEMPTS="100", DELIVERY_RETRY_BASE_DELAY_SECONDS="0.1")
    stage.accounting.does(fault)
    batch = sent(stage, service, 10)
    wait_until(lambda: attempts(stage, batch) >= 2, "a second attempt")
    stage.accounting.does("")

    delivery = stage.only_delivery(service, batch)

    assert (delivery["status"], delivery["acceptedCount"]) == ("delivered", 10), delivery
    stage.check(service)


@pytest.mark.parametrize("fault", ["eof", "eof:4"])
def test_lost_answers_are_found_out(stage: Stage, fault: str) -> None:
    service = stage.replica()
    stage.accounting.does(fault)
    batch = sent(stage, service, 10)
    wait_until(lambda: attempts(stage, batch) >= 2, "a second attempt")
    stage.accounting.does("")

    delivery = stage.only_delivery(service, batch)

    assert (delivery["status"], delivery["acceptedCount"]) == ("delivered", 10), delivery
    stage.check(service)
