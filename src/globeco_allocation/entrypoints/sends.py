"""Sends under way: they go on when their caller has gone, and somebody owns them."""

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, Self

import structlog

from globeco_allocation.domain.batch import Batch
from globeco_allocation.domain.delivery import Delivery
from globeco_allocation.domain.errors import (
    AllocationError,
    CliNotStartedError,
    FileNotWrittenError,
    StoreUnavailableError,
    WindowTakenError,
)
from globeco_allocation.domain.use_cases.send import SendBatch
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.owned_tasks import OwnedTasks
from globeco_allocation.entrypoints.send_report import SendReport, report_on
from globeco_allocation.ports.deliveries import Deliveries

_REPORT_SECONDS: Final = 0.5  # kept back from a caller's wait, to look up how far a send is

_log: Any = structlog.get_logger()


class SendRefusedError(AllocationError):
    """As many sends are under way as this process takes, or it is about to end; nothing was claimed."""


class Sends(AbstractAsyncContextManager["Sends"]):
    """The owner of sends under way; its context ends them.

    Args:
        send_batch: The use case.
        deliveries: Where a send's progress is recorded.
        metrics: Where sends are counted.
        execution_mode: How the accounting CLI is run, such as ``subprocess``; `send_report.NO_CLI` if not.
        limit: How many sends may be under way.
        grace_seconds: How long the end waits for them; a run of the CLI then goes on without us.
    """

    def __init__(
        self,
        send_batch: SendBatch,
        deliveries: Deliveries,
        metrics: Metrics,
        *,
        execution_mode: str,
        limit: int = 100,
        grace_seconds: float = 5.0,
    ) -> None:
        self._send_batch = send_batch
        self._deliveries = deliveries
        self._metrics = metrics
        self._execution_mode = execution_mode
        self._limit = limit
        self._tasks = OwnedTasks(grace_seconds)
        # One after the other, in the order of their claims: side by side they only take each other's disk.
        self._writing = asyncio.Lock()
        self._ending = False

    async def send(self, requested_by: str, wait_seconds: float, claim_seconds: float = 0.0) -> SendReport:
        """Send a batch, and tell how far it is after *wait_seconds* at the latest.

        What is not done by then goes on; so it does when this call is cancelled.

        Args:
            requested_by: Who asked, such as a correlation id.
            wait_seconds: How long the caller waits for the outcome.
            claim_seconds: How long it waits for the claim at least, whatever *wait_seconds* says.

        Raises:
            SendRefusedError: nothing was claimed; ask again later.
            FileNotWrittenError: no file can be written now; nothing was claimed.
            WindowTakenError: another sender claimed the same window.
            StoreUnavailableError: the database is away, or did not claim the batch in time.
        """
        if self._ending:
            raise SendRefusedError("the service is about to end; send again in a moment")
        if len(self._tasks) >= self._limit:
            raise SendRefusedError(
                f"{self._limit} sends are under way already; send again when some have ended"
            )
        send = _Send()
        task = self._tasks.start(self._run(send, requested_by))
        task.add_done_callback(send.ended)
        await asyncio.wait((task,), timeout=max(wait_seconds - _REPORT_SECONDS, 0))
        if wait_seconds < claim_seconds:
            await send.is_claimed_or_ended(claim_seconds - max(wait_seconds, 0))
        if task.done() and not task.cancelled():
            return task.result()
        if send.batch is None:
            raise StoreUnavailableError(
                "the database has not claimed the batch in time; this send or the next one delivers it"
            )
        return await self._so_far(send.batch, _REPORT_SECONDS)

    async def __aenter__(self) -> Self:
        """Take sends from now on."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no more sends, begin no more runs, wait for what is under way, then cancel it."""
        self._ending = True
        await self._tasks.__aexit__(kind, error, trace)

    async def _run(self, send: "_Send", requested_by: str) -> SendReport:
        with self._metrics.send_under_way():
            try:
                batch = await self._send_batch.claim(requested_by)
                send.claimed(batch)
                self._metrics.batch_claimed()
                _log.info(logs.BATCH_CLAIMED, batch_id=batch.id)
                report = await self._carry_out(batch)
            except asyncio.CancelledError:
                _log.warning(logs.SEND_STOPPED, batch_id=send.batch_id)
                raise
            except WindowTakenError:
                raise
            except FileNotWrittenError as error:
                _log.error(logs.SEND_FAILED, batch_id=None, reason=str(error))
                raise
            except StoreUnavailableError as error:
                _log.warning(logs.SEND_FAILED, batch_id=send.batch_id, reason=str(error))
                if send.batch is None:
                    raise
                raise StoreUnavailableError(
                    f"batch {send.batch_id} is claimed, but the database went away before its end was known"
                ) from error
            except Exception:
                _log.exception(logs.SEND_FAILED, batch_id=send.batch_id)
                raise
        _log.info(
            logs.BATCH_ENDED,
            batch_id=report.batch_id,
            status=report.status.value,
            records=report.processed_count,
        )
        return report

    async def _carry_out(self, batch: Batch) -> SendReport:
        fault = ""
        try:
            async with self._writing:
                delivery = await self._send_batch.write(batch)
            if delivery is not None:
                await self._send_batch.deliver(delivery, lambda: not self._ending)
            deliveries = await self._deliveries.of_batch(batch.id)
        except StoreUnavailableError:
            raise
        except (FileNotWrittenError, CliNotStartedError) as error:
            _log.error(logs.SEND_FAILED, batch_id=batch.id, reason=str(error))
            fault = f"Batch {batch.id} was not sent: {error}."
            deliveries = await self._deliveries.of_batch(batch.id)
        except Exception:  # noqa: BLE001 - whoever asked must learn which batch is affected
            _log.exception(logs.SEND_FAILED, batch_id=batch.id)
            fault = f"Batch {batch.id} did not get to its end: a fault in the service; its log says more."
            deliveries = await self._deliveries.of_batch(batch.id)
        self._count(deliveries)
        return report_on(batch.id, deliveries, self._execution_mode, over=True, fault=fault)

    async def _so_far(self, batch: Batch, seconds: float) -> SendReport:
        deliveries: tuple[Delivery, ...] = ()
        try:
            async with asyncio.timeout(seconds):
                deliveries = await self._deliveries.of_batch(batch.id)
        except (TimeoutError, StoreUnavailableError):
            pass  # the send goes on; its caller is told what is known without the database
        return report_on(batch.id, deliveries, self._execution_mode, over=False)

    def _count(self, deliveries: tuple[Delivery, ...]) -> None:
        for delivery in deliveries:
            self._metrics.delivery_ended(delivery)


class _Send:
    """What a send under way has come to know."""

    def __init__(self) -> None:
        self.batch: Batch | None = None
        self._claimed_or_ended = asyncio.Event()

    @property
    def batch_id(self) -> int | None:
        return None if self.batch is None else self.batch.id

    def claimed(self, batch: Batch) -> None:
        self.batch = batch
        self._claimed_or_ended.set()

    def ended(self, _task: object) -> None:
        self._claimed_or_ended.set()

    async def is_claimed_or_ended(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._claimed_or_ended.wait()
        except TimeoutError:
            return False
