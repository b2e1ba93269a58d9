"""Sessions beside the pool, for tests that hold a transaction open."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
import pytest

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.pool import Bounds, session_settings


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
