"""Sessions beside the pool, and a way to the database that can fail."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.bounds import Bounds, session_settings


@pytest.fixture
def session(database: DatabaseAddress) -> Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]:
    """Open a connection of its own, with the settings of the service's."""

    @asynccontextmanager
    async def open_session() -> AsyncGenerator[asyncpg.Connection]:
        connection = await asyncpg.connect(
            host=database.host,
            port=database.port,
            database=database.name,
            user=database.user,
            password=database.password,
            server_settings=session_settings(Bounds()),
        )
        try:
            yield connection
        finally:
            connection.terminate()

    return open_session


class Relay:
    """A way to the database that can be closed, or fall silent, and be opened again.

    Attributes:
        requests: How often a client has sent something; an answer was waited for each time.
        seconds: How long it takes, one way.
    """

    def __init__(self, database: DatabaseAddress, directory: Path) -> None:
        self.address = replace(database, host=str(directory), port=5432)
        self._database = database
        self._path = directory / ".s.PGSQL.5432"
        self._server: asyncio.Server | None = None
        self._ways: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._speaks = asyncio.Event()
        self._speaks.set()
        self.requests = 0
        self.seconds = 0.0

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._connected, self._path)

    async def close(self) -> None:
        """Refuse new connections, and cut off those that are there."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        for way, writer in self._ways.items():
            way.cancel()
            writer.transport.abort()
        await asyncio.gather(*self._ways, return_exceptions=True)

    def fall_silent(self) -> None:
        self._speaks.clear()

    def speak(self) -> None:
        self._speaks.set()

    async def _connected(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        database = self._database
        if database.host.startswith("/"):
            path = f"{database.host}/.s.PGSQL.{database.port}"
            from_server, to_server = await asyncio.open_unix_connection(path)
        else:
            from_server, to_server = await asyncio.open_connection(database.host, database.port)
        for reader, writer in ((from_client, to_server), (from_server, to_client)):
            way = asyncio.create_task(self._carry(reader, writer, from_client=reader is from_client))
            self._ways[way] = writer
            way.add_done_callback(self._ways.pop)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_client: bool
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                self.requests += from_client
                await self._speaks.wait()
                await asyncio.sleep(self.seconds)
                writer.write(data)
        writer.transport.abort()


@pytest.fixture
async def relay(database: DatabaseAddress, tmp_path: Path) -> AsyncGenerator[Relay]:
    relay = Relay(database, tmp_path)
    yield relay
    await relay.close()
