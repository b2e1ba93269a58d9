"""Many senders, impatient callers, replicas set up differently, and foreign rows at Portfolio Accounting."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter

from tests.chaos.stage import Stage
from tests.process.service_process import wait_until

from globeco_allocation.entrypoints.simulated.trade_service import invented_portfolio

SENDS_AND_RESENDS = 20


def test_twenty_sends_and_resends_at_once(stage: Stage) -> None:
    replicas = [stage.replica(DELIVERY_LANES="4") for _ in range(2)]
    stage.accounting.does("refuse-all")
    refused: list[int] = []
    for number in range(4):
        stage.post(replicas[number % 2], 24)
        assert stage.send(replicas[number % 2])[0] in {500, 202}  # 202: it takes longer than a caller waits
        refused.append(stage.newest_batch())
        assert stage.until_at_rest(replicas[0], refused[-1])["status"] == "failed"
    stage.accounting.does("slow:5")
    for replica in replicas:
        stage.post(replica, 24)

    began = time.monotonic()
    asked = [
        (path, stage.post_meanwhile(replicas[number % 2], path))
        for number, path in enumerate(
            [
                "/api/v1/executions/send"
                if number % 2
                else f"/api/v1/batches/{refused[number // 2 % 4]}/resend"
                for number in range(SENDS_AND_RESENDS)
            ]
        )
    ]
    answers = [answer.result(60) for _, answer in asked]

    assert {answer[0] if answer else 0 for answer in answers} <= {200, 202, 409}, answers
    for (batch,) in stage.ask("SELECT batch_id FROM batch_claim"):
        found = stage.until_at_rest(replicas[1], batch, 60)
        assert found["status"] in {"delivered", "empty"}, found
    stage.note(f"all ended after {time.monotonic() - began:.1f} s: {Counter(a[0] for a in answers if a)}")
    attempts = dict(stage.ask("SELECT file_name, attempts::bigint FROM delivery"))
    assert Counter(run.file for run in stage.accounting.books().runs) == attempts
    stage.check(replicas[0])
    stage.check(replicas[1])


def test_a_caller_with_less_time_than_the_cli_takes(stage: Stage) -> None:
    service = stage.replica(SEND_WAIT_SECONDS="2")
    stage.post(service, 40)
    stage.accounting.does("slow:200")

    began = time.monotonic()
    status, answer = stage.send(service)
    seconds = time.monotonic() - began

    assert (status, answer["status"]) == (202, "processing")
    assert seconds < 2.5
    assert stage.batch(service, answer["batchId"])["status"] == "delivering"
    delivery = stage.only_delivery(service, answer["batchId"])
    stage.note(f"202 after {seconds:.1f} s, {delivery['status']} after {time.monotonic() - began:.1f} s")
    assert (delivery["status"], delivery["acceptedCount"]) == ("delivered", 40)
    stage.check(service)


def test_another_lane_count_waits_for_every_run_that_goes_on(stage: Stage) -> None:
    one, four = stage.replica(DELIVERY_LANES="1"), stage.replica(DELIVERY_LANES="4")
    stage.post(one, 30)
    stage.accounting.does("slow:100")
    stage.send_meanwhile(one)
    stage.accounting.until_rows_are_booked(1)
    stage.post(four, 30)
    status, second = stage.until_sent(four)
    assert status == 202
    stage.post(one, 30)
    _, third = stage.until_sent(one)

    for batch in (second["batchId"], third["batchId"]):
        assert stage.until_at_rest(four, batch)["status"] == "delivered"
    stage.check(one)
    stage.check(four)
    lanes = dict(stage.ask("SELECT file_name, lane_count FROM delivery"))
    runs = [run for run in stage.accounting.books().runs if run.ended]
    assert set(lanes.values()) == {1, 4}
    apart = [
        (earlier, later)
        for earlier in runs
        for later in runs
        if earlier.number < later.number and lanes[earlier.file] != lanes[later.file]
    ]
    assert all(earlier.ended <= later.started for earlier, later in apart)


def test_what_was_written_without_a_cli_is_delivered_once_one_is_set(stage: Stage) -> None:
    without = stage.replica(CLI_COMMAND="")
    stage.post(without, 10)
    status, answer = stage.send(without)
    assert (status, answer["executionMode"]) == (202, "none")
    assert "CLI_COMMAND" in answer["message"]
    assert stage.batch(without, answer["batchId"])["status"] == "written"
    without.signal(signal.SIGTERM)
    assert without.exit_code() == 0

    began = time.monotonic()
    service = stage.replica()

    delivery = stage.only_delivery(service, answer["batchId"])
    stage.note(f"delivered {time.monotonic() - began:.1f} s after the start")
    assert (delivery["status"], delivery["acceptedCount"]) == ("delivered", 10)
    stage.check(service)


def test_foreign_rows_under_our_source_ids_stop_all_delivery_until_an_operator_decides(stage: Stage) -> None:
    service = stage.replica(SEND_WAIT_SECONDS="20")
    for number in (1, 2, 3):
        stage.accounting.plant(f"AC{number}", invented_portfolio(number))
    stage.post(service, 10)
    status, collided = stage.send(service)
    assert status == 500
    assert "batches resolve" in collided["message"]
    batch = stage.newest_batch()
    (delivery,) = stage.batch(service, batch)["deliveries"]
    assert {one["sourceId"] for one in delivery["rejects"] if one["verdict"] == "duplicate"} == {
        "AC1",
        "AC2",
        "AC3",
    }

    stage.post(service, 10)
    status, waiting = stage.send(service)
    assert (status, waiting["status"]) == (202, "processing")
    assert "stopped until an operator decides" in waiting["message"]
    assert stage.batch(service, waiting["batchId"])["status"] == "written"
    assert len(stage.accounting.books().runs) == 1

    began = time.monotonic()
    run = subprocess.run(
        [
            *(sys.executable, "-m", "globeco_allocation", "batches", "resolve"),
            *("--stop", "--reason", "they were booked by the old system"),
        ],
        env=stage.environment(),
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, json.dumps([run.stdout, run.stderr])
    wait_until(
        lambda: stage.batch(service, waiting["batchId"])["status"] == "delivered", "deliveries go on", 10
    )
    stage.note(f"deliveries went on {time.monotonic() - began:.1f} s after the decision")
    stage.check(service)
