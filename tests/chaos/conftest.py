"""Histories of faults, each on a stage of its own, played side by side: most of their time is waiting."""

import itertools
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import sql
from tests.chaos.stage import Stage, open_stage

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect

_AT_ONCE = 8
_LONG = "long"
_SECONDS = 300.0
_HERE = Path(__file__).parent
_RUN = secrets.token_hex(4)


class Theatre:
    """Plays histories side by side, in the order in which they were asked for."""

    def __init__(self, server: DatabaseAddress, template: str, trade_service: str, directory: Path) -> None:
        self._server = server
        self._template = template
        self._trade_service = trade_service
        self._directory = directory
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._played: dict[str, Future[None]] = {}
        self._seen: dict[str, list[str]] = {}

    def ask_for(self, item: pytest.Function) -> None:
        """Play a test's history as soon as its turn comes."""
        self._played[item.nodeid] = self._pool.submit(self._play, item)

    def result_of(self, item: pytest.Function) -> None:
        """Wait for a history's end, and raise its error."""
        try:
            self._played[item.nodeid].result(_SECONDS)
        finally:
            item.add_report_section("call", "seen", "\n".join(self._seen.get(item.nodeid, [])))

    def close(self) -> None:
        """Begin no more, and wait for what is played."""
        self._pool.shutdown(cancel_futures=True)

    def _play(self, item: pytest.Function) -> None:
        arguments = dict(item.callspec.params) if hasattr(item, "callspec") else {}
        number = next(self._numbers)
        directory = self._directory / str(number)
        directory.mkdir()
        with (
            self._database(number) as database,
            open_stage(database, directory, self._trade_service) as stage,
        ):
            self._seen[item.nodeid] = stage.seen
            play: Callable[..., None] = item.obj
            try:
                play(stage=stage, **arguments)
            except BaseException:
                stage.seen.extend(stage.last_words())
                raise

    @contextmanager
    def _database(self, number: int) -> Generator[DatabaseAddress]:
        name = f"allocation_chaos_{_RUN}_{number}"
        with connect(self._server, {}) as admin:
            with self._lock:
                make = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
                admin.execute(make.format(sql.Identifier(name), sql.Identifier(self._template)))
            try:
                yield replace(self._server, name=name)
            finally:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _is_history(item: pytest.Item) -> bool:
    return item.path.is_relative_to(_HERE) and "stage" in getattr(item, "fixturenames", ())


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{_LONG}: a history that takes longer than the others")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _is_history(item):
            item.add_marker(pytest.mark.timeout(_SECONDS))


@contextmanager
def _trade_service() -> Generator[str]:
    command = [sys.executable, "-m", "globeco_allocation.entrypoints.simulated.trade_service", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().decode().split()[-1]
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="session")
def theatre(
    request: pytest.FixtureRequest,
    server: DatabaseAddress,
    template: DatabaseAddress,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Theatre]:
    """Plays all histories that were selected, from now on."""
    with _trade_service() as trade_service:
        played = Theatre(server, template.name, trade_service, tmp_path_factory.mktemp("chaos"))
        try:
            histories = [
                item
                for item in request.session.items
                if isinstance(item, pytest.Function) and _is_history(item)
            ]
            # The longest first, so that none is waited for alone at the end.
            for item in sorted(histories, key=lambda one: one.get_closest_marker(_LONG) is None):
                played.ask_for(item)
            yield played
        finally:
            played.close()


@pytest.fixture
def stage(theatre: Theatre) -> Stage | None:
    """A stage of the test's own; the theatre opens it, where the test is played."""
    del theatre
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Take the result of a test that the theatre plays instead of playing it here."""
    if not _is_history(pyfuncitem):
        return None
    theatre = pyfuncitem.funcargs["theatre"]
    assert isinstance(theatre, Theatre)
    theatre.result_of(pyfuncitem)
    return True
