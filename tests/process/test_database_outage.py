"""The service outlives its database: it waits for it, says so, and goes on."""

import os
import subprocess
import sys
import time
from dataclasses import replace

from tests.process.conftest import StartService
from tests.process.database_relay import DatabaseRelay
from tests.process.records import record
from tests.process.service_process import wait_until

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.migration_session import MIGRATION_LOCK_KEY


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


def test_a_database_that_says_nothing_makes_it_unready_within_seconds(
    start_service: StartService, relay: DatabaseRelay
) -> None:
    relay.mend()
    service = start_service(relay.address)
    wait_until(service.is_ready, "ready")

    relay.freeze()
    asked = time.monotonic()

    assert service.database_check() == "unavailable"
    assert time.monotonic() - asked < 3  # it waits for 1 s, on a busy machine


def test_replicas_that_start_at_once_share_one_new_database(
    start_service: StartService, empty_database: DatabaseAddress
) -> None:
    replicas = [start_service(empty_database) for _ in range(3)]

    for replica in replicas:
        wait_until(replica.is_ready, "ready")
        assert replica.stderr == ""


def test_it_says_that_it_is_migrating_and_can_be_ended_meanwhile(
    start_service: StartService, empty_database: DatabaseAddress
) -> None:
    with connect(empty_database, {}) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK_KEY,))
        service = start_service(empty_database)
        wait_until(lambda: bool(service.children("migrate")), "the migration is under way")
        (migration,) = service.children("migrate")

        assert service.database_check() == "migrating"

        service.signal()

        assert service.exit_code() == 0
        assert not migration.is_running()
