"""A stage for one history: a database, an output directory, a ledger, and the replicas on them."""

import os
import signal
import time
from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from tests.chaos.accounting import Accounting
from tests.process.records import record
from tests.process.service_process import ServiceProcess, service_process, wait_until

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect

TAKEN_OVER_SECONDS = 30.0
"""Within which another replica goes on (design, "Delivery")."""

AT_REST = {"delivered", "partial", "failed", "resolved", "empty"}
"""The statuses in which nothing goes on with a batch by itself."""

_FRESH = 24
_LAST_LINES = 20
_SETTINGS = {
    "PORT": "0",
    "BIND_ADDRESS": "127.0.0.1",
    "MIGRATE_ON_START": "false",
    "DB_POOL_SIZE": "5",
    "SEND_WAIT_SECONDS": "2",
    "DELIVERY_RETRY_BASE_DELAY_SECONDS": "0.2",
}


class Stage:
    """Where one history is played; made by `open_stage`.

    Attributes:
        database: Migrated.
        files: The output directory.
        accounting: The simulated Portfolio Accounting.
        seen: What is worth telling, such as how long a takeover took.
    """

    def __init__(
        self, database: DatabaseAddress, directory: Path, trade_service: str, stack: ExitStack
    ) -> None:
        self.database = database
        self.files = directory / "files"
        self.accounting = Accounting(directory, self.files)
        self.seen: list[str] = []
        self._trade_service = trade_service
        self._stack = stack
        self._callers = stack.enter_context(ThreadPoolExecutor(40))
        self._posted = 0
        self._services: list[ServiceProcess] = []

    @property
    def posted(self) -> int:
        """How many executions were posted."""
        return self._posted

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the settings of a replica here; named ones say otherwise."""
        return {
            **_SETTINGS,
            "DB_HOST": self.database.host,
            "DB_PORT": str(self.database.port),
            "DB_NAME": self.database.name,
            "DB_USER": self.database.user,
            "DB_PASSWORD": self.database.password,
            "TRADE_SERVICE_URL": self._trade_service,
            "OUTPUT_DIR": str(self.files),
            **self.accounting.settings,
            **settings,
        }

    def replica(self, **settings: str) -> ServiceProcess:
        """Start a replica and wait until it is ready."""
        service = self._stack.enter_context(service_process(self.environment(**settings)))
        self._stack.callback(_kill, service)
        self._services.append(service)
        wait_until(service.is_ready, "ready")
        return service

    def records(self, count: int) -> list[dict[str, object]]:
        """Return so many records that were not posted yet."""
        first = self._posted + 1
        self._posted += count
        return [record(number) for number in range(first, first + count)]

    def post(self, service: ServiceProcess, count: int) -> None:
        """Post so many new executions."""
        while count:
            some = min(count, 100)
            assert service.post("/api/v1/executions", self.records(some))[0] == 201
            count -= some

    def send(self, service: ServiceProcess) -> tuple[int, dict[str, Any]]:
        """Send a batch; tells how it was answered."""
        return service.post("/api/v1/executions/send", {})

    def post_meanwhile(
        self, service: ServiceProcess, path: str, body: object = None
    ) -> "Future[tuple[int, dict[str, Any]] | None]":
        """POST to a path while the test goes on; None is the answer of a service that died."""

        def call() -> tuple[int, dict[str, Any]] | None:
            try:
                return service.post(path, body or {})
            except OSError:
                return None

        return self._callers.submit(call)

    def send_meanwhile(self, service: ServiceProcess) -> "Future[tuple[int, dict[str, Any]] | None]":
        """Send a batch while the test goes on; see `post_meanwhile`."""
        return self.post_meanwhile(service, "/api/v1/executions/send")

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with connect(self.database, {}) as session:
            return session.execute(query, values).fetchall()  # pyright: ignore[reportArgumentType, reportCallIssue]

    def newest_batch(self) -> int:
        """Return the id of the newest claimed batch; 0 when there is none."""
        return int(self.ask("SELECT coalesce(max(batch_id), 0) FROM batch_claim")[0][0])

    def batch(self, service: ServiceProcess, batch_id: int) -> dict[str, Any]:
        """Return what the service says of a batch."""
        status, answer = service.get(f"/api/v1/batches/{batch_id}")
        assert status == 200, answer
        return answer

    def until_at_rest(
        self, service: ServiceProcess, batch_id: int, seconds: float = TAKEN_OVER_SECONDS
    ) -> dict[str, Any]:
        """Wait until a batch has its outcome, and return what the service says of it."""
        seen: list[dict[str, Any]] = []

        def is_at_rest() -> bool:
            seen.append(self.batch(service, batch_id))
            of_files = {one["status"] for one in seen[-1]["deliveries"]}
            return {seen[-1]["status"], *of_files} <= AT_REST

        wait_until(is_at_rest, f"batch {batch_id} is at rest", seconds)
        return seen[-1]

    def only_delivery(self, service: ServiceProcess, batch_id: int) -> dict[str, Any]:
        """Wait for a batch of one file to have its outcome; returns its delivery."""
        (delivery,) = self.until_at_rest(service, batch_id)["deliveries"]
        return delivery

    def until_lease_is_renewed(self) -> None:
        """Wait until whoever works on the only leased delivery has gone on doing so for a while."""
        query = "SELECT lease_until FROM delivery WHERE lease_until > clock_timestamp()"
        before = self.ask(query)
        assert len(before) == 1
        wait_until(lambda: self.ask(query) not in ([], before), "the lease is renewed")

    def last_words(self) -> list[str]:
        """Return how the logs of all replicas ended."""
        said: list[str] = []
        for service in self._services:
            state = "has ended" if service.process.poll() is not None else "goes on"
            said.append(f"service {service.process.pid} {state} {service.stderr}")
            said += [f"  {line}" for line in tuple(service.log)[-_LAST_LINES:]]
        return said

    def note(self, text: str) -> None:
        """Keep something that is worth telling."""
        self.seen.append(text)

    def check(self, service: ServiceProcess, seconds: float = TAKEN_OVER_SECONDS) -> None:
        """Make sure that all is as promised, and that the service goes on by itself.

        Every execution is in exactly one window and one file; booked, or listed by name; no two runs were
        over one portfolio at once; and new executions are booked, whatever their lane, for a send is taken
        within so many seconds.
        """
        self.accounting.does("")
        began = time.monotonic()
        self.post(service, _FRESH)
        self.until_sent(service, seconds)
        fresh = self.until_at_rest(service, self.newest_batch())
        assert fresh["status"] == "delivered", fresh
        self.note(f"fresh executions booked after {time.monotonic() - began:.1f} s")
        self._check_windows()
        self._check_books(service)

    def until_sent(
        self, service: ServiceProcess, seconds: float = TAKEN_OVER_SECONDS
    ) -> tuple[int, dict[str, Any]]:
        """Send a batch, again if another sender was faster or the service is not quite up yet."""
        answers: list[tuple[int, dict[str, Any]]] = []

        def send() -> bool:
            answers.append(self.send(service))
            return answers[-1][0] in {200, 202}

        wait_until(send, "a batch is sent", seconds)
        return answers[-1]

    def _check_windows(self) -> None:
        (count,) = self.ask("SELECT count(*) FROM execution")[0]
        several = self.ask(
            "SELECT e.id, count(h.id) FROM execution AS e LEFT JOIN batch_history AS h"
            "    ON e.ready_to_send_timestamp >= h.previous_start_time"
            "   AND e.ready_to_send_timestamp < h.start_time"
            " GROUP BY e.id HAVING count(h.id) <> 1"
        )
        unended = self.ask(
            "SELECT file_name, status FROM delivery WHERE status IN ('claimed', 'written', 'delivering')"
        )
        unwritten = self.ask("SELECT batch_id FROM batch_claim WHERE prepared_timestamp IS NULL")

        assert count == self._posted
        assert several == []
        assert unended == []
        assert unwritten == []

    def _check_books(self, service: ServiceProcess) -> None:
        books = self.accounting.books()
        statuses = books.statuses
        in_files: list[str] = []
        pages = service.get("/api/v1/batches?limit=1000")[1]["batches"]
        for batch in pages:
            for delivery in self.batch(service, batch["id"])["deliveries"]:
                rows = (self.files / delivery["fileName"]).read_text().splitlines()[1:]
                ids = [row.split(",")[2] for row in rows]
                in_files += ids
                _check_delivery(delivery, ids, statuses)
        (all_ids,) = self.ask("SELECT coalesce(array_agg('AC' || id), '{}') FROM execution")[0]

        assert sorted(in_files) == sorted(all_ids)  # each in one file
        assert books.overlaps == []
        assert books.lost == []
        assert self.accounting.runs() == []


def _check_delivery(delivery: Mapping[str, Any], ids: list[str], statuses: Mapping[str, str]) -> None:
    """Make sure that what is told of a file is true, and that no record is passed over in silence."""
    listed = {one["sourceId"] for one in delivery["rejects"]}
    booked = {one for one in ids if statuses.get(one) == "PROC"}
    counts = [delivery[f"{kind}Count"] or 0 for kind in ("accepted", "rejected", "unknown")]

    assert sum(counts) == delivery["recordCount"] == len(ids), delivery
    if delivery["status"] in {"delivered", "partial"}:
        assert counts[2] == 0, delivery
        assert set(ids) <= booked | listed, delivery
        assert counts[0] == len(booked - listed), delivery
    else:
        assert counts[0] <= len(booked), delivery
        assert counts[1] + counts[2] >= len(set(ids) - booked), delivery


def paused(service: ServiceProcess) -> None:
    """Pause a service, every thread of it."""
    process = psutil.Process(service.process.pid)
    process.suspend()
    wait_until(lambda: process.status() == psutil.STATUS_STOPPED, "the service is paused")


def killed(service: ServiceProcess) -> float:
    """Kill a service, and tell when."""
    service.signal(signal.SIGKILL)
    service.process.wait()
    return time.monotonic()


def _kill(service: ServiceProcess) -> None:
    if service.process.poll() is None:
        service.signal(signal.SIGKILL)


def _kill_orphans(files: Path) -> None:
    for one in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if str(files) in " ".join(one.cmdline()):
                os.killpg(one.pid, signal.SIGKILL)


@contextmanager
def open_stage(database: DatabaseAddress, directory: Path, trade_service: str) -> Generator[Stage]:
    """Open a stage; at the end everything that runs on it is killed."""
    with ExitStack() as stack:
        stage = Stage(database, directory, trade_service, stack)
        stack.callback(_kill_orphans, stage.files)
        yield stage
