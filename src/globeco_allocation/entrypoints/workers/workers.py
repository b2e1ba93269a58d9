"""Several workers on one port: what they share, and what each of them is given.

Each is like a replica: with connections, a holder's name and a dispatcher of its own.
"""

import gc
import importlib
import shutil
import signal
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from globeco_allocation.entrypoints.database_start import DatabaseSteps
from globeco_allocation.entrypoints.logs import LogRequest
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.metrics.shared import (
    NoMetricsDirectoryError,
    forget_dead_worker,
    metrics_directory,
    shared_metrics,
)
from globeco_allocation.entrypoints.server import BACKLOG, Service, database_steps, refuse
from globeco_allocation.entrypoints.settings import Settings
from globeco_allocation.entrypoints.workers.process import LifeLine, fork_worker
from globeco_allocation.entrypoints.workers.ready_word import ReadyWord
from globeco_allocation.entrypoints.workers.supervisor import Supervisor

_LOADED_LATE = ("uvicorn.lifespan.on", "uvicorn.loops.uvloop", "anyio._backends._asyncio")
"""What a server loads when it starts."""


def run_workers(
    settings: Settings, environ: Mapping[str, str], log_request: LogRequest, listener: socket.socket
) -> int:
    """Serve on an open socket's port with `WORKERS` processes, until told to end.

    Returns:
        The exit code, see `Supervisor.run`.
    """
    if not hasattr(signal, "sigtimedwait"):
        return refuse("WORKERS above 1 needs Linux: set WORKERS=1")
    with ExitStack() as stack:
        try:
            counted_in = stack.enter_context(metrics_directory()) if settings.metrics_enabled else None
            listeners = [stack.enter_context(one) for one in share_port(listener, settings.workers)]
        except NoMetricsDirectoryError as error:
            return refuse(str(error))
        except OSError as error:
            return refuse(f"workers cannot share the port: {error.strerror}")
        steps = database_steps(settings, environ)
        _load_everything(settings, steps, log_request)
        gc.freeze()  # so that no worker's collector touches, and copies, what all have in common
        return _Workers(settings, steps, log_request, listeners, counted_in).run()


def share_port(listener: socket.socket, count: int) -> list[socket.socket]:
    """Return *count* listening sockets on one port; the kernel spreads new connections over them.

    *listener* is the first. As it was alone on the port until here, nobody else is on it.

    Raises:
        OSError: no more sockets can be had.
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    address = listener.getsockname()
    others = (
        socket.create_server(address, family=listener.family, backlog=BACKLOG, reuse_port=True)
        for _ in range(1, count)
    )
    return [listener, *others]


def _load_everything(settings: Settings, steps: DatabaseSteps, log_request: LogRequest) -> None:
    """Load what each worker would load for itself otherwise: 3 MB."""
    for module in _LOADED_LATE:
        importlib.import_module(module)
    Service(settings, steps, Metrics(), log_request)  # and with it what Litestar loads when an app is made


class _Workers:
    """What the parent holds. Connections to a worker that died wait at its socket for the next one."""

    def __init__(
        self,
        settings: Settings,
        steps: DatabaseSteps,
        log_request: LogRequest,
        listeners: list[socket.socket],
        counted_in: Path | None,
    ) -> None:
        self._settings = settings
        self._steps = steps
        self._log_request = log_request
        self._listeners = listeners
        self._counted_in = counted_in
        self._word = ReadyWord()
        self._life_line = LifeLine()

    def run(self) -> int:
        supervisor = Supervisor(
            self._settings.workers,
            start=lambda number: fork_worker(lambda: self._work(number)),
            died=self._forget,
            end=self._end,
            grace_seconds=self._settings.shutdown_grace_seconds,
        )
        return supervisor.run()

    def _work(self, number: int) -> int:
        self._life_line.hold()
        own = self._listeners[number - 1]
        for listener in self._listeners:
            if listener is not own:
                listener.close()
        steps = self._word.steps_of(number, self._steps)
        service = Service(self._settings, steps, self._metrics(number), self._log_request)
        self._life_line.follow(service.end)
        code = service.run(own)
        if self._counted_in is not None and self._life_line.is_orphan:
            shutil.rmtree(self._counted_in, ignore_errors=True)
        return code

    def _metrics(self, number: int) -> Metrics:
        return Metrics() if self._counted_in is None else shared_metrics(self._counted_in, number)

    def _forget(self, number: int) -> None:
        if self._counted_in is not None:
            forget_dead_worker(self._counted_in, number)

    def _end(self) -> None:
        # The workers close theirs, and only then nobody listens any more.
        for listener in self._listeners:
            listener.close()
        self._life_line.cut()
