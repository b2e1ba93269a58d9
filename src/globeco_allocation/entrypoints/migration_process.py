"""Migrating in a process of its own, so that the one that serves never holds yoyo and psycopg."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog

from globeco_allocation.adapters.postgres.errors import DatabaseRefusedError, DatabaseUnreachableError
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.exit_codes import ExitCode

# -P: a file in the working directory is never taken for one of our modules.
COMMAND = (sys.executable, "-P", "-m", "globeco_allocation", "migrate")

_LONGEST_MESSAGE = 4096
_END_SECONDS = 3.0

_log: Any = structlog.get_logger("globeco_allocation.migration")


async def migrate_in_child(environ: Mapping[str, str], command: tuple[str, ...] = COMMAND) -> None:
    """Run ``globeco-allocation migrate`` with this environment, and wait for its end.

    When cancelled it ends the process, which is safe at any moment.

    Raises:
        DatabaseRefusedError: it is of no use to try again; the message is the command's own.
        DatabaseUnreachableError: it is to be tried again.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=dict(environ), start_new_session=True
    )
    try:
        _, message, code = await asyncio.gather(_log_lines(process), _message(process), process.wait())
    finally:
        if process.returncode is None:
            await _end(process)
    match code:
        case ExitCode.OK:
            return
        case ExitCode.FAILED | ExitCode.USAGE:
            raise DatabaseRefusedError(message or "the migration failed without a word")
        case _:
            raise DatabaseUnreachableError(message or f"the migration ended with exit code {code}")


async def _log_lines(process: Process) -> None:
    assert process.stdout is not None  # noqa: S101 (it is a pipe)
    async for line in process.stdout:
        _log.info(logs.MIGRATION, step=line.decode(errors="replace").strip())


async def _message(process: Process) -> str:
    """Return the end of what it says on standard error, without the program's name."""
    assert process.stderr is not None  # noqa: S101 (it is a pipe)
    kept = b""
    while chunk := await process.stderr.read(_LONGEST_MESSAGE):
        kept = (kept + chunk)[-_LONGEST_MESSAGE:]
    return kept.decode(errors="replace").strip().removeprefix("globeco-allocation: ")


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
