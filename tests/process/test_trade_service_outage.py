"""An outage of the Trade Service loses no trade and holds up nobody (design, "Deferral")."""

import csv
import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Self

import pytest
from tests.process.conftest import StartService
from tests.process.records import record
from tests.process.service_process import PATIENCE_SECONDS, ServiceProcess, wait_until
from tests.process.trade_service_process import TradeServiceProcess

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.entrypoints.stack import call

ANSWER_SECONDS = 0.5
"""Within which a record is answered, whatever the Trade Service does."""

STALLED_SECONDS = 2.0
"""A machine that is busy with other things may hold up a few answers for so long, and no more."""

OUTAGE_SECONDS = 6.0
EXECUTIONS = "/api/v1/executions"
Outage = Callable[["TradeServiceProcess"], None]


class SteadyPosts:
    """Posts one record after the other until it is told to end, and notes each answer."""

    def __init__(self, service: ServiceProcess, pause_seconds: float = 0.05) -> None:
        self._url = f"{service.url}{EXECUTIONS}"
        self._pause_seconds = pause_seconds
        self._told = threading.Event()
        self._thread = threading.Thread(target=self._post)
        self.answers: list[tuple[int, str]] = []
        self.seconds: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._told.set()
        self._thread.join(PATIENCE_SECONDS)

    @property
    def figures(self) -> str:
        seconds = sorted(self.seconds)
        late = sum(one > ANSWER_SECONDS for one in seconds)
        median, p99 = statistics.median(seconds), seconds[int(len(seconds) * 0.99)]
        counts = dict(Counter(status for _, status in self.answers))
        return (
            f"{len(seconds)} posts {counts}: median {median:.3f} s, p99 {p99:.3f} s,"
            f" longest {seconds[-1]:.3f} s, {late} later than {ANSWER_SECONDS} s"
        )

    def _post(self) -> None:
        while not self._told.wait(self._pause_seconds):
            body = json.dumps([record(len(self.answers) + 1)]).encode()
            begun = time.perf_counter()
            status, answer = call(self._url, body, seconds=PATIENCE_SECONDS)
            self.seconds.append(time.perf_counter() - begun)
            self.answers.append((status, answer["results"][0]["status"]))


@pytest.fixture
def trade_service() -> Generator[TradeServiceProcess]:
    process = TradeServiceProcess()
    process.start()
    yield process
    process.stop()


def total(service: ServiceProcess) -> int:
    return service.get(f"{EXECUTIONS}?limit=1")[1]["pagination"]["totalElements"]


def booked_rows(folder: Path) -> list[str]:
    """The source ids in all transaction files."""
    return [
        row["source_id"]
        for file in folder.glob("transactions_*.csv")
        if not file.name.endswith(".errors.csv")
        for row in csv.DictReader(file.read_text().splitlines())
    ]


@pytest.mark.parametrize(
    "outage", [TradeServiceProcess.stop, TradeServiceProcess.hang], ids=["stopped", "hanging"]
)
def test_in_an_outage_every_post_is_answered_at_once_and_afterwards_every_execution_is_in_a_file_once(
    start_service: StartService,
    database: DatabaseAddress,
    trade_service: TradeServiceProcess,
    tmp_path: Path,
    outage: Outage,
) -> None:
    service = start_service(
        database,
        TRADE_SERVICE_URL=trade_service.url,
        TRADE_SERVICE_DEFER="true",
        TRADE_SERVICE_BREAKER_OPEN_SECONDS="2",
    )
    wait_until(service.is_ready, "ready")
    with SteadyPosts(service) as posts:
        wait_until(lambda: len(posts.answers) >= 10, "posts before the outage")
        outage(trade_service)
        wait_until(lambda: "deferred" in {status for _, status in posts.answers}, "a deferred record")
        time.sleep(OUTAGE_SECONDS)
        trade_service.go_on()
        wait_until(lambda: posts.answers[-1][1] == "created", "a created record after the outage")
    wait_until(lambda: total(service) == len(posts.answers), "every record is an execution")
    sent, answer = service.post(f"{EXECUTIONS}/send", {})

    print(posts.figures)
    assert {code for code, _ in posts.answers} == {201}
    assert {status for _, status in posts.answers} == {"created", "deferred"}
    assert sum(one <= ANSWER_SECONDS for one in posts.seconds) >= 0.95 * len(posts.seconds), posts.figures
    assert max(posts.seconds) < STALLED_SECONDS, posts.figures
    assert (sent, answer["processedCount"]) == (200, len(posts.answers))
    rows = booked_rows(tmp_path / "files")
    assert len(rows) == len(set(rows)) == len(posts.answers)


def test_what_was_deferred_before_it_was_switched_off_is_worked_off(
    start_service: StartService, database: DatabaseAddress, trade_service: TradeServiceProcess
) -> None:
    deferring = start_service(database, TRADE_SERVICE_DEFER="true")
    wait_until(deferring.is_ready, "ready")
    status, answer = deferring.post(EXECUTIONS, [record(1), record(2)])
    deferring.close()

    service = start_service(database, TRADE_SERVICE_URL=trade_service.url)
    wait_until(lambda: total(service) == 2, "both are executions")

    assert (status, answer["processedCount"]) == (201, 2)
    assert service.post(EXECUTIONS, [record(1)])[1]["skippedCount"] == 1


def test_lookups_that_hang_do_not_hold_up_the_end(
    start_service: StartService, database: DatabaseAddress, trade_service: TradeServiceProcess
) -> None:
    trade_service.hang()
    service = start_service(
        database,
        TRADE_SERVICE_URL=trade_service.url,
        TRADE_SERVICE_DEFER="true",
        SHUTDOWN_GRACE_SECONDS="10",
    )
    wait_until(service.is_ready, "ready")
    service.post(EXECUTIONS, [record(1)])

    begun = time.monotonic()
    service.signal()

    assert service.exit_code() == 0
    assert time.monotonic() - begun < 5
