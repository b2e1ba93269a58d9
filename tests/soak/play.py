"""One soak: two replicas under mixed load, while the CLI, PostgreSQL and a replica fail; then the audit."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.own_postgres import OwnPostgres, own_postgres
from tests.chaos.stage import Stage, killed, open_stage
from tests.process.service_process import ServiceProcess, wait_until
from tests.process.trade_service_process import TradeServiceProcess
from tests.soak import allowed, flaky_cli
from tests.soak.gauges import Gauge
from tests.soak.load import Load
from tests.soak.windows import Windows

AUDIT_SECONDS = 180.0
"""How long what is under way may take to end once nothing fails any more."""

POSTGRES_DOWN_SECONDS = 2.0
_OUTAGES = ((0.3, allowed.DATABASE), (0.5, allowed.REPLICA), (0.7, allowed.DATABASE))
"""What is broken, and after which part of the time."""

_LOOK_SECONDS = 1.0
_TELL_SECONDS = 5.0

Tell = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What a soak came to.

    Attributes:
        seconds: How long there was load.
        executions: How many were acknowledged.
        batches: How many batches were claimed.
        runs: How many runs of the CLI there were while it failed, and how many of them did.
        load: The callers.
        windows: The outages.
        gauges: What each replica took.
        grave: How often each error was logged.
        faults: Everything that was not as promised; empty when all was.
        begun: When it began.
    """

    seconds: float
    load: Load
    windows: Windows
    begun: float = field(default_factory=time.time)
    executions: int = 0
    batches: int = 0
    runs: tuple[int, int] = (0, 0)
    gauges: list[Gauge] = field(default_factory=list[Gauge])
    grave: Counter[str] = field(default_factory=Counter[str])
    faults: list[str] = field(default_factory=list[str])


class Soak:
    """Plays one soak on a stage; made by `play`."""

    def __init__(
        self, stage: Stage, postgres: OwnPostgres, directory: Path, seconds: float, tell: Tell
    ) -> None:
        self._stage = stage
        self._postgres = postgres
        self._tell = tell
        self._flaky = directory / "flaky"
        self._services: list[ServiceProcess] = []
        self._gauging = threading.Event()
        replicas: list[ServiceProcess] = []
        self.outcome = Outcome(seconds, Load(replicas, seed=8089), Windows())
        replicas += [self._replica("replica 1"), self._replica("replica 2")]

    def play(self) -> None:
        """Break things while there is load; then look at what came of it."""
        outcome = self.outcome
        self._flaky.touch()
        gauging = threading.Thread(target=self._gauge)
        gauging.start()
        try:
            with outcome.load.going_on():
                outcome.begun = time.time()
                for part, what in _OUTAGES:
                    self._pass_until(outcome.begun + part * outcome.seconds)
                    self._break(what)
                self._pass_until(outcome.begun + outcome.seconds)
        finally:
            self._gauging.set()
            gauging.join()
        self._flaky.unlink()
        self._audit()

    def _replica(self, name: str) -> ServiceProcess:
        script = Path(flaky_cli.__file__).resolve()
        service = self._stage.replica(
            CLI_COMMAND=f"{sys.executable} {script} process --file {{output_dir}}/{{filename}}"
            " --output-dir {output_dir} --batch-size 1 --skip-sort",
            SOAK_FLAKY=str(self._flaky),
            DELIVERY_RETRY_BASE_DELAY_SECONDS="0.5",
        )
        self._services.append(service)
        self.outcome.gauges.append(Gauge(name, service.process.pid))
        return service

    def _break(self, what: str) -> None:
        replicas = self.outcome.load.replicas
        with self.outcome.windows.opened(what):
            if what == allowed.DATABASE:
                self._tell("PostgreSQL is killed")
                self._postgres.kill()
                time.sleep(POSTGRES_DOWN_SECONDS)
                self._postgres.start()
                for one in replicas:
                    wait_until(one.is_ready, "ready again")
                self._tell("PostgreSQL is back")
            else:
                self._tell("replica 2 is killed")
                killed(replicas.pop(1))
                replicas.append(self._replica("replica 2 anew"))
                self._tell("replica 2 is back")

    def _gauge(self) -> None:
        while not self._gauging.wait(_LOOK_SECONDS):
            for one in tuple(self.outcome.gauges):
                one.look()

    def _pass_until(self, end: float) -> None:
        while (left := end - time.time()) > 0:
            time.sleep(min(left, _TELL_SECONDS))
            self._tell(self._how_far())

    def _how_far(self) -> str:
        outcome, load = self.outcome, self.outcome.load
        sizes = " ".join(f"{one.mib[-1]:.0f}" for one in outcome.gauges[-2:] if one.mib)
        return (
            f"{time.time() - outcome.begun:.0f} of {outcome.seconds:.0f} s: {load.acknowledged} executions,"
            f" {sum(load.answers.values())} requests, {len(load.misses)} missed, {load.attempts_failed} sends"
            f" failed at first, {load.resent} resent; {sizes} MiB"
        )

    def _audit(self) -> None:
        outcome, load, stage = self.outcome, self.outcome.load, self._stage
        outcome.executions = load.acknowledged
        runs, faults = self._flaky.with_suffix(".runs"), self._flaky.with_suffix(".faults")
        wrong = len(faults.read_text().splitlines()) if faults.exists() else 0
        outcome.runs = (len(runs.read_bytes()) if runs.exists() else 0, wrong)
        self._tell("the load has ended; what is under way is waited for")
        found = outcome.faults
        try:
            stage.records(load.acknowledged)  # the numbers that are taken
            wait_until(self._all_is_delivered, "everything is delivered", AUDIT_SECONDS)
            self._tell("everything is delivered; windows, files and books are compared")
            stage.check(load.replicas[0])
            found += self._not_booked_once()
        except AssertionError as error:
            found.append(f"audit: {error}")
        outcome.batches = int(stage.ask("SELECT count(*) FROM batch_claim")[0][0])
        found += [
            f"{one.what} at {one.begun - outcome.begun:.1f} s: {one.status} {one.told}"
            for one in load.misses
            if not outcome.windows.hold(one.begun, one.ended)
        ]
        for service in self._services:
            grave, faulty = allowed.judge(tuple(service.log), outcome.windows)
            outcome.grave += grave
            found += faulty
            if service.stderr:
                found.append(f"a replica wrote to standard error: {service.stderr[-300:]}")
        for gauge in outcome.gauges:
            found += gauge.faults()

    def _all_is_delivered(self) -> bool:
        load = self.outcome.load
        load.send()
        load.resend_failed()
        open_ones = self._stage.ask("SELECT 1 FROM delivery WHERE status <> 'delivered' LIMIT 1")
        waiting = self._stage.ask(
            "SELECT 1 FROM execution"
            " WHERE ready_to_send_timestamp >= (SELECT max(start_time) FROM batch_history) LIMIT 1"
        )
        return not open_ones and not waiting

    def _not_booked_once(self) -> list[str]:
        books = self._stage.accounting.books()
        (count,) = self._stage.ask("SELECT count(*) FROM execution")[0]
        booked = sum(status == "PROC" for status in books.statuses.values())
        found: list[str] = []
        if not count == booked == len(books.statuses) == len(books.entries):
            found.append(
                f"{count} executions, {len(books.entries)} rows in accounting, {booked} of them booked"
            )
        return found + books.faults()


def play(directory: Path, seconds: float, tell: Tell) -> Outcome:
    """Play a soak of so many seconds of load, and audit it.

    Args:
        directory: For files and books; empty.
        seconds: How long there is load.
        tell: Gets a line every few seconds.
    """
    with (
        own_postgres() as postgres,
        TradeServiceProcess() as trade_service,
        open_stage(postgres.address, directory, trade_service.url) as stage,
    ):
        soak = Soak(stage, postgres, directory, seconds, tell)
        soak.play()
        return soak.outcome
