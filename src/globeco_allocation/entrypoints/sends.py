"""Sends and resends: claimed here, worked off by the dispatcher, told of as long as their caller waits."""

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

import structlog

from globeco_allocation.domain.batch import Batch
from globeco_allocation.domain.delivery import Delivery
from globeco_allocation.domain.errors import AllocationError, DeliveryStepError, StoreUnavailableError
from globeco_allocation.domain.use_cases.send import SendBatch
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.dispatcher import Dispatcher
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.owned_tasks import OwnedTasks
from globeco_allocation.entrypoints.send_report import BatchState, SendReport, is_at_rest, report_on
from globeco_allocation.entrypoints.tracing.tracing import NO_TRACING, Tracing
from globeco_allocation.entrypoints.trouble import until as wait_until
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
        limit: How many callers may wait, and how many batches for being written.
        grace_seconds: How long the end waits for claims.
        tracing: Names the trace that a batch is part of.
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
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._send_batch = send_batch
        self._batches = batches
        self._deliveries = deliveries
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._execution_mode = execution_mode
        self._limit = limit
        self._tasks = OwnedTasks(grace_seconds)
        self._tracing = tracing
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
        with self._one_more_waiting():
            try:
                seconds = max(wait_seconds, claim_seconds) - _REPORT_SECONDS
                batch = await self._tasks.finish_within(seconds, self._claim(requested_by))
            except TimeoutError as error:
                raise StoreUnavailableError(
                    "the batch was not claimed in time; what is ready goes out with this send or the next one"
                ) from error
            return await self._report(BatchState(batch), until, in_a_hurry)

    async def resend(
        self,
        batch: Batch,
        requested_by: str,
        wait_seconds: float,
        request_seconds: float = 0.0,
        in_a_hurry: Callable[[], bool] = lambda: False,
    ) -> SendReport:
        """Have a batch's failed and partial files delivered again, and tell how far it is, as `send` does.

        Args:
            batch: Which one.
            requested_by: Who asked, such as a correlation id.
            wait_seconds: How long the caller waits for the outcome.
            request_seconds: How long it waits at least until the request is recorded.
            in_a_hurry: See `send`.

        Raises:
            SendRefusedError: nothing has changed; ask again later.
            DeliveryStepError: the batch is still under way, or there is nothing to send again.
            StoreUnavailableError: the database is away, or did not answer in time.
        """
        until = time.monotonic() + wait_seconds
        if not batch.prepared:
            raise DeliveryStepError(f"batch {batch.id} is still under way: not all its files are written")
        with self._one_more_waiting():
            try:
                seconds = max(wait_seconds, request_seconds) - _REPORT_SECONDS
                again = await self._tasks.finish_within(seconds, self._queue_again(batch, requested_by))
            except TimeoutError as error:
                raise StoreUnavailableError(
                    "the database has not answered in time; look at the batch before you ask again"
                ) from error
            return await self._report(BatchState(batch, again), until, in_a_hurry)

    async def __aenter__(self) -> Self:
        """Take sends from now on."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no more sends, and wait for claims under way."""
        self._ending = True
        await self._tasks.__aexit__(kind, error, trace)

    @contextmanager
    def _one_more_waiting(self) -> Generator[None]:
        if self._ending:
            raise SendRefusedError("the service is about to end; send again in a moment")
        if max(self._waiting, len(self._tasks), self._dispatcher.to_write) >= self._limit:
            raise SendRefusedError(
                f"{self._limit} sends are under way already; send again when some have ended"
            )
        self._waiting += 1
        try:
            with self._metrics.send_under_way():
                yield
        finally:
            self._waiting -= 1

    async def _claim(self, requested_by: str) -> Batch:
        work = await self._send_batch.claim(requested_by, self._tracing.carried())
        self._dispatcher.write(work)
        self._metrics.batch_claimed()
        _log.info(logs.BATCH_CLAIMED, batch_id=work.batch.id)
        return work.batch

    async def _queue_again(self, batch: Batch, requested_by: str) -> tuple[Delivery, ...]:
        again = await self._deliveries.resend(batch.id, requested_by, self._tracing.carried())
        self._dispatcher.wake()
        self._metrics.batch_resent()
        _log.info(logs.BATCH_RESENT, batch_id=batch.id, files=[one.file_name for one in again])
        return again

    async def _report(self, state: BatchState, until: float, in_a_hurry: Callable[[], bool]) -> SendReport:
        """Wait for the batch's rest until then, and say how far it is."""
        attributes = {"globeco_allocation.batch_id": state.batch.id}
        with self._tracing.span("wait for batch", attributes=attributes), self._tracing.unwatched():
            return await self._followed(state, until, in_a_hurry)

    async def _followed(self, state: BatchState, until: float, in_a_hurry: Callable[[], bool]) -> SendReport:
        while True:
            step = self._dispatcher.next_step  # before the look, so that no step is missed
            left = until - _REPORT_SECONDS - time.monotonic()
            try:
                async with asyncio.timeout(max(left, _REPORT_SECONDS)):
                    state = await self._look(state.batch)
            except (TimeoutError, StoreUnavailableError):
                # It goes on; its caller is told what is known without the database.
                state = replace(state, outdated=True)
            if left <= 0 or in_a_hurry() or is_at_rest(state, self._execution_mode):
                return report_on(state, self._execution_mode)
            await wait_until(step, min(left, _LOOK_SECONDS))

    async def _look(self, batch: Batch) -> BatchState:
        # The batch before its deliveries: one that is prepared has all of them.
        found = await self._batches.get(batch.id)
        deliveries = await self._deliveries.of_batches((batch.id,))
        stop = await self._deliveries.stop()
        hindrance = self._dispatcher.hindrance
        return BatchState(found or batch, tuple(deliveries), stop=stop, hindrance=hindrance)
