"""Sends and resends: claimed here, worked off by the dispatcher, told of as long as their caller waits."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, Self

import structlog

from globeco_allocation.domain.batch import Batch
from globeco_allocation.domain.delivery import Delivery
from globeco_allocation.domain.errors import AllocationError, StoreUnavailableError
from globeco_allocation.domain.use_cases.send import SendBatch
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.dispatcher import Dispatcher
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.owned_tasks import OwnedTasks
from globeco_allocation.entrypoints.send_report import BatchState, SendReport, is_at_rest, report_on
from globeco_allocation.ports.batches import Batches
from globeco_allocation.ports.deliveries import Deliveries

_REPORT_SECONDS: Final = 0.5  # kept back from a caller's wait, to look up how far a send is
_LOOK_SECONDS: Final = 0.5  # between two looks, where another process may work on it

_log: Any = structlog.get_logger()


class SendRefusedError(AllocationError):
    """As many sends are under way as this process takes, or it is about to end; nothing was claimed."""


class Sends(AbstractAsyncContextManager["Sends"]):
    """The owner of sends under way; its context ends them.

    Args:
        send_batch: The use case.
        batches: Where a batch's progress is recorded.
        deliveries: Where its files' progress is recorded.
        dispatcher: Writes and delivers.
        metrics: Where sends are counted.
        execution_mode: How the accounting CLI is run, such as ``subprocess``; `send_report.NO_CLI` if not.
        limit: How many sends may be under way.
        grace_seconds: How long the end waits for claims.
    """

    def __init__(
        self,
        send_batch: SendBatch,
        batches: Batches,
        deliveries: Deliveries,
        dispatcher: Dispatcher,
        metrics: Metrics,
        *,
        execution_mode: str,
        limit: int = 100,
        grace_seconds: float = 5.0,
    ) -> None:
        self._send_batch = send_batch
        self._batches = batches
        self._deliveries = deliveries
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._execution_mode = execution_mode
        self._limit = limit
        self._tasks = OwnedTasks(grace_seconds)
        self._waiting = 0
        self._ending = False

    async def send(
        self,
        requested_by: str,
        wait_seconds: float,
        claim_seconds: float = 0.0,
        in_a_hurry: Callable[[], bool] = lambda: False,
    ) -> SendReport:
        """Send a batch, and tell how far it is after *wait_seconds* at the latest.

        What is not done by then goes on; so it does when this call is cancelled.

        Args:
            requested_by: Who asked, such as a correlation id.
            wait_seconds: How long the caller waits for the outcome.
            claim_seconds: How long it waits for the claim at least, whatever *wait_seconds* says.
            in_a_hurry: Tells that the service is about to end: nobody is to wait any more.

        Raises:
            SendRefusedError: nothing was claimed; ask again later.
            FileNotWrittenError: no file can be written now; nothing was claimed.
            WindowTakenError: another sender claimed the same window.
            StoreUnavailableError: the database is away, or did not claim the batch in time.
        """
        until = time.monotonic() + wait_seconds
        self._refuse_if_busy()
        self._waiting += 1
        try:
            with self._metrics.send_under_way():
                batch = await self._claimed(requested_by, max(wait_seconds, claim_seconds))
                return await self._report(batch, until, in_a_hurry)
        finally:
            self._waiting -= 1

    async def resend(
        self,
        batch: Batch,
        requested_by: str,
        wait_seconds: float,
        in_a_hurry: Callable[[], bool] = lambda: False,
    ) -> SendReport:
        """Have a batch's failed and partial files delivered again, and tell how far it is, as `send` does.

        Raises:
            SendRefusedError: nothing has changed; ask again later.
            DeliveryStepError: the batch is still under way, or there is nothing to send again.
            StoreUnavailableError: the database is away.
        """
        until = time.monotonic() + wait_seconds
        self._refuse_if_busy()
        self._waiting += 1
        try:
            await self._deliveries.resend(batch.id, requested_by)
            _log.info(logs.BATCH_RESENT, batch_id=batch.id)
            self._dispatcher.wake()
            return await self._report(batch, until, in_a_hurry)
        finally:
            self._waiting -= 1

    async def __aenter__(self) -> Self:
        """Take sends from now on."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no more sends, and wait for claims under way."""
        self._ending = True
        await self._tasks.__aexit__(kind, error, trace)

    def _refuse_if_busy(self) -> None:
        if self._ending:
            raise SendRefusedError("the service is about to end; send again in a moment")
        if max(self._waiting, len(self._tasks)) >= self._limit:
            raise SendRefusedError(
                f"{self._limit} sends are under way already; send again when some have ended"
            )

    async def _claimed(self, requested_by: str, seconds: float) -> Batch:
        """Claim, also when the caller goes; wait for it so long."""
        task = self._tasks.start(self._claim(requested_by))
        await asyncio.wait((task,), timeout=max(seconds - _REPORT_SECONDS, 0))
        if not task.done() or task.cancelled():
            raise StoreUnavailableError(
                "the database has not claimed the batch in time; this send or the next one delivers it"
            )
        return task.result()

    async def _claim(self, requested_by: str) -> Batch:
        work = await self._send_batch.claim(requested_by)
        self._dispatcher.write(work)
        self._metrics.batch_claimed()
        _log.info(logs.BATCH_CLAIMED, batch_id=work.batch.id)
        return work.batch

    async def _report(self, batch: Batch, until: float, in_a_hurry: Callable[[], bool]) -> SendReport:
        """Wait for the batch's rest until then, and say how far it is."""
        state = BatchState(batch)
        while True:
            left = until - _REPORT_SECONDS - time.monotonic()
            try:
                async with asyncio.timeout(max(left, _REPORT_SECONDS)):
                    state = await self._look(batch)
            except (TimeoutError, StoreUnavailableError):
                pass  # it goes on; its caller is told what is known without the database
            if left <= 0 or in_a_hurry() or is_at_rest(state, self._execution_mode):
                return report_on(state, self._execution_mode)
            await self._dispatcher.progress(min(left, _LOOK_SECONDS))

    async def _look(self, batch: Batch) -> BatchState:
        deliveries: Sequence[Delivery] = await self._deliveries.of_batches((batch.id,))
        prepared = batch.prepared
        if not deliveries:  # it may be empty, or not planned yet
            found = await self._batches.get(batch.id)
            prepared = found is not None and found.prepared
        stop = await self._deliveries.stop()
        return BatchState(batch, tuple(deliveries), prepared=prepared, stop=stop)
