"""The load: callers who post, repeat, read, send and resend, each replica in turn."""

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.process.records import record
from tests.process.service_process import ServiceProcess

from globeco_allocation.entrypoints.stack import call

EXECUTIONS = "/api/v1/executions"
SEND_EVERY_SECONDS = 4.0
_CALL_SECONDS = 30.0
_AGAIN_SECONDS = 0.2
_GIVE_UP_SECONDS = 60.0
_LEAST_FAULT = 500


@dataclass(frozen=True, slots=True)
class Miss:
    """A request that was not answered as it should be.

    Attributes:
        what: Which one.
        begun: When it was made.
        ended: When that was known.
        status: What was answered; 0 when nothing was.
        told: What was said.
    """

    what: str
    begun: float
    ended: float
    status: int
    told: str


class Load:
    """Callers until they are told to end, over whichever replicas there are.

    Attributes:
        replicas: The ones that are called, in turn; may be changed at any time.
        answers: How often each kind of request got each status.
        misses: What went wrong.
        acknowledged: How many executions were answered as kept.
        seconds: How long each answer took.
        attempts_failed: Sends that were answered with the failure of their first attempt.
        resent: Batches that were sent again by hand.
    """

    def __init__(self, replicas: list[ServiceProcess], seed: int) -> None:
        self.replicas = replicas
        self.answers: Counter[tuple[str, int]] = Counter()
        self.misses: list[Miss] = []
        self.seconds: list[float] = []
        self.acknowledged = 0
        self.attempts_failed = 0
        self.resent = 0
        self._chance = random.Random(seed)  # noqa: S311 (no secret)
        self._numbers = itertools.count(1)
        self._turns = itertools.count()
        self._lock = threading.Lock()
        self._told = threading.Event()

    @contextmanager
    def going_on(self) -> Generator[None]:
        """Let callers call for as long as the block lasts; what they began is ended after it."""
        ways: list[tuple[Callable[[], None], float]] = [
            (self._post_one, 0.12),
            (self._post_one, 0.12),
            (self._post_hundred, 4.0),
            (self._repeat, 0.7),
            (self._post_broken, 1.1),
            (self._read, 0.25),
            (self._read, 0.25),
            (self.send, SEND_EVERY_SECONDS),
            (self.resend_failed, 5.0),
        ]
        threads = [threading.Thread(target=self._go_on, args=way) for way in ways]
        for one in threads:
            one.start()
        try:
            yield
        finally:
            self._told.set()
            for one in threads:
                one.join()

    def send(self) -> None:
        """Send what became ready; a first attempt that fails is what the CLI was told to do."""
        status, answer = self._ask("send", f"{EXECUTIONS}/send", {})
        if status == _LEAST_FAULT and "batchId" in (answer.get("details") or {}):
            self.attempts_failed += 1

    def resend_failed(self) -> None:
        """Do what an operator does with a batch whose attempts are used up."""
        for batch in self._ask("batches", "/api/v1/batches?limit=20")[1].get("batches", []):
            if (
                batch["status"] == "failed"
                and self._ask("resend", f"/api/v1/batches/{batch['id']}/resend", {})[0]
            ):
                self.resent += 1

    def _go_on(self, way: Callable[[], None], pause: float) -> None:
        while not self._told.wait(pause * self._between(0.5, 1.5)):
            way()

    def _post_one(self) -> None:
        self._post("post 1", 1)

    def _post_hundred(self) -> None:
        self._post("post 100", 100)

    def _post(self, what: str, count: int) -> None:
        with self._lock:
            numbers = list(itertools.islice(self._numbers, count))
        body = [record(number) for number in numbers]
        begun = time.time()
        # Again until it is said to be kept, as a caller does that loses nothing.
        while (status := self._ask(what, EXECUTIONS, body)[0]) != 201:
            if time.time() - begun > _GIVE_UP_SECONDS:
                self._miss(what, time.time(), status, "never kept, however often it was posted")
                return
            time.sleep(_AGAIN_SECONDS)
        with self._lock:
            self.acknowledged += count

    def _repeat(self) -> None:
        if self.acknowledged:
            number = int(self._between(1, self.acknowledged / 2 + 1))
            status, answer = self._ask("repeat", EXECUTIONS, [record(number)])
            if status == 201 and answer["processedCount"] and number < self.acknowledged / 2:
                self._miss("repeat", time.time(), status, f"{number} was taken for a new one")

    def _post_broken(self) -> None:
        status, _ = self._ask("broken", EXECUTIONS, [{**record(1), "tradeType": "SHORT", "quantity": "5"}])
        if status == 201:
            self._miss("broken", time.time(), status, "a broken record was taken")

    def _read(self) -> None:
        total = max(self.acknowledged, 1)
        path = (
            f"?limit=50&offset={int(self._between(0, total))}",
            f"/{int(self._between(1, total))}",
            f"/{int(self._between(1, total))}/delivery",
        )[int(self._between(0, 3))]
        self._ask("read", f"{EXECUTIONS}{path}")

    def _between(self, low: float, high: float) -> float:
        with self._lock:
            return self._chance.uniform(low, high)

    def _ask(self, what: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """Ask the replica whose turn it is; returns status 0 when it does not answer."""
        replica = self.replicas[next(self._turns) % len(self.replicas)]
        begun = time.time()
        try:
            sent = None if body is None else json.dumps(body).encode()
            status, answer = call(f"{replica.url}{path}", sent, seconds=_CALL_SECONDS)
        except (OSError, ValueError, AssertionError) as error:  # it is no more, or was killed half-way
            status, answer = 0, {"message": str(error)}
        with self._lock:
            self.answers[what, status] += 1
            self.seconds.append(time.time() - begun)
        by_design = what == "send" and status == _LEAST_FAULT and "batchId" in (answer.get("details") or {})
        if (status == 0 or status >= _LEAST_FAULT) and not by_design:
            self._miss(what, begun, status, str(answer.get("message")))
        return status, answer

    def _miss(self, what: str, begun: float, status: int, told: str) -> None:
        with self._lock:
            self.misses.append(Miss(what, begun, time.time(), status, told))
