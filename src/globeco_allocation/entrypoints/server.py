"""The server process: it listens, serves, and ends in order when it is told to."""

import asyncio
import functools
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, cast

import structlog
import uvicorn

from globeco_allocation import __version__
from globeco_allocation.adapters.postgres.knock import knock
from globeco_allocation.domain.errors import CliNotStartedError
from globeco_allocation.entrypoints import garbage, logs
from globeco_allocation.entrypoints.database_start import DatabaseStart, DatabaseSteps
from globeco_allocation.entrypoints.delivery_wiring import check_accounting
from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.entrypoints.http.app import create_app
from globeco_allocation.entrypoints.http.observability import Observability
from globeco_allocation.entrypoints.http.options import HttpOptions
from globeco_allocation.entrypoints.http_protocol import Protocol
from globeco_allocation.entrypoints.logs import LogRequest
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.migration_process import migrate_in_child
from globeco_allocation.entrypoints.open_connections import RESERVE, OpenConnections
from globeco_allocation.entrypoints.settings import Settings
from globeco_allocation.entrypoints.tracing.choosing import tracing_of
from globeco_allocation.entrypoints.wiring import open_services

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection is kept: longer than what callers and gateways keep, so they close first."""

REQUESTS_SHARE, RECEIVE_SHARE = 0.5, 0.1
"""Of the shutdown grace: how long requests, and then records whose caller is gone, are waited for."""

SAME_SIGNAL_SECONDS = 0.5
"""A signal that comes again so soon is the same one, from the terminal and from whoever passes it on."""

BACKLOG = 2048
"""How many connections wait to be accepted."""

_OTHER_FILES = 512  # database connections, lookups, transaction files, runs

Run = Callable[[Settings, Mapping[str, str], LogRequest, socket.socket], int]

_log: Any = structlog.get_logger("globeco_allocation.server")


def run_alone(
    settings: Settings, environ: Mapping[str, str], log_request: LogRequest, listener: socket.socket
) -> int:
    """Serve on an open socket, in this process; return its exit code."""
    return Service(settings, database_steps(settings, environ), Metrics(), log_request).run(listener)


def serve(
    settings: Settings, environ: Mapping[str, str], log_request: LogRequest, run: Run = run_alone
) -> int:
    """Serve until SIGTERM or SIGINT; a second signal ends the process at once.

    Args:
        settings: Checked.
        environ: The environment they were read from; migrations run with it.
        log_request: Logs each request.
        run: Serves on the open socket.

    Returns:
        0 after an orderly end; 1 when the service cannot do its work as it is set up. A process that has not
        ended when the grace is over is ended by SIGALRM, and by another signal at once (128 + its number).
    """
    try:
        asyncio.run(check_accounting(settings))
        listener = _listen(settings)
    except CliNotStartedError as error:
        return refuse(str(error))
    except OSError as error:
        return refuse(f"cannot listen on {settings.bind_address} port {settings.port}: {error.strerror}")
    _allow_files(settings.max_connections + RESERVE + _OTHER_FILES)
    with listener:
        return run(settings, environ, log_request, listener)


def database_steps(settings: Settings, environ: Mapping[str, str]) -> DatabaseSteps:
    """Return what makes the database ready under these settings."""
    return DatabaseSteps(
        knock=functools.partial(knock, settings.database),
        migrate=functools.partial(migrate_in_child, environ) if settings.migrate_on_start else None,
    )


class Service:
    """One server and what it serves.

    Args:
        settings: Checked.
        steps: What makes the database ready.
        metrics: Where it counts.
        log_request: Logs each request.
    """

    def __init__(
        self, settings: Settings, steps: DatabaseSteps, metrics: Metrics, log_request: LogRequest
    ) -> None:
        database = DatabaseStart(steps.knock, steps.migrate, refused=self._give_up)
        tracing = tracing_of(settings)
        app = create_app(
            _http_options(settings),
            functools.partial(open_services, settings, metrics, database, tracing=tracing),
            metrics,
            log_request,
            tracing,
        )
        self._server = _Server(app, settings, metrics)
        self._code = int(ExitCode.OK)

    def run(self, listener: socket.socket) -> int:
        """Serve on an open socket.

        Returns:
            The process's exit code.
        """
        try:
            self._server.run(sockets=[listener])
        except SystemExit:  # uvicorn's word for a start that failed; the reason is logged
            return ExitCode.FAILED
        return self._code

    def end(self) -> None:
        """Begin to end in order; for the main thread, and as often as wanted."""
        self._server.end()

    def _give_up(self, reason: str) -> None:
        """End in order, with a code that says that starting again as it is will not help."""
        self._code = refuse(reason)
        self.end()


class _Server(uvicorn.Server):
    """uvicorn, but a signal makes it unready first, and is not raised again after an orderly end."""

    def __init__(self, app: Observability, settings: Settings, metrics: Metrics) -> None:
        connections = OpenConnections(
            settings.max_connections, metrics.connection_turned_away, settings.max_request_bytes
        )
        super().__init__(
            uvicorn.Config(
                app,
                interface="asgi3",
                loop="uvloop",
                http=cast("Any", functools.partial(Protocol, connections=connections)),
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="warning",  # what it says below that, we say ourselves
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=max(1, round(settings.shutdown_grace_seconds * REQUESTS_SHARE)),
            )
        )
        self._app = app
        self._grace_seconds = settings.shutdown_grace_seconds
        self._told_at: float | None = None

    def end(self) -> None:
        """Begin to end: unready at once, and out of the process when the grace is over, whatever hangs."""
        if self._told_at is not None:
            return
        self._told_at = time.monotonic()
        self._app.drain()
        self.should_exit = True
        # The kernel's own timer and the signal's default: nothing of ours can hang that badly.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, self._grace_seconds)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end at the first signal; leave at once at the next one."""
        del frame
        if self._told_at is not None and time.monotonic() - self._told_at > SAME_SIGNAL_SECONDS:
            os._exit(128 + sig)
        self.end()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where."""
        await super().startup(sockets)
        garbage.settle()
        for one in sockets or ():
            address, port = one.getsockname()[:2]
            _log.info(logs.LISTENING, address=address, port=port, version=__version__, pid=os.getpid())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End in order: no new connections, answers, sends under way, then what is open."""
        _log.info(logs.ENDING)
        await super().shutdown(sockets)
        _log.info(logs.ENDED)


def _http_options(settings: Settings) -> HttpOptions:
    return HttpOptions(
        max_body_bytes=settings.max_request_bytes,
        cors_allowed_origins=settings.cors_allowed_origins,
        send_wait_seconds=settings.send_wait_seconds,
        receive_grace_seconds=settings.shutdown_grace_seconds * RECEIVE_SHARE,
        metrics_enabled=settings.metrics_enabled,
        api_tokens_file=settings.api_tokens_file,
    )


def _allow_files(needed: int) -> None:
    """Let this process open so many files, as far as the system lets us: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed and soft != resource.RLIM_INFINITY:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.bind_address else socket.AF_INET
    return socket.create_server((settings.bind_address, settings.port), family=family, backlog=BACKLOG)


def refuse(reason: str) -> int:
    """Say, in the log and to whoever started us, why the service ends."""
    _log.error(logs.CANNOT_SERVE, reason=reason)
    print(f"globeco-allocation: {reason}", file=sys.stderr, flush=True)
    return ExitCode.FAILED
