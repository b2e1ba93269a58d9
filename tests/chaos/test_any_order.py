"""Everything at once: replicas are killed and paused, runs killed, while senders go on; then faults stop.

``CHAOS_HISTORIES`` says how many such histories are played. A seed fixes what is done, though not to the
millisecond when.
"""

import os
import random
import time
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest
from tests.chaos.stage import Stage, killed, paused
from tests.process.service_process import ServiceProcess, wait_until

SEEDS = range(int(os.environ.get("CHAOS_HISTORIES", "1")))
DEEDS = 24
LONGEST_REST_SECONDS = 1.0
SLOW_MS = 30
CALM_SECONDS = 90.0
FAULTS = ("", f"slow:{SLOW_MS}", "slow:700", "killed:7", "eof", "server-down", "exit-1", "garbage")


class Trouble:
    """Two replicas that fare badly."""

    def __init__(self, stage: Stage, dice: random.Random) -> None:
        self._stage = stage
        self._dice = dice
        self._replicas = [self._started(), self._started()]

    def befall(self) -> None:
        """Do one thing."""
        deeds: list[Callable[[], None]] = [
            *(3 * [self._post_and_send]),
            *(2 * [self._resend]),
            *(2 * [self._kill_a_replica]),
            self._pause_a_replica,
            self._wake_all,
            self._stage.accounting.kill_runs,
            *(2 * [self._change_the_fault]),
        ]
        deed = self._dice.choice(deeds)
        self._stage.note(f"{time.monotonic():.1f} {getattr(deed, '__name__', '')}")
        deed()
        time.sleep(self._dice.uniform(0, LONGEST_REST_SECONDS))

    def end(self) -> ServiceProcess:
        """Let nothing more happen; gives one of the replicas."""
        self._wake_all()
        self._stage.accounting.does("")
        for replica in self._replicas:
            wait_until(replica.is_ready, "ready")
        return self._replicas[0]

    def _started(self) -> ServiceProcess:
        return self._stage.replica(DELIVERY_LANES="2", DELIVERY_RETRY_MAX_ATTEMPTS="2")

    def _post_and_send(self) -> None:
        path, records = "/api/v1/executions", self._stage.records(self._dice.randint(5, 40))
        awake = self._awake()
        # Posted until it is sure that all are kept, as the confirmation client does.
        wait_until(
            lambda: self._answer(self._dice.choice(awake), path, records) == 201, "executions are kept"
        )
        self._stage.send_meanwhile(self._dice.choice(awake))

    def _resend(self) -> None:
        batches = self._stage.ask("SELECT batch_id FROM batch_claim")
        if batches:
            (batch,) = self._dice.choice(batches)
            self._stage.post_meanwhile(self._dice.choice(self._awake()), f"/api/v1/batches/{batch}/resend")

    def _kill_a_replica(self) -> None:
        number = self._dice.randrange(len(self._replicas))
        killed(self._replicas[number])
        if self._dice.random() < 0.5:
            self._stage.accounting.kill_runs()
        self._replicas[number] = self._started()

    def _pause_a_replica(self) -> None:
        if len(self._awake()) == len(self._replicas):
            paused(self._dice.choice(self._replicas))

    def _wake_all(self) -> None:
        for replica in self._replicas:
            psutil.Process(replica.process.pid).resume()

    def _change_the_fault(self) -> None:
        self._stage.accounting.does(self._dice.choice(FAULTS))

    def _awake(self) -> list[ServiceProcess]:
        return [
            one for one in self._replicas if psutil.Process(one.process.pid).status() != psutil.STATUS_STOPPED
        ]

    def _answer(self, replica: ServiceProcess, path: str, body: object) -> int:
        with suppress(OSError):
            return replica.post(path, body)[0]
        return 0


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_all_is_booked_or_listed_once_it_stops(stage: Stage, seed: int) -> None:
    trouble = Trouble(stage, random.Random(seed))  # noqa: S311 - no secret
    for _ in range(DEEDS):
        trouble.befall()

    began = time.monotonic()
    service = trouble.end()
    stage.until_sent(service)
    for (batch,) in stage.ask("SELECT batch_id FROM batch_claim ORDER BY 1"):
        stage.until_at_rest(service, batch, CALM_SECONDS)
    stage.note(f"all at rest {time.monotonic() - began:.1f} s after faults stopped")

    assert stage.ask("SELECT reason FROM delivery_stop WHERE cleared_timestamp IS NULL") == []
    failed = stage.ask("SELECT DISTINCT batch_id FROM delivery WHERE status = 'failed' ORDER BY 1")
    for (batch,) in failed:
        stage.post_meanwhile(service, f"/api/v1/batches/{batch}/resend").result(30)
        stage.until_at_rest(service, batch)
    not_judged = "status NOT IN ('delivered', 'partial') AND (status <> 'failed' OR unknown_count > 0)"
    assert stage.ask(f"SELECT file_name, error FROM delivery WHERE {not_judged}") == []
    stage.check(service)
