"""Commands that work on the database of the settings, without the service."""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from globeco_allocation.adapters.log_events import FACTS
from globeco_allocation.entrypoints.commands.settings_or_exit import settings_or_exit
from globeco_allocation.entrypoints.exit_codes import ExitCode

if TYPE_CHECKING:
    from globeco_allocation.adapters.postgres.pool import Pool
    from globeco_allocation.entrypoints.settings import Settings

Work = Callable[["Settings", "Pool"], Awaitable[ExitCode]]
"""What a command does with the database, and its exit code."""


class _NotMigratedError(Exception):
    """The database lacks tables that this version works with."""


def run_on_database(name: str, work: Work, *, connections: int = 1) -> ExitCode:
    """Do *work* on the database of the settings, and say what keeps it from being done.

    Ctrl-C, SIGTERM and SIGHUP cancel it, so that it gives back what it holds.

    Args:
        name: The command's, by which PostgreSQL shows its sessions.
        work: What is done.
        connections: Most database connections at once.

    Returns:
        The command's exit code.

    Raises:
        SystemExit: the settings cannot be used.
        KeyboardInterrupt: it was cancelled.
    """
    from globeco_allocation.adapters.postgres.errors import (  # noqa: PLC0415 (not for --help)
        DatabaseRefusedError,
        DatabaseUnreachableError,
    )
    from globeco_allocation.domain.errors import AllocationError, StoreUnavailableError  # noqa: PLC0415

    settings = settings_or_exit()
    _keep_logs_from_the_output()
    try:
        return asyncio.run(_with_pool(settings, name, connections, work))
    except (DatabaseUnreachableError, StoreUnavailableError) as error:
        return _failed(error, ExitCode.TRY_AGAIN)
    except (DatabaseRefusedError, AllocationError, _NotMigratedError) as error:
        return _failed(error, ExitCode.FAILED)


async def _with_pool(settings: "Settings", name: str, connections: int, work: Work) -> ExitCode:
    from globeco_allocation.adapters.postgres.knock import knock  # noqa: PLC0415
    from globeco_allocation.adapters.postgres.pool import open_pool  # noqa: PLC0415
    from globeco_allocation.adapters.postgres.schema import schema_is_there  # noqa: PLC0415

    for one in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(one) is not signal.SIG_IGN:  # as under nohup
            asyncio.get_running_loop().add_signal_handler(one, signal.raise_signal, signal.SIGINT)
    address = settings.database
    await knock(address)
    async with open_pool(
        address, max_size=connections, application_name=f"globeco-allocation {name}"
    ) as pool:
        if not await schema_is_there(pool):
            raise _NotMigratedError(
                f"database {address.name!r} lacks tables of this version: run `globeco-allocation migrate`"
            )
        return await work(settings, pool)


def _keep_logs_from_the_output() -> None:
    """Log only what is grave, and to standard error: a command says the rest in words of its own."""
    import structlog  # noqa: PLC0415 (not for --help)

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler()
    handler.setFormatter(_WithFacts())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


class _WithFacts(logging.Formatter):
    """Writes what adapters log as a person reads it: its name, and its facts behind it."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, object] = getattr(record, FACTS, {})
        told = ", ".join(f"{name}={value}" for name, value in facts.items())
        return f"{super().format(record)} ({told})" if told else super().format(record)


def _failed(error: Exception, code: ExitCode) -> ExitCode:
    print(f"globeco-allocation: {error}", file=sys.stderr)
    return code
