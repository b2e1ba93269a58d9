"""The service outlives its database: it waits for it, says so, and goes on."""

import os
import subprocess
import sys
from dataclasses import replace

from tests.process.conftest import StartService
from tests.process.database_relay import DatabaseRelay
from tests.process.records import record
from tests.process.service_process import wait_until

from globeco_allocation.adapters.postgres.address import DatabaseAddress


def test_a_database_that_comes_later_is_waited_for(
    start_service: StartService, empty_database: DatabaseAddress, trade_service: str
) -> None:
    with DatabaseRelay(empty_database) as relay:
        service = start_service(relay.address, TRADE_SERVICE_URL=trade_service)

        assert service.get("/healthz")[0] == 200
        assert service.get("/readyz") == (
            503,
            {"status": "not ready", "checks": {"database": "unavailable"}},
        )
        status, answer = service.get("/api/v1/executions")
        assert (status, set(answer)) == (503, {"message", "status", "timestamp"})

        relay.mend()
        wait_until(service.is_ready, "ready after the database came")

        assert service.post("/api/v1/executions", [record(1)])[0] == 201


def test_it_is_ready_again_by_itself_after_an_outage(
    start_service: StartService, relay: DatabaseRelay, trade_service: str
) -> None:
    relay.mend()
    service = start_service(relay.address, TRADE_SERVICE_URL=trade_service)
    wait_until(service.is_ready, "ready")
    assert service.post("/api/v1/executions", [record(1)])[0] == 201

    relay.cut()
    assert service.database_check() == "unavailable"
    assert service.post("/api/v1/executions", [record(2)])[0] == 503
    assert service.post("/api/v1/executions/send", {})[0] == 503
    assert service.get("/healthz")[0] == 200

    relay.mend()
    wait_until(service.is_ready, "ready after the outage")
    assert service.post("/api/v1/executions", [record(2)])[0] == 201
    assert service.get("/api/v1/executions")[1]["pagination"]["totalElements"] == 2


def test_a_database_that_does_not_exist_ends_the_start_with_a_message_that_names_the_trap(
    start_service: StartService, database: DatabaseAddress
) -> None:
    service = start_service(replace(database, name="allocation_db"))

    assert service.exit_code() == 1
    assert "database 'allocation_db'" in service.stderr
    assert "empty DATABASE_PASSWORD" in service.stderr
    assert "Traceback" not in service.stderr
    assert any(line["message"] == "cannot serve" for line in service.log)


def test_without_migrations_of_its_own_it_waits_for_the_schema(
    start_service: StartService, empty_database: DatabaseAddress
) -> None:
    service = start_service(empty_database, MIGRATE_ON_START="false")
    wait_until(lambda: service.database_check() == "schema missing", "the schema is missed")
    assert service.get("/api/v1/executions")[0] == 503

    subprocess.run(
        [sys.executable, "-m", "globeco_allocation", "migrate"],
        env={
            "PATH": os.environ["PATH"],
            "DB_HOST": empty_database.host,
            "DB_PORT": str(empty_database.port),
            "DB_NAME": empty_database.name,
            "DB_USER": empty_database.user,
            "DB_PASSWORD": empty_database.password,
        },
        check=True,
        capture_output=True,
        timeout=60,
    )

    wait_until(service.is_ready, "ready once the schema is there")
    assert service.get("/api/v1/executions")[0] == 200
