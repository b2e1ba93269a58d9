"""One of several workers: a process that its parent forks, and that ends in order when the parent is gone."""

import os
import signal
from collections.abc import Callable
from threading import Thread
from typing import Any

import structlog

from globeco_allocation.entrypoints import logs

CRASHED = 70
"""A worker's exit code after an exception that nothing caught; unlike a refusal's it is worth another try."""

END_SIGNAL = signal.SIGUSR1
"""What a worker tells itself to end in order with: unlike SIGTERM it may come twice."""

_log: Any = structlog.get_logger("globeco_allocation.workers")


class LifeLine:
    """Ends workers in order: when their parent cuts it, and when the parent dies, however that comes about.

    It is a pipe that nothing is written to, and whose write end the parent alone holds.
    """

    def __init__(self) -> None:
        self._parent = os.getpid()
        self._read, self._write = os.pipe()
        self._is_whole = True

    @property
    def is_orphan(self) -> bool:
        """Whether this process was forked by a parent that has died."""
        return os.getppid() != self._parent

    def cut(self) -> None:
        """Tell all workers to end."""
        if self._is_whole:
            self._is_whole = False
            os.close(self._write)

    def follow(self, end: Callable[[], None]) -> None:
        """Have *end* called in the main thread of this worker once the line is cut."""
        signal.signal(END_SIGNAL, lambda _number, _frame: end())
        Thread(target=self._wait, name="life-line", daemon=True).start()

    def hold(self) -> None:
        """Take the worker's end."""
        os.close(self._write)

    def _wait(self) -> None:
        os.read(self._read, 1)
        os.kill(os.getpid(), END_SIGNAL)


def fork_worker(work: Callable[[], int]) -> int:
    """Do *work* in a new process, whose exit code it returns, and return that process's id.

    To be called while this process has a single thread and holds back signals, which the new one does not.

    Raises:
        OSError: the system gives no more processes.
    """
    pid = os.fork()
    if pid:
        return pid
    code = CRASHED
    try:
        _take_signals()
        code = work()
    except BaseException:  # noqa: BLE001 (it is the end of this process)
        _log.exception(logs.WORKER_FAILED)
    finally:
        os._exit(code)  # what the parent would clean up is the parent's


def _take_signals() -> None:
    """Let signals end this process, until it handles them itself."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
