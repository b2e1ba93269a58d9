"""Several workers serve one port, and one that dies is replaced."""

import signal
import socket
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.process.conftest import StartService
from tests.process.records import record
from tests.process.service_process import ServiceProcess, wait_until
from tests.process.several_workers import (
    are_gone,
    ask_until_each_has_answered,
    logged_times,
    metrics_directories,
    wait_until_all_are_ready,
    workers_of,
)
from tests.processes import command_line

from globeco_allocation.adapters.postgres.address import DatabaseAddress


def test_each_worker_answers_on_the_one_port(start_service: StartService, database: DatabaseAddress) -> None:
    service = start_service(database, WORKERS="3")
    wait_until_all_are_ready(service, 3)

    answers = ask_until_each_has_answered(service, "/healthz")

    assert len(workers_of(service)) == 3
    assert all(b'"ok"' in one for one in answers)
    listening = [line for line in service.log if line["message"] == "listening"]
    assert {line["pid"] for line in listening} == {one.pid for one in workers_of(service)}
    assert len({line["port"] for line in listening}) == 1


def test_one_worker_is_one_process_without_a_parent(
    start_service: StartService, database: DatabaseAddress, tmp_path: Path
) -> None:
    service = start_service(database, WORKERS="1", TMPDIR=str(tmp_path))
    wait_until(service.is_ready, "ready")

    assert service.logged("listening")["pid"] == service.process.pid
    assert service.children("serve") == []
    assert logged_times(service, "workers started") == 0
    assert metrics_directories(tmp_path) == []


def test_one_worker_alone_migrates_the_database(
    start_service: StartService, empty_database: DatabaseAddress
) -> None:
    service = start_service(empty_database, WORKERS="3")
    wait_until_all_are_ready(service, 3)

    steps = [line["step"] for line in service.log if line["message"] == "migration"]
    assert len([step for step in steps if "0001" in step]) == 1
    assert not [step for step in steps if "nothing to apply" in step]


def test_no_worker_is_ready_before_the_database_is_migrated(
    start_service: StartService, empty_database: DatabaseAddress
) -> None:
    service = start_service(empty_database, WORKERS="2")
    ready: list[bool] = []

    def look() -> bool:
        ready.append(service.is_ready())
        # Whoever is ready found every table, so whoever is asked next has them all.
        assert not ready[-1] or service.get("/api/v1/executions/1/delivery")[0] == 404
        return ready[-20:] == [True] * 20

    wait_until(look, "both are ready")

    assert not ready[0]


def test_a_killed_worker_is_replaced_and_its_callers_wait_for_the_next_one(
    start_service: StartService, database: DatabaseAddress
) -> None:
    service = start_service(database, WORKERS="2")
    wait_until_all_are_ready(service)
    killed, left = workers_of(service)

    killed.kill()
    answers = [service.get("/healthz")[0] for _ in range(30)]

    assert answers == [200] * 30
    died = service.logged("worker died, another one takes its place")
    assert (died["worker_pid"], died["by"]) == (killed.pid, "SIGKILL")
    wait_until(lambda: len(workers_of(service)) == 2, "another worker in its place")
    assert left in workers_of(service)
    ask_until_each_has_answered(service, "/api/v1/executions")


def test_a_worker_that_is_told_to_end_by_itself_is_replaced(
    start_service: StartService, database: DatabaseAddress
) -> None:
    service = start_service(database, WORKERS="2")
    wait_until_all_are_ready(service)
    one, _ = workers_of(service)

    one.terminate()

    assert service.logged("worker died, another one takes its place")["by"] == "exit code 0"
    wait_until(lambda: len(set(workers_of(service)) - {one}) == 2, "another worker in its place")


def test_workers_that_die_again_and_again_end_the_service(
    start_service: StartService, database: DatabaseAddress, tmp_path: Path
) -> None:
    service = start_service(database, WORKERS="2", TMPDIR=str(tmp_path))
    wait_until_all_are_ready(service)

    def kill_all() -> bool:
        with suppress(psutil.Error):  # one has just ended
            for worker in workers_of(service):
                worker.kill()
        return service.process.poll() is not None

    wait_until(kill_all, "the service gives up")

    assert service.exit_code() == 1
    assert "died 5 times at once, at last by SIGKILL" in service.stderr
    assert metrics_directories(tmp_path) == []


def test_a_database_that_refuses_us_ends_all_workers_with_one_message(
    start_service: StartService, database: DatabaseAddress, tmp_path: Path
) -> None:
    missing = DatabaseAddress(database.host, database.port, "no_such", database.user, database.password)
    service = start_service(missing, WORKERS="3", TMPDIR=str(tmp_path))
    service.logged("workers started")
    workers = workers_of(service)

    assert service.exit_code() == 1
    assert service.stderr.count("does not exist") == 1
    assert are_gone(workers)
    assert metrics_directories(tmp_path) == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_other_workers_have_is_refused(
    start_service: StartService, database: DatabaseAddress, workers: str
) -> None:
    holder = start_service(database, WORKERS="2")
    port = holder.url.rpartition(":")[2]
    service = start_service(database, WORKERS=workers, PORT=port)

    assert service.exit_code() == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in service.stderr
    assert service.log[-1]["message"] == "cannot serve"
    assert holder.get("/healthz")[0] == 200


def test_a_port_that_another_program_has_is_refused(
    start_service: StartService, database: DatabaseAddress
) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:  # as generous as can be
        port = taken.getsockname()[1]
        service = start_service(database, WORKERS="2", PORT=str(port))

        assert service.exit_code() == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in service.stderr


@pytest.mark.parametrize("killed", ["worker", "parent"])
def test_a_run_of_the_accounting_cli_outlives_its_worker(
    start_service: StartService, database: DatabaseAddress, trade_service: str, tmp_path: Path, killed: str
) -> None:
    done, go_on = tmp_path / "done", tmp_path / "go-on"
    service = start_service(
        database,
        WORKERS="2",
        TRADE_SERVICE_URL=trade_service,
        SEND_WAIT_SECONDS="1",
        CLI_COMMAND=f"""sh -c "until test -e {go_on}; do sleep 0.05; done; echo {{filename}} > {done}" """,
    )
    wait_until_all_are_ready(service)
    service.post("/api/v1/executions", [record(1)])
    service.post("/api/v1/executions/send", {})
    wait_until(lambda: bool(runs_of(service)), "the run began")
    (run,) = runs_of(service)
    workers = workers_of(service)

    if killed == "worker":
        (worker,) = [one for one in workers if run in one.children()]
        worker.kill()
        wait_until(lambda: are_gone([worker]), "its worker is gone")
    else:
        service.signal(signal.SIGKILL)
        wait_until(lambda: are_gone(workers), "the workers are gone")

    assert run.is_running()
    go_on.touch()
    wait_until(done.exists, f"the run went on to its end; log: {service.log}")


def runs_of(service: ServiceProcess) -> list[psutil.Process]:
    return [
        child
        for worker in workers_of(service)
        for child in worker.children()
        if "until test" in command_line(child)
    ]
