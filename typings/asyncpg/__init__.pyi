# The part of asyncpg that this project uses; asyncpg itself is not marked as typed.

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from asyncpg.exceptions import InsufficientPrivilegeError as InsufficientPrivilegeError
from asyncpg.exceptions import InterfaceError as InterfaceError
from asyncpg.exceptions import InternalClientError as InternalClientError
from asyncpg.exceptions import (
    InvalidAuthorizationSpecificationError as InvalidAuthorizationSpecificationError,
)
from asyncpg.exceptions import InvalidCatalogNameError as InvalidCatalogNameError
from asyncpg.exceptions import InvalidPasswordError as InvalidPasswordError
from asyncpg.exceptions import PostgresConnectionError as PostgresConnectionError
from asyncpg.exceptions import PostgresError as PostgresError
from asyncpg.exceptions import UniqueViolationError as UniqueViolationError
from asyncpg.protocol import NoTimeout

class Record(Mapping[str, Any]): ...

class Transaction(AbstractAsyncContextManager[None, None]):
    async def start(self) -> None: ...
    async def commit(self) -> None: ...
    async def rollback(self) -> None: ...

class PreparedStatement:
    def cursor(
        self, *args: object, prefetch: int | None = None, timeout: float | None = None
    ) -> AsyncIterator[Record]: ...

class Connection:
    async def execute(self, query: str, *args: object) -> str: ...
    def fetch(self, query: str, *args: object, timeout: float | None = None) -> Awaitable[list[Record]]: ...
    async def fetchrow(self, query: str, *args: object) -> Record | None: ...
    async def fetchval(self, query: str, *args: object) -> Any: ...  # noqa: ANN401 - whatever the column holds
    def copy_from_query(
        self,
        query: str,
        *args: object,
        output: str | Callable[[bytes], Awaitable[None]],
        timeout: float | NoTimeout | None = None,
        format: str | None = None,  # noqa: A002 - its name
        null: str | None = None,
    ) -> Awaitable[str]: ...
    def cursor(
        self, query: str, *args: object, prefetch: int | None = None, timeout: float | None = None
    ) -> AsyncIterator[Record]: ...
    async def prepare(self, query: str, *, name: str | None = None) -> PreparedStatement: ...
    def transaction(self, *, isolation: str | None = None, readonly: bool = False) -> Transaction: ...
    def is_closed(self) -> bool: ...
    def get_server_pid(self) -> int: ...
    def close(self, *, timeout: float | None = None) -> Awaitable[None]: ...
    def terminate(self) -> None: ...

class Pool:
    def acquire(self, *, timeout: float | None = None) -> _Acquire: ...
    def release(self, connection: Connection, *, timeout: float | None = None) -> Awaitable[None]: ...
    async def close(self) -> None: ...
    def terminate(self) -> None: ...
    def get_size(self) -> int: ...
    def get_idle_size(self) -> int: ...
    def get_max_size(self) -> int: ...

class _Acquire(AbstractAsyncContextManager[Connection, None], Awaitable[Connection]): ...

def connect(
    *,
    host: str,
    port: int,
    database: str,
    user: str,
    password: str,
    timeout: float = 60,
    command_timeout: float | None = None,
    statement_cache_size: int = 100,
    server_settings: Mapping[str, str] | None = None,
) -> Awaitable[Connection]: ...
def create_pool(
    *,
    host: str,
    port: int,
    database: str,
    user: str,
    password: str,
    min_size: int = 10,
    max_size: int = 10,
    timeout: float = 60,
    command_timeout: float | None = None,
    max_inactive_connection_lifetime: float = 300,
    reset: Callable[[Connection], Awaitable[None]] | None = None,
    statement_cache_size: int = 100,
    server_settings: Mapping[str, str] | None = None,
) -> Awaitable[Pool]: ...
