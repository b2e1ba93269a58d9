"""The parent of several workers: it starts them, replaces one that dies, and ends them together."""

import math
import os
import signal
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import structlog

from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.entrypoints.server import SAME_SIGNAL_SECONDS, refuse

QUICK_SECONDS = 10.0
"""A worker that lives for less has died at once."""

MOST_QUICK_DEATHS = 5
"""So many in a row in one place end the service: what kills them is there to stay."""

FIRST_PAUSE_SECONDS = 0.1
"""Between a quick death and the next start; it doubles with each one."""

_MOMENT_SECONDS = 2.0  # past the grace, by whose end each worker ends itself
_LONGEST_SLEEP_SECONDS = 3600.0
_REAP_SECONDS = 1.0  # what was killed may still hang in the system, in a file system that does not answer

_END_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
_SIGNALS = _END_SIGNALS | {signal.SIGCHLD}

_log: Any = structlog.get_logger("globeco_allocation.workers")


@dataclass(slots=True)
class _Place:
    """Where one worker is at a time.

    Attributes:
        number: From 1.
        pid: The worker's, or the last one's.
        began: When that was started.
        deaths: How many there died at once, one after another.
        due: When the next one is started; None while one runs.
    """

    number: int
    pid: int = 0
    began: float = 0.0
    deaths: int = 0
    due: float | None = 0.0


class Supervisor:
    """Keeps so many workers running until it is told to end.

    It has no thread and no event loop, and sleeps until a signal comes, so that it may fork at any time.

    Args:
        count: How many.
        start: Starts the worker of a number, and returns its process id; raises OSError when that fails.
        died: Told the number of a worker that is no more.
        end: Tells all workers to end in order.
        grace_seconds: How long they take for that at most.
    """

    def __init__(
        self,
        count: int,
        *,
        start: Callable[[int], int],
        died: Callable[[int], None],
        end: Callable[[], None],
        grace_seconds: float,
    ) -> None:
        self._places = [_Place(number) for number in range(1, count + 1)]
        self._start = start
        self._died = died
        self._end = end
        self._grace_seconds = grace_seconds
        self._running: dict[int, _Place] = {}
        self._told_at: float | None = None
        self._leave_at = math.inf
        self._code = int(ExitCode.OK)

    def run(self) -> int:
        """Start the workers, and wait for their end.

        Returns:
            The service's exit code: 0 when all ended in order after a signal; 1 when one of them refused, or
            when they died at once again and again; else what the first one ended with, as a shell names it.
        """
        _hold_signals_back()
        self._start_what_is_due()
        _log.info(logs.WORKERS_STARTED, workers=len(self._running), pid=os.getpid())
        while self._told_at is None:
            self._wait()
            self._start_what_is_due()
        while self._running and time.monotonic() < self._leave_at:
            self._wait()
            if time.monotonic() > self._told_at + self._grace_seconds + _MOMENT_SECONDS:
                self._kill(128 + signal.SIGKILL)
        _log.info(logs.WORKERS_ENDED, exit_code=self._code)
        return self._code

    @property
    def _killed(self) -> bool:
        return self._leave_at < math.inf

    def _wait(self) -> None:
        """Sleep until something happens or is due, and take note of it."""
        found = signal.sigtimedwait(_SIGNALS, max(self._next() - time.monotonic(), 0))
        if found is not None and found.si_signo in _END_SIGNALS:
            self._tell(found.si_signo)
        for pid, code in _ended_children():
            place = self._running.pop(pid, None)
            if place is not None:  # as the first process of a container we also get what others left
                self._note_end(place, code)

    def _next(self) -> float:
        """Return when something is due, by the monotonic clock."""
        if self._told_at is not None:
            killing = self._told_at + self._grace_seconds + _MOMENT_SECONDS
            return self._leave_at if self._killed else killing
        due = [place.due for place in self._places if place.due is not None]
        return min(due, default=time.monotonic() + _LONGEST_SLEEP_SECONDS)

    def _tell(self, number: int) -> None:
        """Begin to end at the first signal; leave at once at the next one."""
        if self._told_at is None:
            self._end_all()
        elif time.monotonic() - self._told_at > SAME_SIGNAL_SECONDS:
            self._kill(128 + number)

    def _end_all(self) -> None:
        self._told_at = time.monotonic()
        _log.info(logs.WORKERS_ENDING)
        self._end()

    def _kill(self, code: int) -> None:
        if self._killed:
            return
        self._code = code
        self._leave_at = time.monotonic() + _REAP_SECONDS
        _log.error(logs.WORKERS_KILLED, workers=[place.number for place in self._running.values()])
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)

    def _note_end(self, place: _Place, code: int) -> None:
        self._died(place.number)
        if self._told_at is not None:
            # One that had not even begun to listen knows no better end.
            in_order = code in {ExitCode.OK, -signal.SIGTERM, -signal.SIGINT}
            self._code = self._code or (0 if in_order else code if code > 0 else 128 - code)
        elif code == ExitCode.FAILED:
            self._code = code  # it has said why, and would again
            self._end_all()
        else:
            self._replace(place, _words(code))

    def _start_what_is_due(self) -> None:
        for place in self._places:
            if self._told_at is None and place.due is not None and place.due <= time.monotonic():
                place.began, place.due = time.monotonic(), None
                try:
                    place.pid = self._start(place.number)
                except OSError as error:
                    self._replace(place, f"not started: {error.strerror}")
                else:
                    self._running[place.pid] = place

    def _replace(self, place: _Place, how: str) -> None:
        now = time.monotonic()
        place.deaths = place.deaths + 1 if now - place.began < QUICK_SECONDS else 0
        if place.deaths == MOST_QUICK_DEATHS:
            self._code = refuse(f"worker {place.number} died {place.deaths} times at once, at last by {how}")
            self._end_all()
            return
        pause = FIRST_PAUSE_SECONDS * 2 ** (place.deaths - 1) if place.deaths else 0.0
        place.due = now + pause
        _log.error(logs.WORKER_DIED, worker=place.number, worker_pid=place.pid, by=how, again_in=pause)


def _ended_children() -> Generator[tuple[int, int]]:
    """Yield each child that has ended, with its exit code, negative for a signal."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:  # there is none at all
            return
        if not pid:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def _hold_signals_back() -> None:
    """Keep signals for `sigtimedwait`, also at the end: then nothing is left but to return the exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def _words(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
