"""PostgreSQL behind TLS: a server of the machine's own that has it, or the tests' server behind a relay."""

import contextlib
import os
import pwd
import select
import socket
import socketserver
import ssl
import struct
import subprocess
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import trustme
from tests.process.service_process import wait_until

from globeco_allocation.adapters.postgres.address import DatabaseAddress, SslMode
from globeco_allocation.adapters.postgres.direct_connection import connect

PASSWORD = "canary p@ss:w/rd of TLS"

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104


class Authority:
    """A certificate authority, and a server's certificate of its for the name ``localhost`` alone."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        authority = trustme.CA()
        server = authority.issue_cert("localhost")
        self.root, self.cert, self.key = (directory / name for name in ("root.pem", "cert.pem", "key.pem"))
        authority.cert_pem.write_to_path(self.root)
        server.private_key_pem.write_to_path(self.key)
        server.cert_chain_pems[0].write_to_path(self.cert)
        self.key.chmod(0o600)


def server_with_tls() -> Path | None:
    """Return the folder of the newest installed PostgreSQL server, if any; Debian's all have TLS."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda one: int(one.parts[-3].split(".")[0])
    )
    return found[-1].parent if found else None


@contextmanager
def real_server(binaries: Path, authority: Authority) -> Generator[DatabaseAddress]:
    """Run a server that takes nobody over TCP without TLS and the password."""
    with tempfile.TemporaryDirectory(prefix="pgs-", dir="/tmp") as made:
        directory = Path(made)
        user = _unprivileged()
        password, sockets = directory / "password", directory / "s"
        password.write_text(PASSWORD)
        sockets.mkdir()
        for name in ("cert", "key"):
            source: Path = getattr(authority, name)
            (directory / source.name).write_bytes(source.read_bytes())
            (directory / source.name).chmod(0o600)
        if user is not None:
            for one in (directory, *directory.iterdir()):
                os.chown(one, user.pw_uid, user.pw_gid)
        initdb: list[str | Path] = [
            *(binaries / "initdb", "-D", directory / "data", "-U", "postgres", "--no-sync", "-E", "UTF8"),
            *("--locale=C", "--auth=scram-sha-256", f"--pwfile={password}"),
        ]
        uid = None if user is None else user.pw_uid
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=directory, user=uid)
        (directory / "data" / "pg_hba.conf").write_text("hostssl all all all scram-sha-256\n")
        port = _free_port()
        command: list[str | Path] = [
            *(binaries / "postgres", "-D", directory / "data", "-k", sockets, "-h", "127.0.0.1"),
            *("-p", str(port), "-c", "fsync=off", "-c", "ssl=on"),
            *("-c", f"ssl_cert_file={directory / 'cert.pem'}"),
            *("-c", f"ssl_key_file={directory / 'key.pem'}"),
        ]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=directory, user=uid
        )
        try:
            address = DatabaseAddress("localhost", port, "postgres", "postgres", PASSWORD)
            wait_until(lambda: _answers(address), "PostgreSQL answers over TLS")
            yield address
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def tls_relay(address: DatabaseAddress, authority: Authority | None) -> Generator[DatabaseAddress]:
    """Put what answers as a server with TLS, or as one without, before a server on a unix socket."""
    context = None
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.cert, authority.key)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError, EOFError):
                _relay(self.request, address, context)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield replace(address, host="localhost", port=server.server_address[1])
        finally:
            server.shutdown()
            thread.join(10)


def _relay(plain: socket.socket, address: DatabaseAddress, context: ssl.SSLContext | None) -> None:
    with contextlib.ExitStack() as stack:
        caller = plain
        first = _exactly(caller, 8)
        while (code := struct.unpack("!ii", first)[1]) in {_SSL_REQUEST, _GSS_REQUEST}:
            if code == _SSL_REQUEST and context is not None:
                caller.sendall(b"S")
                caller = stack.enter_context(
                    context.wrap_socket(caller, server_side=True, do_handshake_on_connect=False)
                )
                caller.do_handshake()
            else:
                caller.sendall(b"N")
            first = _exactly(caller, 8)
        server = stack.enter_context(socket.socket(socket.AF_UNIX))
        server.connect(f"{address.host}/.s.PGSQL.{address.port}")
        server.sendall(first)
        _pass_on(caller, server)


def _pass_on(caller: socket.socket, server: socket.socket) -> None:
    """Pass bytes both ways until one of the two hangs up."""
    other = {caller: server, server: caller}
    while True:
        pending = isinstance(caller, ssl.SSLSocket) and caller.pending() > 0
        for one in [caller] if pending else select.select([caller, server], [], [], 30)[0]:
            data = one.recv(65536)
            if not data:
                return
            other[one].sendall(data)


def _exactly(stream: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = stream.recv(size - len(found))
        if not more:
            raise EOFError
        found += more
    return found


def _unprivileged() -> pwd.struct_passwd | None:
    """Return somebody whom PostgreSQL runs as, where we are root, as whom it does not."""
    return pwd.getpwnam("nobody") if os.getuid() == 0 else None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _answers(address: DatabaseAddress) -> bool:
    with (
        contextlib.suppress(psycopg.OperationalError),
        connect(replace(address, ssl_mode=SslMode.REQUIRE), {}),
    ):
        return True
    return False
