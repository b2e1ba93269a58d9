"""``recover --reconcile``: the Trade Service's executions that are not here, for a person to post again."""

import asyncio
import sys
from collections.abc import Collection
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from globeco_allocation.adapters.postgres.executions import PostgresExecutions
from globeco_allocation.adapters.postgres.pending import PostgresPendingExecutions
from globeco_allocation.adapters.postgres.pool import Pool
from globeco_allocation.adapters.trade_service.client import open_session
from globeco_allocation.adapters.trade_service.listing import (
    ExecutionListing,
    ListedExecution,
    ListingError,
)
from globeco_allocation.entrypoints.commands.on_database import run_on_database
from globeco_allocation.entrypoints.commands.tables import count
from globeco_allocation.entrypoints.commands.ticker import ticking
from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.entrypoints.settings import Settings

_OPEN = frozenset({"NEW", "SENT", "WORK", "PART", "HOLD"})
"""Statuses in which the Execution Service goes on: such an execution is posted when it has ended."""


def reconcile(output: Path | None) -> ExitCode:
    """Name the ids, one a line; everything else is said on standard error.

    Args:
        output: Where they go; None: to standard output.
    """
    if output is None:
        return _reconciled(sys.stdout)
    part = output.with_name(f".{output.name}.tmp")
    try:
        with part.open("w", encoding="ascii") as file:
            code = _reconciled(file)
        if code in {ExitCode.OK, ExitCode.PARTIAL}:
            part.replace(output)  # a list that was cut off must not be taken for a whole one
    except OSError as error:
        print(f"globeco-allocation: {output} cannot be written: {error.strerror}", file=sys.stderr)
        return ExitCode.FAILED
    finally:
        part.unlink(missing_ok=True)
    return code


def _reconciled(file: TextIO) -> ExitCode:
    async def work(settings: Settings, pool: Pool) -> ExitCode:
        looked = _Looked(PostgresExecutions(pool), PostgresPendingExecutions(pool), file)
        try:
            async with open_session(connections=1) as session:
                listing = ExecutionListing(session, settings.trade_service_url, looked.note)
                async with ticking(lambda: looked.progress), aclosing(listing.pages()) as pages:
                    async for page in pages:
                        looked.total = page.total
                        await looked.at(page.executions)
        except ListingError as error:
            print(f"globeco-allocation: {error}; the list of ids is not whole", file=sys.stderr)
            return ExitCode.TRY_AGAIN
        await asyncio.to_thread(file.flush)
        print(looked.summary, file=sys.stderr)
        return ExitCode.PARTIAL if looked.missing else ExitCode.OK

    return run_on_database("recover", work)


@dataclass(slots=True)
class _Looked:
    """Looks at what is listed, and counts.

    Attributes:
        executions: What is kept here.
        pending: What waits for its portfolio here.
        file: Where the ids of what is missing go.
        total: How many are listed.
    """

    executions: PostgresExecutions
    pending: PostgresPendingExecutions
    file: TextIO
    total: int = 0
    seen: int = 0
    kept: int = 0
    waiting: int = 0
    unfinished: int = 0
    missing: int = 0
    last: set[int] = field(default_factory=set[int])

    async def at(self, listed: Collection[ListedExecution]) -> None:
        """Look at a page."""
        self.seen += len(listed)
        by_id = {one.execution_service_id: one for one in listed if one.execution_service_id is not None}
        ids = by_id.keys() - self.last  # several in a row may have one id
        self.last = set(by_id)
        kept = (await self.executions.known(ids)).keys()
        waiting = (await self.pending.among(ids - kept)).keys()
        self.kept += len(kept)
        self.waiting += len(waiting)
        for key in sorted(ids - kept - waiting):
            one = by_id[key]
            if one.status in _OPEN or not (one.is_filled or one.status == "FULL"):
                self.unfinished += 1
                continue
            self.missing += 1
            print(key, file=self.file)

    def note(self, text: str) -> None:
        """Say what went wrong on the way, and goes on."""
        print(f"globeco-allocation: {text}", file=sys.stderr)

    @property
    def progress(self) -> str:
        """How far it is."""
        return f"{self.seen} of {self.total} executions of the Trade Service, {self.missing} missing here"

    @property
    def summary(self) -> str:
        """What was found, in one line."""
        return (
            f"{count(self.seen, 'execution')} of the Trade Service: {self.kept} kept here, {self.waiting}"
            f" pending, {self.unfinished} open or unfilled there; {self.missing} missing here"
            f"{': post these again, and no others' if self.missing else ''}"
        )
