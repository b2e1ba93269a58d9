"""A pooler of our own that lends server sessions for one transaction each, where there is no PgBouncer.

It is as hard as PgBouncer before 1.21: it knows no prepared statements and refuses startup parameters that it
cannot put right for each client. And it is meaner: a client gets another session each time, if it can.
"""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from globeco_allocation.adapters.postgres.address import DatabaseAddress

SESSIONS = 2
PORT = 6432

_SSL, _CANCEL = 80877103, 80877102
_FOLLOWED = ("application_name", "client_encoding", "datestyle", "timezone")
_TOLD = ("server_version", "client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings")
_QUERY, _SYNC, _END, _ERROR, _READY = b"Q", b"S", b"X", b"E", b"Z"
_ENDS_A_QUESTION = (_QUERY, _SYNC)
_IDLE = b"I"


class _GoneError(Exception):
    """One of the two sides has hung up."""


_Message = tuple[bytes, bytes]


def _message(kind: bytes, payload: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(payload) + 4) + payload


def _text(*words: str) -> bytes:
    return b"".join(word.encode() + b"\0" for word in words)


@dataclass(eq=False)
class _Side:
    """One side's messages: each its kind, and all of it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _heard: asyncio.Queue[_Message] = field(default_factory=asyncio.Queue[_Message])
    _listening: asyncio.Task[None] | None = None

    def listen(self) -> asyncio.Task[None]:
        """Take in whatever it says; the task ends when it has hung up."""
        self._listening = asyncio.create_task(self._listen())
        return self._listening

    async def _listen(self) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await self.reader.readexactly(5)
                payload = await self.reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
                self._heard.put_nowait((head[:1], head + payload))
        self._heard.put_nowait((_END, b""))

    @property
    def is_quiet(self) -> bool:
        """Whether it has said nothing that was not heard, not even that it goes."""
        return self._heard.empty()

    async def hear(self) -> _Message:
        """Return the next message."""
        message = await self._heard.get()
        if message[0] == _END:
            raise _GoneError
        return message

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        with suppress(OSError):  # whoever listens is told
            await self.writer.drain()

    def hang_up(self) -> None:
        self.writer.close()
        if self._listening is not None:
            self._listening.cancel()


@dataclass(eq=False)
class _Session(_Side):
    """A session at the server. libpq has opened it, with whatever the server asks of who logs in."""

    libpq: psycopg.Connection = field(kw_only=True)
    settings: dict[str, str] = field(default_factory=dict[str, str])

    async def follow(self, settings: dict[str, str]) -> None:
        """Give it a client's settings; nothing else is put right."""
        changed = {name: value for name, value in settings.items() if self.settings.get(name) != value}
        if not changed:
            return
        sql = "; ".join(f"SET {name} = '{value}'" for name, value in changed.items())
        await self.say(_message(_QUERY, _text(sql)))
        while (await self.hear())[0] != _READY:
            pass
        self.settings |= changed

    def hang_up(self) -> None:
        super().hang_up()
        self.libpq.close()


@dataclass(eq=False)
class _Client(_Side):
    """A client: what it asked for at first, and the session that it has now."""

    settings: dict[str, str] = field(default_factory=dict[str, str])
    session: _Session | None = None

    @property
    def key(self) -> int:
        return id(self) & 0x7FFFFFFF


class PoolerDouble:
    """Lends `SESSIONS` sessions of one database to any number of clients on a unix socket."""

    def __init__(self, database: DatabaseAddress, directory: Path) -> None:
        self.address = replace(database, host=str(directory), port=PORT)
        self._database = database
        self._path = directory / f".s.PGSQL.{PORT}"
        self._free: asyncio.Queue[_Session | None] = asyncio.Queue()
        self._clients: dict[asyncio.Task[None], _Client] = {}
        for _ in range(SESSIONS):
            self._free.put_nowait(None)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        server = await asyncio.start_unix_server(self._connected, self._path)
        try:
            yield
        finally:
            server.close()
            tasks = list(self._clients)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            while not self._free.empty():
                if session := self._free.get_nowait():
                    session.hang_up()
            await asyncio.sleep(0)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(reader, writer)
        task = asyncio.create_task(self._serve(client))
        self._clients[task] = client
        task.add_done_callback(self._clients.pop)

    async def _serve(self, client: _Client) -> None:
        try:
            if await self._let_in(client):
                async with asyncio.TaskGroup() as tasks:
                    serving = tasks.create_task(self._lend_again_and_again(client))
                    await client.listen()
                    serving.cancel()  # also in the middle of a statement
        except* (_GoneError, OSError, asyncio.IncompleteReadError, psycopg.Error):
            pass
        finally:
            client.hang_up()

    async def _let_in(self, client: _Client) -> bool:
        """Let a client in, or do what else it came for."""
        while True:
            length, code = struct.unpack("!ii", await client.reader.readexactly(8))
            payload = await client.reader.readexactly(length - 8)
            if code != _SSL:
                break
            await client.say(b"N")
        if code == _CANCEL:
            await self._cancel(struct.unpack("!ii", payload)[0])
            return False
        words = payload.decode().split("\0")
        asked = {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=False) if name}
        for name in asked.keys() - {"user", "database", *_FOLLOWED}:
            told = _text("SFATAL", "C08P01", f"Munsupported startup parameter: {name}") + b"\0"
            await client.say(_message(_ERROR, told))
            return False
        client.settings = {name: asked[name] for name in _FOLLOWED if name in asked}
        await self._welcome(client)
        return True

    async def _cancel(self, key: int) -> None:
        for client in self._clients.values():
            if client.key == key and client.session is not None:
                await asyncio.to_thread(client.session.libpq.cancel)

    async def _welcome(self, client: _Client) -> None:
        async with self._session() as session:
            told = {name: session.libpq.info.parameter_status(name) or "" for name in _TOLD}
        parts = [_message(b"R", struct.pack("!i", 0))]
        parts += [_message(b"S", _text(*pair)) for pair in told.items()]
        parts += [_message(b"K", struct.pack("!ii", client.key, 0)), _message(_READY, _IDLE)]
        await client.say(b"".join(parts))

    async def _lend_again_and_again(self, client: _Client) -> None:
        """Lend a session whenever the client says something, until it is in no transaction any more."""
        while True:
            message = await client.hear()
            async with self._session() as session:
                client.session = session
                try:
                    await session.follow(client.settings)
                    await _carry(client, session, message)
                finally:
                    client.session = None

    @asynccontextmanager
    async def _session(self) -> AsyncGenerator[_Session]:
        """Take the session that has been free for longest; what ends in the middle, ends the session."""
        session, whole = await self._free.get(), False
        try:
            if session is not None and not session.is_quiet:
                session.hang_up()
                session = None
            session = session or await _opened(self._database)
            yield session
            whole = True
        finally:
            if session is not None and not whole:
                session.hang_up()  # the server rolls back
            self._free.put_nowait(session if whole else None)


async def _carry(client: _Client, session: _Session, message: _Message) -> None:
    """Carry messages both ways until the transaction is over."""
    answering = asyncio.create_task(_answer(client, session))
    try:
        while True:
            await session.say(message[1])
            if message[0] in _ENDS_A_QUESTION:
                if await answering == _IDLE:
                    return
                answering = asyncio.create_task(_answer(client, session))
            message = await _next(client, answering)
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


async def _next(client: _Client, answering: asyncio.Task[bytes]) -> _Message:
    """Return what the client says next; the server may end the session before."""
    hearing = asyncio.create_task(client.hear())
    await asyncio.wait((hearing, answering), return_when=asyncio.FIRST_COMPLETED)
    if not hearing.done():
        hearing.cancel()
        raise _GoneError
    return hearing.result()


async def _answer(client: _Client, session: _Session) -> bytes:
    """Hand on what the server answers, to its end; return the state of the transaction."""
    while True:
        kind, data = await session.hear()
        await client.say(data)
        if kind == _READY:
            return data[-1:]


async def _opened(database: DatabaseAddress) -> _Session:
    libpq = await asyncio.to_thread(
        psycopg.connect,
        host=database.host,
        port=database.port,
        dbname=database.name,
        user=database.user,
        password=database.password or None,
        sslmode="disable",
        gssencmode="disable",
        autocommit=True,
    )
    own = socket.socket(fileno=os.dup(libpq.fileno()))
    reader, writer = await asyncio.open_connection(sock=own)
    session = _Session(reader, writer, libpq=libpq)
    session.listen()
    return session
