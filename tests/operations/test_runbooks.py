"""Each runbook, run as it is printed where what it is for has happened; and then all is well."""

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from tests.chaos.disk import small_disk
from tests.chaos.own_postgres import own_postgres
from tests.chaos.stage import TAKEN_OVER_SECONDS
from tests.operations.cluster import Cluster
from tests.operations.conftest import OpenBook, OpenCluster
from tests.operations.runbook import FOLDER, ROOT, blocks_of
from tests.postgres.test_adoption import EXECUTIONS, FIRST_ROW, INDEXES, LAST_BATCH, ask, execution, fill
from tests.process.records import record
from tests.process.service_process import wait_until
from tests.process.trade_service_process import TradeServiceProcess

from globeco_allocation import __version__
from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.migrate import migrate

RUN_HERE = {
    "batch-failed.md",
    "deploy.md",
    "full-disk.md",
    "moving-from-go.md",
    "postgresql-failover.md",
    "records-refused.md",
    "rotating-secrets.md",
    "scheduled-sends.md",
    "trade-service-outage.md",
    "upgrade-and-roll-back.md",
}
NOT_OURS = {"disaster-recovery.md", "alerts.md", "metrics.md", "logs-and-traces.md", "image.md"}
"""Written and tested elsewhere."""


def sent(cluster: Cluster, count: int = 3) -> str:
    """Post and send a batch; returns its id."""
    cluster.stage.post(cluster.replicas[0], count)
    cluster.stage.send(cluster.replicas[0])
    return str(cluster.stage.newest_batch())


def test_every_runbook_with_commands_is_run_by_a_test() -> None:
    with_commands = {page.name for page in FOLDER.glob("*.md") if "```sh" in page.read_text("utf-8")}

    assert with_commands - NOT_OURS == RUN_HERE
    assert all(blocks_of(FOLDER / page) for page in RUN_HERE)


def test_deploy(cluster_on: OpenCluster, empty_database: DatabaseAddress, open_book: OpenBook) -> None:
    cluster = cluster_on(empty_database)
    cluster.settings["MIGRATE_ON_START"] = "true"
    book = open_book("deploy.md", cluster)
    book.run("apply")
    book.run("settings")
    book.run("smoke")
    book.run("why-not-fit")
    cluster.stage.post(cluster.replicas[0], 3)
    book.run("first-send")

    book.is_run_through()
    cluster.stage.check(cluster.replicas[0])


def test_upgrade_and_roll_back(cluster: Cluster, open_book: OpenBook) -> None:
    cluster.start(2)
    sent(cluster)
    old = tuple(cluster.replicas)
    book = open_book("upgrade-and-roll-back.md", cluster)
    book.run("before")
    cluster.stage.post(cluster.replicas[0], 2)
    book.run("upgrade", VERSION=__version__)
    assert not set(old) & set(cluster.replicas)
    book.run("roll-back")
    book.run("after")

    book.is_run_through()
    cluster.stage.check(cluster.replicas[0])


def go_sends(database: DatabaseAddress) -> list[int]:
    """Send as the Go implementation does; returns the execution-service ids of its file."""
    batch = "INSERT INTO batch_history (start_time, previous_start_time) SELECT now(), max(start_time)"
    with connect(database, {}) as session:
        before, now = session.execute(
            f"{batch} FROM batch_history RETURNING previous_start_time, start_time".encode()
        ).fetchall()[0]
        rows = session.execute(
            "SELECT execution_service_id FROM execution"
            " WHERE ready_to_send_timestamp >= %s AND ready_to_send_timestamp < %s ORDER BY id",
            (before, now),
        )
        return [number for (number,) in rows]


def test_moving_from_go_and_back(
    cluster_on: OpenCluster, empty_database: DatabaseAddress, open_book: OpenBook
) -> None:
    fill(empty_database, INDEXES["as the Go implementation makes them"], FIRST_ROW, LAST_BATCH, EXECUTIONS)
    cluster = cluster_on(empty_database)
    running = psycopg.connect(
        host=empty_database.host,
        port=empty_database.port,
        dbname=empty_database.name,
        user=empty_database.user,
        password=empty_database.password,
        application_name="go-allocation",
    )
    cluster.go = running.close
    book = open_book("moving-from-go.md", cluster)

    assert f"{empty_database.name}  Go" in book.run("find")
    assert "go-allocation (1)" in book.run("find")
    book.run("stop")
    started = book.run("start")
    assert "executions that wait for the next batch: 2" in started
    assert "Ids: 4, 5" in started
    book.run("first-send")
    booked = cluster.stage.accounting.books().statuses
    assert booked == {"AC2": "PROC", "AC3": "PROC"}

    # What comes in after our last batch is the Go implementation's to send.
    cluster.replicas[0].post("/api/v1/executions", [record(901), record(902)])
    book.run("may-we-go-back")
    book.run("stop-ours")
    book.run("back")
    book.is_run_through()
    with connect(empty_database, {}) as session:
        session.execute(execution(903, "now").encode())
    assert go_sends(empty_database) == [901, 902, 903]
    assert go_sends(empty_database) == []

    migrate(empty_database, print)
    assert ask(empty_database, "SELECT count(*) FROM execution") == [(8,)]


def test_scheduled_sends(cluster: Cluster, open_book: OpenBook) -> None:
    cluster.start()
    cluster.stage.post(cluster.replicas[0], 3)
    book = open_book("scheduled-sends.md", cluster)
    book.run("try")
    book.run("switch")
    book.run("by-hand")

    book.is_run_through()
    cluster.stage.check(cluster.replicas[0])


def test_a_batch_that_failed(cluster: Cluster, open_book: OpenBook) -> None:
    cluster.settings["DELIVERY_RETRY_MAX_ATTEMPTS"] = "1"
    cluster.start()
    cluster.stage.accounting.does("server-down")
    book = open_book("batch-failed.md", cluster)
    failed, other = sent(cluster), sent(cluster)
    book.run("look", BATCH=failed)
    cluster.stage.accounting.does("")
    book.run("resend")
    book.run("settle", OTHER_BATCH=other)

    (newest,) = cluster.stage.ask("SELECT max(id) FROM execution")[0]
    cluster.stage.accounting.plant(f"AC{newest + 1}", "683b6b9620f302c879a5fef0")
    stopped = sent(cluster)
    book.run("stopped")
    cluster.stage.post(cluster.replicas[0], 2)
    book.run("end-stop", STOPPED_BATCH=stopped)

    book.is_run_through()
    statuses = {
        batch: cluster.stage.batch(cluster.replicas[0], int(batch))["status"]
        for batch in (failed, other, stopped)
    }
    assert statuses == {failed: "delivered", other: "resolved", stopped: "resolved"}


def test_records_refused(cluster: Cluster, open_book: OpenBook, tmp_path: Path) -> None:
    cluster.start()
    book = open_book("records-refused.md", cluster)
    cluster.stage.accounting.does("refuse-all")
    refused = sent(cluster)
    book.run("look", BATCH=refused, BATCH_FILE=str(tmp_path / "batch.json"))
    assert '"rejects"' in (tmp_path / "batch.json").read_text()
    other = sent(cluster, 1)
    cluster.stage.accounting.does("")
    book.run("resend")
    (newest,) = cluster.stage.ask("SELECT max(id) FROM execution")[0]
    book.run("settle", OTHER_BATCH=other, SOURCE_ID=f"AC{newest}")

    book.is_run_through()
    (first,) = cluster.stage.batch(cluster.replicas[0], int(refused))["deliveries"]
    assert (first["status"], first["acceptedCount"]) == ("delivered", 3)
    assert cluster.stage.batch(cluster.replicas[0], int(other))["status"] == "resolved"


def test_trade_service_outage(
    cluster: Cluster, open_book: OpenBook, trade_service: TradeServiceProcess
) -> None:
    cluster.settings |= {
        "TRADE_SERVICE_DEFER": "true",
        "TRADE_SERVICE_DEFER_MAX_AGE_SECONDS": "4",
        "TRADE_SERVICE_BREAKER_OPEN_SECONDS": "1",
    }
    cluster.start()
    book = open_book("trade-service-outage.md", cluster)
    trade_service.stop()
    cluster.stage.post(cluster.replicas[0], 3)
    book.run("pending")
    in_error = "SELECT count(*) FROM pending_execution WHERE status = 'error'"
    wait_until(lambda: cluster.stage.ask(in_error) == [(3,)], "all are given up")
    trade_service.start()
    book.run("errors")
    left = "SELECT count(*) FROM pending_execution"
    wait_until(lambda: cluster.stage.ask(left) == [(0,)], "all have their portfolios")
    book.run("after")

    book.is_run_through()
    cluster.stage.check(cluster.replicas[0])


def test_full_disk(cluster: Cluster, open_book: OpenBook) -> None:
    stage = cluster.stage
    with small_disk(stage.files) as disk:
        cluster.start()
        book = open_book("full-disk.md", cluster)
        delivered = sent(cluster, 400)
        stage.until_at_rest(cluster.replicas[0], int(delivered))
        disk.leave_free(0)
        stage.post(cluster.replicas[0], 3)
        assert stage.send(cluster.replicas[0])[0] == 503
        assert str(stage.newest_batch()) == delivered
        cluster.replicas[0].logged("this replica does not write or deliver files")
        book.run("look")
        book.run("room", OLD_BATCH=delivered)
        book.run("after")

        book.is_run_through()
        assert stage.newest_batch() == int(delivered) + 1
        cluster.stop(cluster.replicas)


@pytest.mark.timeout(180)
def test_postgresql_failover(cluster_on: OpenCluster, open_book: OpenBook) -> None:
    with own_postgres() as postgres:
        cluster = cluster_on(postgres.address)
        cluster.start()
        stage = cluster.stage
        book = open_book("postgresql-failover.md", cluster)
        stage.post(cluster.replicas[0], 20)
        stage.accounting.does("slow:60")
        stage.send_meanwhile(cluster.replicas[0])
        stage.accounting.until_rows_are_booked(3)
        postgres.kill()
        book.run("meanwhile")
        postgres.start()
        wait_until(cluster.replicas[0].is_ready, "ready again")
        stage.until_at_rest(cluster.replicas[0], stage.newest_batch(), 2 * TAKEN_OVER_SECONDS)
        book.run("afterwards")
        stage.check(cluster.replicas[0])
        book.run("stop-first")

        book.is_run_through()
        assert cluster.replicas == []


@pytest.mark.timeout(180)
def test_rotating_secrets(cluster_on: OpenCluster, open_book: OpenBook, tmp_path: Path) -> None:
    with own_postgres() as postgres:
        rules = Path(postgres.address.host).parent / "data" / "pg_hba.conf"
        rules.write_text(f"local all allocation,allocation_b scram-sha-256\n{rules.read_text()}")
        with connect(postgres.address, {}) as admin:
            admin.execute("CREATE ROLE allocation LOGIN PASSWORD 'OLD PASSWORD'")
            admin.execute("CREATE DATABASE allocation_db OWNER allocation")
            admin.execute("SELECT pg_reload_conf()")
        owner = replace(postgres.address, name="allocation_db", user="allocation", password="OLD PASSWORD")
        wait_until(lambda: _is_kept_out(replace(owner, password="wrong")), "passwords are asked for")
        migrate(owner, print)
        cluster = cluster_on(replace(postgres.address, name="allocation_db"))
        mounted = tmp_path / "secrets" / "globeco-allocation-service-database" / "password"
        mounted.parent.mkdir(parents=True)
        mounted.write_text("OLD PASSWORD")
        cluster.settings |= {"DB_USER": "allocation", "DB_PASSWORD_FILE": str(mounted)}
        cluster.start(2)
        sent(cluster)
        book = open_book("rotating-secrets.md", cluster)
        (tmp_path / "new").write_text("NEW PASSWORD")
        book.run("second-role")
        book.run("secret", PASSWORD_FILE=str(tmp_path / "new"))
        cluster.stage.post(cluster.replicas[0], 2)  # the old ones go on
        cluster.settings["DB_USER"] = "allocation_b"
        book.run("roll-out")
        book.run("lock-out")

        book.is_run_through()
        assert _is_kept_out(owner)
        cluster.stage.check(cluster.replicas[0])
        migrate(replace(owner, user="allocation_b", password="NEW PASSWORD"), print)
        cluster.stop(cluster.replicas)


def _is_kept_out(address: DatabaseAddress) -> bool:
    try:
        with connect(address, {}):
            return False
    except psycopg.OperationalError:
        return True


def test_the_toolbox_is_named_as_the_rest() -> None:
    toolbox = (FOLDER / "toolbox.yaml").read_text("utf-8").replace('"', "")
    settings = dict(
        line.split("=", 1)
        for line in _settings().splitlines()
        if line.startswith("DB_") and "POOL" not in line
    )

    for name, value in settings.items():
        assert f"- name: {name}\n          value: {value}\n" in toolbox


def _settings() -> str:
    page = ROOT / "k8s" / "base" / "settings.env"
    if not page.exists():
        pytest.skip("there are no manifests yet (k8s/base/settings.env)")
    return page.read_text("utf-8")
