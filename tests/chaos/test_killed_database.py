"""PostgreSQL is killed in the middle of a POST, of a send and of a delivery, and started again."""

import time
from collections import Counter

import pytest
from tests.chaos.gates import Step, closed_gate
from tests.chaos.own_postgres import OwnPostgres, own_postgres
from tests.chaos.stage import Stage
from tests.process.service_process import ServiceProcess, wait_until

PAUSE_SECONDS = 1.0
SLOW_MS = 60


def comes_back(stage: Stage, server: OwnPostgres, service: ServiceProcess) -> float:
    """Start the server again, and tell when; the service is ready soon."""
    server.start()
    since = time.monotonic()
    wait_until(service.is_ready, "ready after the outage")
    stage.note(f"ready {time.monotonic() - since:.1f} s after the database was back")
    return since


def test_in_the_middle_of_a_post_of_a_hundred(stage: Stage) -> None:
    with own_postgres() as server:
        stage.database = server.address
        service = stage.replica()
        records = stage.records(100)
        with closed_gate(stage.database, Step.KEPT) as gate:
            answer = stage.post_meanwhile(service, "/api/v1/executions", records)
            gate.until_reached()
            server.kill()
        broken = answer.result(30)
        assert broken is not None
        assert broken[0] == 503, broken
        comes_back(stage, server, service)

        status, result = service.post("/api/v1/executions", records)

        assert (status, result["errorCount"]) == (201, 0)
        assert len({one["executionId"] for one in result["results"]}) == 100
        stage.check(service)


@pytest.mark.parametrize("step", [Step.CLAIM, Step.PLAN, Step.WRITTEN], ids=lambda step: step.name.lower())
def test_in_the_middle_of_a_send(stage: Stage, step: Step) -> None:
    with own_postgres() as server:
        stage.database = server.address
        service = stage.replica()
        stage.post(service, 20)
        with closed_gate(stage.database, step) as gate:
            answer = stage.send_meanwhile(service)
            gate.until_reached()
            server.kill()
        told = answer.result(30)
        assert told is not None
        assert told[0] == (503 if step is Step.CLAIM else 202), told
        since = comes_back(stage, server, service)

        if step is Step.CLAIM:
            assert stage.newest_batch() == 0
            stage.until_sent(service)
        delivery = stage.only_delivery(service, stage.newest_batch())
        stage.note(f"delivered {time.monotonic() - since:.1f} s after the database was back")
        assert (delivery["status"], delivery["acceptedCount"]) == ("delivered", 20)
        stage.check(service)


@pytest.mark.parametrize("when", ["while the CLI runs", "as the verdict is stored"])
def test_in_the_middle_of_a_delivery(stage: Stage, when: str) -> None:
    with own_postgres() as server:
        stage.database = server.address
        service = stage.replica()
        stage.post(service, 20)
        if when == "while the CLI runs":
            stage.accounting.does(f"slow:{SLOW_MS}")
            stage.send_meanwhile(service)
            stage.accounting.until_rows_are_booked(3)
            server.kill()
            stage.accounting.until_no_run_goes_on()
        else:
            with closed_gate(stage.database, Step.JUDGED) as gate:
                stage.send_meanwhile(service)
                gate.until_reached()
                server.kill()
        since = comes_back(stage, server, service)

        delivery = stage.only_delivery(service, stage.newest_batch())
        stage.note(f"delivered {time.monotonic() - since:.1f} s after the database was back")
        assert (delivery["status"], delivery["acceptedCount"], delivery["attempts"]) == ("delivered", 20, 1)
        assert Counter(run.file for run in stage.accounting.books().runs) == {delivery["fileName"]: 1}
        stage.check(service)
