"""The service as it runs: a real process between real neighbours."""

import re
import socket
import urllib.request
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import sql
from tests.process.conftest import StartService
from tests.process.records import record, records
from tests.process.service_process import ServiceProcess, wait_until
from tests.processes import command_line

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect

SECRET = "only-for-the-environment"


def test_executions_come_in_are_listed_and_go_out_in_one_file(
    start_service: StartService, database: DatabaseAddress, trade_service: str, tmp_path: Path
) -> None:
    service = start_service(database, TRADE_SERVICE_URL=trade_service)
    wait_until(service.is_ready, "ready")

    created = service.post("/api/v1/executions", records(3))
    repeated = service.post("/api/v1/executions", [record(2)])
    listed = service.get("/api/v1/executions?limit=2")
    sent = service.post("/api/v1/executions/send", {})
    sent_again = service.post("/api/v1/executions/send", {})

    assert created[0] == 201
    assert [one["status"] for one in created[1]["results"]] == ["created"] * 3
    assert repeated[0] == 201
    assert repeated[1]["skippedCount"] == 1
    assert listed[1]["pagination"]["totalElements"] == 3
    assert (sent[0], sent[1]["status"], sent[1]["processedCount"]) == (200, "success", 3)
    rows = (tmp_path / "files" / sent[1]["fileName"]).read_text().splitlines()
    assert len(rows) == 4
    assert all("33.33333333" in row for row in rows[1:])
    assert (sent_again[0], sent_again[1]["processedCount"], sent_again[1]["fileName"]) == (200, 0, "")


def test_each_answer_and_each_log_line_of_a_request_carries_its_correlation_id(
    start_service: StartService, database: DatabaseAddress, trade_service: str
) -> None:
    service = start_service(database, TRADE_SERVICE_URL=trade_service)
    wait_until(service.is_ready, "ready")

    service.post("/api/v1/executions", [record(1)])

    assert re.fullmatch("[0-9a-f]{32}", service.logged("request")["correlation_id"])


def test_a_log_that_nobody_takes_any_more_costs_lines_alone(
    start_service: StartService, database: DatabaseAddress, trade_service: str
) -> None:
    service = start_service(database, TRADE_SERVICE_URL=trade_service)
    wait_until(service.is_ready, "ready")
    service.hang_up_on_its_log()

    created = service.post("/api/v1/executions", records(3))
    sent = service.post("/api/v1/executions/send", {})

    assert (created[0], created[1]["processedCount"]) == (201, 3)
    assert (sent[0], sent[1]["status"], sent[1]["processedCount"]) == (200, "success", 3)
    assert service.stderr == ""


def test_an_output_directory_that_cannot_be_used_costs_sends_alone(
    start_service: StartService, database: DatabaseAddress, trade_service: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    service = start_service(
        database, TRADE_SERVICE_URL=trade_service, OUTPUT_DIR=str(tmp_path / "file" / "in-a-file")
    )
    wait_until(service.is_ready, "ready")

    created, _ = service.post("/api/v1/executions", [record(1)])
    sent, answer = service.post("/api/v1/executions/send", {})

    assert created == 201
    assert sent == 503  # nothing was claimed: the next send finds the execution
    assert str(tmp_path) not in str(answer)
    assert service.logged("this replica does not write or deliver files")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_will_be_counted_shows_before_the_first_of_it(
    start_service: StartService, database: DatabaseAddress, trade_service: str, workers: str
) -> None:
    service = start_service(database, TRADE_SERVICE_URL=trade_service, WORKERS=workers)
    wait_until(service.is_ready, "ready")

    shown = metrics_of(service)
    for series in (
        'deliveries_total{runner="subprocess",status="delivered"}',
        'delivery_attempts_total{runner="subprocess",status="failed"}',
        'delivery_retries_total{runner="subprocess"}',
        'delivery_records_total{result="rejected"}',
        'dispatch_steps_total{result="failed",step="write"}',
        'portfolio_lookups_total{outcome="cancelled"}',
    ):
        assert f"globeco_allocation_{series} 0.0\n" in shown


def test_lookups_are_counted_by_their_outcome(
    start_service: StartService, database: DatabaseAddress, trade_service: str
) -> None:
    service = start_service(database, TRADE_SERVICE_URL=trade_service)
    alone = start_service(database)  # nobody listens where it looks for the Trade Service
    wait_until(lambda: service.is_ready() and alone.is_ready(), "ready")
    service.post("/api/v1/executions", records(3))
    alone.post("/api/v1/executions", [record(4)])

    assert 'portfolio_lookups_total{outcome="found"} 3.0' in metrics_of(service)
    assert 'portfolio_lookups_total{outcome="unavailable"} 1.0' in metrics_of(alone)


def metrics_of(service: ServiceProcess) -> str:
    with urllib.request.urlopen(f"{service.url}/metrics", timeout=10) as answer:  # noqa: S310 (our own URL)
        return answer.read().decode()


def test_the_metrics_can_be_switched_off(start_service: StartService, database: DatabaseAddress) -> None:
    service = start_service(database, METRICS_ENABLED="false")

    assert service.get("/metrics")[0] == 404


@pytest.fixture
def owned_database(admin: psycopg.Connection, empty_database: DatabaseAddress) -> Generator[DatabaseAddress]:
    """An empty database that belongs to a role with a password of its own, whether it is checked or not."""
    role = sql.Identifier(f"{empty_database.name}_owner")
    admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(SECRET)))
    admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(empty_database.name), role))
    try:
        yield replace(empty_database, user=f"{empty_database.name}_owner", password=SECRET)
    finally:
        with connect(empty_database, {}) as session:
            session.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(role))
        admin.execute(sql.SQL("DROP ROLE {}").format(role))


def test_no_command_line_of_ours_shows_the_password(
    owned_database: DatabaseAddress, start_service: StartService
) -> None:
    service = start_service(owned_database)
    seen: set[str] = set()

    def look() -> bool:
        ours = psutil.Process(service.process.pid)
        for process in (ours, *ours.children(recursive=True)):
            seen.add(command_line(process))
        return service.is_ready()

    wait_until(look, "ready")

    assert any("serve" in line for line in seen)
    assert any("migrate" in line for line in seen)
    assert not [line for line in seen if SECRET in line]
    assert SECRET not in str(service.log)


def test_yoyo_and_psycopg_stay_out_of_the_serving_process(
    start_service: StartService, empty_database: DatabaseAddress
) -> None:
    service = start_service(empty_database)
    wait_until(service.is_ready, "ready")

    loaded = {mapped.path for mapped in psutil.Process(service.process.pid).memory_maps()}

    assert any("asyncpg" in path for path in loaded)
    assert not [path for path in loaded if "psycopg" in path]


def test_a_port_that_is_taken_ends_the_start_with_a_message(
    start_service: StartService, database: DatabaseAddress
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = start_service(database, PORT=str(port))

        assert service.exit_code() == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in service.stderr
    assert "Traceback" not in service.stderr


def test_settings_that_cannot_be_used_end_the_start_and_are_all_named(
    start_service: StartService, database: DatabaseAddress
) -> None:
    service = start_service(database, LOG_LEVEL="loud", DB_PORT="x", CLI_COMMAND="cli --no-file")

    assert service.exit_code() == 2
    assert service.log == []
    for variable in ("LOG_LEVEL", "DB_PORT", "CLI_COMMAND"):
        assert variable in service.stderr


def test_an_unknown_trade_service_fails_the_records_and_not_the_service(
    start_service: StartService, database: DatabaseAddress, slow_trade_service: Callable[[float], str]
) -> None:
    service = start_service(
        database, TRADE_SERVICE_URL=slow_trade_service(5000), TRADE_SERVICE_TIMEOUT_SECONDS="0.1"
    )
    wait_until(service.is_ready, "ready")

    status, answer = service.post("/api/v1/executions", records(2))

    assert status == 400
    assert answer["errorCount"] == 2
    assert service.is_ready()
