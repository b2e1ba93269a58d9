"""The disaster, with real processes: dump, more posts and sends, loss, restore, recover, go on.

Nothing is booked twice, nothing that was ever sent is lost, and what was never sent is named. The commands
are those of docs/operations/disaster-recovery.md. ``make drill`` plays it with DRILL_SCALE times as much.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.chaos.own_postgres import own_postgres
from tests.chaos.stage import Stage
from tests.drill.trade_service import ListedTradeService, trade_service
from tests.process.records import record
from tests.process.service_process import ServiceProcess, wait_until

SCALE = int(os.environ.get("DRILL_SCALE", "1"))
PATIENCE_SECONDS = 30.0 + 5 * SCALE

SETTINGS = {"BATCH_MANIFEST": "true", "DELIVERY_LANES": "2", "BATCH_FILE_MAX_RECORDS": str(20 * SCALE)}


class Drill:
    """Everything but the database, which is lost and restored; made by the fixture."""

    def __init__(self, directory: Path, listed: ListedTradeService, stack: ExitStack) -> None:
        self.listed = listed
        self.directory = directory
        self.server = stack.enter_context(own_postgres())
        self.stage = Stage(self.server.address, directory, listed.url, stack)
        self.posted: list[int] = []
        self.refused: set[int] = set()
        self._stack = stack

    def start(self, **settings: str) -> ServiceProcess:
        """Start the service."""
        return self.stage.replica(**{**SETTINGS, **settings})

    def post(self, service: ServiceProcess, count: int, *, refused: bool = False) -> list[int]:
        """Post new executions, each with a quantity of its own; returns their execution-service ids."""
        first = max(self.posted, default=0) + 1
        keys = list(range(first, first + count))
        self.listed.fill(keys)
        self.post_keys(service, keys, refused=refused)
        return keys

    def post_keys(self, service: ServiceProcess, keys: Sequence[int], *, refused: bool = False) -> None:
        """Post these, as often as may be."""
        for begin in range(0, len(keys), 100):
            some = keys[begin : begin + 100]
            records = [record(key) | {"quantity": key, "quantityFilled": key} for key in some]
            if refused:
                records = [one | {"securityId": "NO-SUCH"} for one in records]
                self.refused.update(some)
            status, answer = service.post("/api/v1/executions", records)
            assert status == 201, answer
        self.posted += [key for key in keys if key not in set(self.posted)]

    def send(self, service: ServiceProcess) -> int:
        """Send a batch, and wait for its outcome; returns its id."""
        answered: list[int] = []

        def sent() -> bool:
            answered.append(self.stage.send(service)[0])
            return answered[-1] in {200, 202, 500}  # 500: the first attempt failed

        wait_until(sent, "a batch is sent", PATIENCE_SECONDS)
        batch_id = self.stage.newest_batch()
        self.stage.until_at_rest(service, batch_id, PATIENCE_SECONDS)
        return batch_id

    def dump(self) -> Path:
        """Make a backup, as the document says."""
        backup = self.directory / "allocation.dump"
        self._program("pg_dump", "--format=custom", f"--file={backup}")
        return backup

    def lose(self, service: ServiceProcess) -> None:
        """Lose the server, and stop the service."""
        self.server.kill()
        service.close()
        self.stage.accounting.until_no_run_goes_on()

    def restore(self, backup: Path) -> None:
        """Restore the backup into a new server, as the document says."""
        self.server = self._stack.enter_context(own_postgres(migrated=False))
        self.stage.database = self.server.address
        self._program("pg_restore", "--dbname=postgres", "--exit-on-error", "--no-owner", str(backup))

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ``globeco-allocation`` with the service's settings."""
        return subprocess.run(
            [sys.executable, "-m", "globeco_allocation", *arguments],
            env={"PATH": os.environ["PATH"], **self.stage.environment(**SETTINGS)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def audit(self) -> None:
        """Make sure that each execution is booked exactly once, and under an id of its own."""
        books = self.stage.accounting.books()
        booked = {one.source_id: int(float(one.quantity)) for one in books.entries}
        kept = dict(self.stage.ask("SELECT 'AC' || id, execution_service_id FROM execution"))
        in_files = Counter(
            line.split(",")[2]
            for path in self.stage.files.glob("transactions_*.csv")
            if path.name.count(".") == 1
            for line in path.read_text().splitlines()[1:]
        )

        assert sorted(kept.values()) == sorted(self.posted)
        assert Counter(booked.values()) == Counter(key for key in self.posted if key not in self.refused)
        assert {kept[source_id]: quantity for source_id, quantity in booked.items()} == {
            key: key for key in booked.values()
        }
        assert set(in_files) == set(kept)
        assert set(in_files.values()) == {1}
        assert set(books.statuses.values()) == {"PROC"}
        assert books.lost == []
        assert books.overlaps == []

    def _program(self, name: str, *arguments: str) -> None:
        address = self.server.address
        subprocess.run(
            [self.server.programs / name, *arguments]
            if name == "pg_restore"
            else [self.server.programs / name, *arguments, address.name],
            env={"PGHOST": address.host, "PGUSER": address.user, "PGPORT": str(address.port)},
            check=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
        )


def test_the_document_says_what_is_played_here() -> None:
    text = (Path(__file__).parents[2] / "docs/operations/disaster-recovery.md").read_text()
    commands = (
        "pg_dump --format=custom --file=allocation.dump postgres",
        "pg_restore --dbname=postgres --exit-on-error --no-owner allocation.dump",
        "globeco-allocation migrate",
        "globeco-allocation recover",
        "globeco-allocation recover --apply",
        "globeco-allocation recover --reconcile --output missing.txt",
    )
    lines = [line.strip() for line in text.splitlines()]

    places = [lines.index(command) for command in commands]
    assert places == sorted(places)


@pytest.fixture
def drill(tmp_path: Path) -> Generator[Drill]:
    with ExitStack() as stack:
        listed = stack.enter_context(trade_service())
        yield Drill(tmp_path, listed, stack)


def until_all_is_at_rest(drill: Drill) -> None:
    query = "SELECT count(*) FROM delivery WHERE status IN ('claimed', 'written', 'delivering')"
    wait_until(lambda: drill.stage.ask(query) == [(0,)], "everything is at rest", PATIENCE_SECONDS)


@pytest.mark.timeout(60 + 30 * SCALE)
def test_a_database_is_lost_and_all_is_booked_exactly_once(drill: Drill) -> None:  # noqa: PLR0915 (a story)
    service = drill.start()
    drill.post(service, 50 * SCALE)
    drill.send(service)
    drill.post(service, 30 * SCALE)  # in the backup, and sent after it
    backup = drill.dump()

    drill.send(service)
    drill.post(service, 60 * SCALE)
    drill.post(service, 2, refused=True)
    assert drill.stage.until_at_rest(service, drill.send(service))["status"] == "partial"
    drill.send(service)  # empty
    drill.post(service, 10 * SCALE)
    drill.stage.accounting.does("server-down")
    assert drill.stage.until_at_rest(service, drill.send(service))["status"] == "failed"
    drill.stage.accounting.does("")
    drill.post(service, 5 * SCALE)
    drill.send(service)
    never_sent = drill.post(service, 7 * SCALE)
    drill.listed.send([10_000_000])  # and one that is not filled yet
    beside_it = drill.command("recover", "--apply")
    assert (beside_it.returncode, "stop every replica" in beside_it.stderr) == (1, True), beside_it
    drill.lose(service)

    began = time.monotonic()
    drill.restore(backup)
    assert drill.command("migrate").returncode == 0
    looked = drill.command("recover")
    assert looked.returncode == 4, looked
    done = drill.command("recover", "--apply")
    assert done.returncode == 0, done
    assert f"{75 * SCALE + 2} executions put back" in done.stdout
    assert f"{30 * SCALE} executions known as not sent yet" in done.stdout
    assert "2 empty windows put in" in done.stdout or "1 empty window put in" in done.stdout
    again = drill.command("recover", "--apply")
    assert "nothing to do" in again.stdout, again

    service = drill.start()
    recovered = time.monotonic() - began
    until_all_is_at_rest(drill)
    confirmed = time.monotonic() - began
    assert drill.stage.ask("SELECT count(*) FROM delivery_stop") == [(0,)]
    fresh = drill.post(service, 20 * SCALE)
    drill.send(service)

    missing = drill.directory / "missing.txt"
    named = drill.command("recover", "--reconcile", "--output", str(missing))
    assert named.returncode == 4, named
    assert [int(line) for line in missing.read_text().split()] == never_sent
    drill.post_keys(service, never_sent)
    drill.send(service)
    assert drill.command("recover", "--reconcile").returncode == 0

    until_all_is_at_rest(drill)
    drill.audit()
    assert len(fresh) == 20 * SCALE
    print(f"\nrestored, recovered and ready after {recovered:.1f} s; all confirmed after {confirmed:.1f} s")


@pytest.mark.timeout(60 + 30 * SCALE)
def test_a_record_in_flight_when_a_run_was_killed_is_named_again_after_each_loss(drill: Drill) -> None:
    one_file = {"DELIVERY_LANES": "1", "BATCH_FILE_MAX_RECORDS": "100"}
    service = drill.start(**one_file, DELIVERY_RETRY_BASE_DELAY_SECONDS="5")
    backup = drill.dump()
    drill.post(service, 12)
    drill.stage.accounting.does("killed:6")
    drill.stage.send(service)
    batch = drill.stage.newest_batch()
    attempts = "SELECT attempts FROM delivery WHERE ended_timestamp IS NOT NULL"
    wait_until(lambda: drill.stage.ask(attempts) == [(1,)], "the first run was killed", PATIENCE_SECONDS)
    drill.stage.accounting.does("")
    until_all_is_at_rest(drill)
    told = rejects_of(service, batch)
    books = drill.stage.accounting.books()
    not_booked = [name for name, status in books.statuses.items() if status != "PROC"]
    assert told == [(name, "unconfirmed") for name in not_booked]
    assert len(told) == 1

    for _ in ("the database", "the restored one, with the same backup"):
        drill.lose(service)
        drill.restore(backup)
        assert drill.command("migrate").returncode == 0
        done = drill.command("recover", "--apply")
        assert done.returncode == 0, done
        service = drill.start(**one_file)
        until_all_is_at_rest(drill)
        assert rejects_of(service, batch) == told
    afterwards = drill.stage.accounting.books()
    assert (afterwards.entries, afterwards.statuses) == (books.entries, books.statuses)


def rejects_of(service: ServiceProcess, batch: int) -> list[tuple[str, str]]:
    """Return the records that a person must look at, with their verdicts."""
    (delivery,) = service.get(f"/api/v1/batches/{batch}")[1]["deliveries"]
    return [(one["sourceId"], one["verdict"]) for one in delivery["rejects"]]


@pytest.mark.timeout(60 + 30 * SCALE)
def test_without_manifests_the_collision_stop_keeps_new_trades_from_passing_for_old_ones(
    drill: Drill,
) -> None:
    service = drill.start(BATCH_MANIFEST="false")
    drill.post(service, 20 * SCALE)
    drill.send(service)
    backup = drill.dump()
    drill.post(service, 20 * SCALE)
    drill.send(service)
    before = drill.stage.accounting.books().entries
    drill.lose(service)
    drill.restore(backup)

    refused = drill.command("recover", "--apply")
    service = drill.start(BATCH_MANIFEST="false")  # which nobody should do
    drill.post(service, 20 * SCALE)
    drill.stage.until_sent(service, PATIENCE_SECONDS)
    wait_until(
        lambda: bool(drill.stage.ask("SELECT FROM delivery_stop WHERE cleared_timestamp IS NULL")),
        "all delivery is stopped",
        PATIENCE_SECONDS,
    )

    assert refused.returncode == 1
    assert "has no manifest, and the database does not know it: it may have been sent" in refused.stderr
    assert drill.stage.accounting.books().entries == before
