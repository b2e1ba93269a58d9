"""The database for tests: the one named in TEST_DATABASE_URL, a container, or the embedded server."""

import contextlib
import itertools
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg
import pytest
from psycopg import sql
from tests.pooler.opening import open_pooler, which_pooler

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.migrate import migrate
from globeco_allocation.domain import AllocatedExecution, NewExecution
from globeco_allocation.entrypoints.embedded_database import NoEmbeddedDatabaseError, embedded_database

_CHECKED = "allocation_test_checked"
"""The embedded server trusts everybody but the members of this role."""

_USED = pytest.StashKey[dict[str, str]]()
"""What the tests worked with, for the summary."""


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server for tests.

    Attributes:
        address: As a role that may create databases.
        source: Which one it is, and why that one.
    """

    address: DatabaseAddress
    source: str


class NoServerError(Exception):
    """This way to a server is closed; the message says why."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for title, what in sorted(_used(config).items()):
        terminalreporter.write_sep("-", title)
        terminalreporter.write_line(what)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what was used to the process that writes the summary, where tests run in several."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["used"] = _used(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 (xdist has no types)
    told: dict[str, dict[str, str]] = getattr(node, "workeroutput", {})
    _used(node.config).update(told.get("used", {}))


def _used(config: pytest.Config) -> dict[str, str]:
    return config.stash.setdefault(_USED, {})


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Generator[DatabaseAddress]:
    """A running server, as a role that may create databases."""
    with ExitStack() as open_server:
        reasons: list[str] = []
        for way in (_given, _container, _embedded):
            try:
                found = open_server.enter_context(way())
            except NoServerError as closed:
                reasons.append(str(closed))
                continue
            _used(pytestconfig)["test database"] = "; ".join([found.source, *reasons])
            yield found.address
            return
        _used(pytestconfig)["test database"] = "none: " + "; ".join(reasons)
        # The embedded server comes with the tests' own installation: without one, a green run would be a lie.
        pytest.fail("no PostgreSQL for tests: " + "; ".join(reasons), pytrace=False)


@pytest.fixture(scope="session")
def admin(server: DatabaseAddress) -> Generator[psycopg.Connection]:
    """A connection that creates and drops databases."""
    with connect(server, {}) as opened:
        yield opened


@pytest.fixture(scope="session")
def template(admin: psycopg.Connection, server: DatabaseAddress) -> Generator[DatabaseAddress]:
    """A migrated database, to be cloned and never changed."""
    with _database(admin, server, "template1") as address:
        migrate(address, lambda _: None)
        yield address


@pytest.fixture
def database(
    admin: psycopg.Connection, server: DatabaseAddress, template: DatabaseAddress
) -> Generator[DatabaseAddress]:
    """A migrated database of the test's own."""
    with _database(admin, server, template.name) as address:
        yield address


@pytest.fixture(scope="session")
def shared_database(
    admin: psycopg.Connection, server: DatabaseAddress, template: DatabaseAddress
) -> Generator[DatabaseAddress]:
    """A migrated database that several tests share, one after another."""
    with _database(admin, server, template.name) as address:
        yield address


@pytest.fixture
def empty_database(admin: psycopg.Connection, server: DatabaseAddress) -> Generator[DatabaseAddress]:
    """A database of the test's own, without any tables."""
    with _database(admin, server, "template1") as address:
        yield address


@pytest.fixture
def behind_a_pooler(
    pytestconfig: pytest.Config,
) -> Callable[[DatabaseAddress], AbstractAsyncContextManager[DatabaseAddress]]:
    """Put a transaction pooler with two sessions before a database."""
    _used(pytestconfig)["test pooler"] = which_pooler()[1]
    return open_pooler


@pytest.fixture
def someone(admin: psycopg.Connection, database: DatabaseAddress) -> Generator[DatabaseAddress]:
    """A role without rights of its own in the test's migrated database; its password is checked if any is."""
    role, password = sql.Identifier(f"allocation_test_{_RUN}_someone"), "right p@ss:w/rd?"
    admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(password)))
    if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (_CHECKED,)).fetchone():
        admin.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(_CHECKED), role))
    try:
        yield replace(database, user=f"allocation_test_{_RUN}_someone", password=password)
    finally:
        with connect(database, {}) as owner:
            owner.execute(sql.SQL("DROP OWNED BY {}").format(role))
        admin.execute(sql.SQL("DROP ROLE {}").format(role))


@pytest.fixture
def step_database_clock(database: DatabaseAddress) -> Callable[[timedelta], None]:
    """Move the clock of the test's database, as connections see it that are opened from now on."""
    with connect(database, {}) as owner:
        owner.execute("CREATE SCHEMA stepped")
        owner.execute("CREATE TABLE stepped.clock AS SELECT interval '0' AS ahead")
        owner.execute(
            "CREATE FUNCTION stepped.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE"
            " AS 'SELECT pg_catalog.clock_timestamp() + ahead FROM stepped.clock'"
        )
        # Named before pg_catalog, it stands in for the real one, in the window functions too.
        path = "ALTER DATABASE {} SET search_path = stepped, pg_catalog, public"
        owner.execute(sql.SQL(path).format(sql.Identifier(database.name)))

    def step(by: timedelta) -> None:
        with connect(database, {}) as owner:
            owner.execute("UPDATE stepped.clock SET ahead = ahead + %s", (by,))

    return step


@pytest.fixture
def allocate() -> Callable[..., AllocatedExecution]:
    """An execution of this execution-service id with its portfolio; named fields say otherwise."""

    def make(
        execution_service_id: int,
        portfolio_id: str = "P-1",
        **changes: Any,  # noqa: ANN401 (any field)
    ) -> AllocatedExecution:
        said: dict[str, Any] = {
            "execution_service_id": execution_service_id,
            "execution_status": "FULL",
            "trade_type": "BUY",
            "destination": "ML",
            "security_id": "68336002fe95851f0a2aeda9",
            "ticker": "IBM",
            "quantity": Decimal(100),
            "received_timestamp": datetime(2026, 3, 2, 15, 0, tzinfo=UTC),
            "sent_timestamp": datetime(2026, 3, 2, 15, 0, 1, tzinfo=UTC),
            "last_fill_timestamp": datetime(2026, 3, 2, 15, 0, 2, tzinfo=UTC),
            "quantity_filled": Decimal(100),
            "total_amount": Decimal("5012.5"),
            "average_price": Decimal("50.125"),
        }
        return AllocatedExecution(NewExecution(**(said | changes)), portfolio_id)

    return make


_numbers = itertools.count(1)
_RUN = secrets.token_hex(4)


@contextlib.contextmanager
def _database(
    admin: psycopg.Connection, server: DatabaseAddress, template: str
) -> Generator[DatabaseAddress]:
    name = f"allocation_test_{_RUN}_{next(_numbers)}"
    admin.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    )
    try:
        yield replace(server, name=name)
    finally:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def _given() -> Generator[Server]:
    url = os.environ.get("TEST_DATABASE_URL")
    if not url:
        raise NoServerError("TEST_DATABASE_URL is not set")
    yield Server(_address(url), "the server of TEST_DATABASE_URL")


@contextlib.contextmanager
def _container() -> Generator[Server]:
    _ask_docker()
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415

    testcontainers_config.max_tries = 30  # seconds, once the image is here
    with ExitStack() as stack:
        try:
            container = PostgresContainer("postgres:17", driver=None)
            stack.callback(container.stop)
            container.start()
            address = _address(container.get_connection_url())
            with connect(address, {}):  # an engine may start what cannot be reached from here
                pass
        except Exception as error:
            raise NoServerError(f"the container cannot be used ({type(error).__name__})") from error
        yield Server(address, "a postgres:17 container")


def _ask_docker() -> None:
    """Ask the engine itself, within seconds: its Python client takes longer, and leaves sockets open."""
    engine = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    try:
        if engine.scheme == "unix":
            opened = socket.socket(socket.AF_UNIX)
            place: str | tuple[str, int] = engine.path
        else:
            opened = socket.socket()
            place = (engine.hostname or "localhost", engine.port or 2375)
        with opened:
            opened.settimeout(3)
            opened.connect(place)
            opened.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            answer = opened.recv(64)
    except OSError as error:
        raise NoServerError("no Docker engine answers") from error
    if b" 200 " not in answer:
        raise NoServerError("the Docker engine does not answer as one")


@contextlib.contextmanager
def _embedded() -> Generator[Server]:
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgt-"))) / "data"
        try:
            address = stack.enter_context(embedded_database(data))
        except NoEmbeddedDatabaseError as error:
            raise NoServerError(str(error)) from error
        _make_quick_and_strict(address, data)
        yield Server(address, "the embedded server")


def _make_quick_and_strict(address: DatabaseAddress, data: Path) -> None:
    """Let nothing reach the disk, for nothing outlives the run; and have some roles say their password."""
    rules = data / "pg_hba.conf"
    rules.write_text(f"local all +{_CHECKED} scram-sha-256\n" + rules.read_text())
    with connect(address, {}) as admin:
        admin.execute(f"CREATE ROLE {_CHECKED} NOLOGIN")
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            admin.execute(f"ALTER SYSTEM SET {setting} = off")
        admin.execute("SELECT pg_reload_conf()")


def _address(url: str) -> DatabaseAddress:
    parts = urlsplit(url)
    socket_directory = parse_qs(parts.query).get("host", [""])[0]
    return DatabaseAddress(
        host=parts.hostname or socket_directory,
        port=parts.port or 5432,
        name=unquote(parts.path.removeprefix("/")) or "postgres",
        user=unquote(parts.username or "postgres"),
        password=unquote(parts.password or ""),
    )
