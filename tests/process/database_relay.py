"""A way to the database that can be cut and mended, at an address that stays."""

import socket
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Self

from globeco_allocation.adapters.postgres.address import DatabaseAddress


class DatabaseRelay:
    """Passes bytes between a TCP port of ours and the database; cut at first.

    Args:
        database: Where the database really is.
    """

    def __init__(self, database: DatabaseAddress) -> None:
        self._database = database
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]
        self._open = False
        self._flowing = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def address(self) -> DatabaseAddress:
        """The database as it is reached through us."""
        return replace(self._database, host="127.0.0.1", port=self._port)

    def mend(self) -> None:
        """Let the database be reached from now on."""
        self._open = True
        self._flowing.set()
        listener = socket.create_server(("127.0.0.1", self._port))
        self._sockets.append(listener)
        self._start(self._accept, listener)

    def freeze(self) -> None:
        """Keep every connection, take new ones, and pass nothing on."""
        self._flowing.clear()

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        self._open = False
        self._flowing.set()
        for one in self._sockets:
            with suppress(OSError):  # it was closed from the other side
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for one in self._sockets:
            one.close()
        self._sockets.clear()
        self._threads.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def _start(self, work: object, *arguments: socket.socket) -> None:
        assert callable(work)
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while self._open:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = self._connect()
            self._sockets += [near, far]
            self._start(self._pump, near, far)
            self._start(self._pump, far, near)

    def _connect(self) -> socket.socket:
        if not self._database.host.startswith("/"):
            return socket.create_connection((self._database.host, self._database.port))
        far = socket.socket(socket.AF_UNIX)
        far.connect(f"{self._database.host}/.s.PGSQL.{self._database.port}")
        return far

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # cut
            while chunk := source.recv(65536):
                self._flowing.wait()
                sink.sendall(chunk)
        for one in (source, sink):
            with suppress(OSError):  # the other direction was first
                one.shutdown(socket.SHUT_RDWR)
