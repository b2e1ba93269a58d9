"""The service's parts, told of: lookups, files, and runs of the accounting CLI."""

import itertools
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow, RunOrder
from globeco_allocation.domain.delivery import WrittenFile
from globeco_allocation.domain.transaction_file import RenderedRows
from globeco_allocation.entrypoints.tracing.conversations import attempts
from globeco_allocation.entrypoints.tracing.tracing import Span, Tracing
from globeco_allocation.ports.accounting import AccountingCli, RunPermit
from globeco_allocation.ports.files import DraftFile, TransactionFiles
from globeco_allocation.ports.portfolios import Portfolios

PREFIX = "globeco_allocation."
"""Of attributes that are our own."""


class TracedPortfolios:
    """The port `Portfolios`: each lookup with all its calls."""

    def __init__(self, inner: Portfolios, tracing: Tracing) -> None:
        self._inner = inner
        self._tracing = tracing

    async def portfolio_of(self, execution_service_id: int) -> str:
        """Return the portfolio id of an execution; see the port."""
        attributes = {f"{PREFIX}execution_service_id": execution_service_id}
        with self._tracing.span("look up portfolio", attributes=attributes):
            token = attempts.set(itertools.count())
            try:
                return await self._inner.portfolio_of(execution_service_id)
            finally:
                attempts.reset(token)


class TracedAccounting:
    """The port `AccountingCli`: each run, which is told of which trace it is part."""

    def __init__(self, inner: AccountingCli, tracing: Tracing) -> None:
        self._inner = inner
        self._tracing = tracing

    async def check(self) -> None:
        """Make sure that runs can be started from here; see the port."""
        await self._inner.check()

    async def run(self, order: RunOrder, permit: RunPermit) -> AccountingRun:
        """Find the order's run, or start it, and wait for its end; see the port."""
        attributes = {f"{PREFIX}run": order.name, f"{PREFIX}attempt": order.attempt}
        with self._tracing.span("run accounting CLI", attributes=attributes) as span:
            run = await self._inner.run(replace(order, trace=self._tracing.carried()), permit)
            if run.exit_code is not None:
                span.note({"process.exit.code": run.exit_code})
            if run.timed_out:
                span.failed("timed out")
            elif not run.completed:
                span.failed("cut off" if run.exit_code is None else "exit code")
            return run

    def error_rows(self, order: RunOrder) -> AsyncGenerator[ErrorRow]:
        """Read the ended run's error file; see the port."""
        return self._inner.error_rows(order)


class TracedFiles:
    """The port `TransactionFiles`: each file that is written."""

    def __init__(self, inner: TransactionFiles, tracing: Tracing) -> None:
        self._inner = inner
        self._tracing = tracing

    async def check(self) -> None:
        """Make sure that a file can be written now; see the port."""
        await self._inner.check()

    @asynccontextmanager
    async def draft(self, name: str, header: bytes) -> AsyncGenerator[DraftFile]:
        """Begin a file; see the port. Those of several lanes are written side by side."""
        attributes = {f"{PREFIX}file_name": name}
        with self._tracing.span("write file", attributes=attributes, is_current=False) as span:
            async with self._inner.draft(name, header) as draft:
                yield _TracedDraft(draft, span)

    def execution_ids(self, name: str) -> AsyncGenerator[int]:
        """Read the ids of the executions in a file; see the port."""
        return self._inner.execution_ids(name)

    async def checksum(self, name: str) -> str | None:
        """Return the checksum of a file; see the port."""
        return await self._inner.checksum(name)

    async def remove(self, name: str) -> None:
        """Remove a delivered file; see the port."""
        await self._inner.remove(name)


class _TracedDraft:
    def __init__(self, inner: DraftFile, span: Span) -> None:
        self._inner = inner
        self._span = span

    async def append(self, rows: RenderedRows) -> None:
        await self._inner.append(rows)

    async def publish(self, ending: Callable[[WrittenFile], bytes] | None = None) -> WrittenFile:
        file = await self._inner.publish(ending)
        self._span.note({f"{PREFIX}records": file.record_count, f"{PREFIX}bytes": file.byte_count})
        return file
