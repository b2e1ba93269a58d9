"""A transaction pooler before a test's database: PgBouncer where there is one, else our double of it."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL

from tests.pooler.double import PORT, SESSIONS, PoolerDouble

from globeco_allocation.adapters.postgres.address import DatabaseAddress, Pooler

_CONFIGURATION = """
[databases]
{name} = host={host} port={port} user={user}{password}
[pgbouncer]
listen_addr =
unix_socket_dir = {directory}
listen_port = {pooler_port}
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
server_round_robin = 1
"""


def which_pooler() -> tuple[str | None, str]:
    """Return the path of PgBouncer, or None for the double; and the choice in words, with its reason."""
    if os.environ.get("TEST_POOLER") == "double":
        return None, "the double of PgBouncer; TEST_POOLER says so"
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        return None, "the double of PgBouncer; no pgbouncer is installed"
    return program, f"PgBouncer ({program}); TEST_POOLER=double takes the double"


@asynccontextmanager
async def open_pooler(database: DatabaseAddress) -> AsyncGenerator[DatabaseAddress]:
    """Share `SESSIONS` sessions of *database*, a transaction at a time."""
    program, _ = which_pooler()
    with tempfile.TemporaryDirectory(prefix="pgb-", dir="/tmp") as name:
        directory = Path(name)
        if program is None:
            double = PoolerDouble(database, directory)
            async with double.running():
                yield replace(double.address, pooler=Pooler.TRANSACTION)
        else:
            async with _pgbouncer(program, database, directory):
                yield replace(database, host=name, port=PORT, pooler=Pooler.TRANSACTION)


@asynccontextmanager
async def _pgbouncer(program: str, database: DatabaseAddress, directory: Path) -> AsyncGenerator[None]:
    quoted = database.password.replace("'", "''")
    configuration = directory / "pgbouncer.ini"
    configuration.write_text(
        _CONFIGURATION.format(
            host=database.host,
            port=database.port,
            user=database.user,
            name=database.name,
            password=f" password='{quoted}'" if quoted else "",
            directory=directory,
            pooler_port=PORT,
            sessions=SESSIONS,
        )
    )
    os.chmod(directory, 0o777)  # noqa: PTH101, S103 (it runs as somebody else)
    as_somebody = ("-u", "nobody") if os.geteuid() == 0 else ()  # it refuses to run as root
    process = await asyncio.create_subprocess_exec(
        program, "-q", *as_somebody, str(configuration), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        async with asyncio.timeout(10):
            await _until_it_listens(directory)
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _until_it_listens(directory: Path) -> None:
    while True:
        try:
            _, writer = await asyncio.open_unix_connection(directory / f".s.PGSQL.{PORT}")
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
