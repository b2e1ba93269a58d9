"""Real processes: the service, its Trade Service, and a database that can go away."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
from tests.process.database_relay import DatabaseRelay
from tests.process.service_process import ServiceProcess, service_process, trade_service_process

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.entrypoints.stack import simulated_cli_command

StartService = Callable[..., ServiceProcess]
TradeService = Callable[[float], AbstractContextManager[str]]


@pytest.fixture
def start_service(tmp_path: Path) -> Generator[StartService]:
    """Start service processes on a database; all end with the test.

    ``start_service(database, TRADE_SERVICE_URL=..., ...)``: it takes a free port, writes to ``files`` in the
    test's directory, and runs the simulated accounting CLI, whose ledger is there too.
    """
    with ExitStack() as stack:

        def start(database: DatabaseAddress, **settings: str) -> ServiceProcess:
            return stack.enter_context(
                service_process(
                    {
                        "PORT": "0",
                        "BIND_ADDRESS": "127.0.0.1",
                        "DB_HOST": database.host,
                        "DB_PORT": str(database.port),
                        "DB_NAME": database.name,
                        "DB_USER": database.user,
                        "DB_PASSWORD": database.password,
                        "TRADE_SERVICE_URL": "http://127.0.0.1:1",
                        "OUTPUT_DIR": str(tmp_path / "files"),
                        "CLI_COMMAND": simulated_cli_command(),
                        "SIMULATED_ACCOUNTING_LEDGER": str(tmp_path / "ledger.sqlite3"),
                        **settings,
                    }
                )
            )

        yield start


@pytest.fixture
def trade_service() -> Generator[str]:
    """The address of a Trade Service that knows every execution and answers at once."""
    with trade_service_process(0) as url:
        yield url


@pytest.fixture
def slow_trade_service() -> Generator[Callable[[float], str]]:
    """Start a Trade Service that takes so many milliseconds for each answer; returns its address."""
    with ExitStack() as stack:
        yield lambda delay_ms: stack.enter_context(trade_service_process(delay_ms))


@pytest.fixture
def relay(database: DatabaseAddress) -> Generator[DatabaseRelay]:
    """A migrated database behind a way that is cut until it is mended."""
    with DatabaseRelay(database) as relay:
        yield relay
