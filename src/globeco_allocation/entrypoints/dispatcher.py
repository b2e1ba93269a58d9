"""The work on batches and deliveries in the background, in each replica, and its owner.

Whatever is due is worked off, whoever began it: what this process claims, what another one left behind when
it died, what waits for another attempt, what an operator sends again (design, "Delivery").
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self

import structlog

from globeco_allocation.domain.delivery import Delivery, Settlement
from globeco_allocation.domain.errors import (
    AllocationError,
    CliNotStartedError,
    FileNotWrittenError,
    LeaseLostError,
    RunNotFollowedError,
    StoreUnavailableError,
)
from globeco_allocation.domain.use_cases.work_off import WorkOff
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.owned_tasks import OwnedTasks
from globeco_allocation.entrypoints.trouble import Trouble, until
from globeco_allocation.ports.accounting import AccountingCli
from globeco_allocation.ports.batches import LeasedBatch
from globeco_allocation.ports.deliveries import LeasedDelivery
from globeco_allocation.ports.files import TransactionFiles

POLL_SECONDS = 2.0
"""Between two looks for what is due, when nothing happens in this process meanwhile."""

FAULT_SECONDS = 30.0
"""After a fault of ours, which is logged with its traceback."""

CHECK_SECONDS = 10.0
"""How long it is believed that files can be written and runs be started from here."""

_log: Any = structlog.get_logger("globeco_allocation.dispatcher")


class Dispatcher(AbstractAsyncContextManager["Dispatcher"]):
    """Works off what is due for as long as its context lasts.

    A replica that cannot write where the others read, or cannot keep runs apart, leaves the work to the
    others, and says so.

    Args:
        work_off: Takes and carries out what is due.
        files: Where files are written.
        accounting: The accounting CLI; None where none is set.
        metrics: Where attempts are counted.
        lanes: How many deliveries may be carried on side by side.
        may_begin: Asked until it says yes: before its tables are there, the database is left alone.
        grace_seconds: How long the end waits for files that are being written.
        poll_seconds: See `POLL_SECONDS`.
    """

    def __init__(
        self,
        work_off: WorkOff,
        files: TransactionFiles,
        accounting: AccountingCli | None,
        metrics: Metrics,
        *,
        lanes: int = 1,
        may_begin: Callable[[], bool] = lambda: True,
        grace_seconds: float = 2.0,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._work_off = work_off
        self._files = files
        self._accounting = accounting
        self._metrics = metrics
        self._lanes = lanes
        self._may_begin = may_begin
        self._poll_seconds = poll_seconds
        self._loop = OwnedTasks(grace_seconds=0)
        self._writing = OwnedTasks(grace_seconds)
        # A run goes on without us: nobody waits for it at the end, its lease is handed back.
        self._delivering = OwnedTasks(grace_seconds=0)
        self._woken = asyncio.Event()
        self._progress = asyncio.Condition()
        self._ending = asyncio.Event()
        self._checked_until = 0.0
        self._away = Trouble(_tell(logs.DISPATCH_HELD_UP), _over(logs.DISPATCH_GOES_ON))
        self._unfit = Trouble(_tell(logs.REPLICA_DOES_NOT_DELIVER), _over(logs.REPLICA_DELIVERS), 0.0)

    def wake(self) -> None:
        """Look for what is due now."""
        self._woken.set()

    def write(self, work: LeasedBatch) -> None:
        """Write the files of a batch that this process has claimed; the deliveries follow."""
        self._writing.start(self._write(work))

    async def progress(self, seconds: float) -> None:
        """Wait until this process has taken a step, or for so long."""
        try:
            async with asyncio.timeout(seconds), self._progress:
                await self._progress.wait()
        except TimeoutError:
            pass

    async def __aenter__(self) -> Self:
        """Begin."""
        self._loop.start(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take nothing more; leave runs alone and hand leases back, so that others go on at once."""
        self._ending.set()
        self._woken.set()
        for tasks in (self._loop, self._delivering, self._writing):
            await tasks.__aexit__(kind, error, trace)

    async def _run(self) -> None:
        while not self._ending.is_set():
            self._woken.clear()
            seconds = self._poll_seconds
            try:
                if self._may_begin() and await self._is_fit():
                    await self._start_what_is_due()
                self._away.ended()
            except StoreUnavailableError as error:
                self._away.lasts(str(error))
            except Exception:  # noqa: BLE001 - one fault must not end the work for ever
                _log.exception(logs.DISPATCH_FAILED)
                seconds = FAULT_SECONDS
            await until(self._woken, seconds)

    async def _is_fit(self) -> bool:
        """Tell whether files can be written, and runs be started and kept apart, from here."""
        now = asyncio.get_running_loop().time()
        if now < self._checked_until:
            return True
        try:
            await self._files.check()
            if self._accounting is not None:
                await self._accounting.check()
        except (FileNotWrittenError, CliNotStartedError, RunNotFollowedError) as error:
            self._unfit.lasts(str(error))
            self._metrics.fit_to_deliver(fit=False)
            return False
        self._unfit.ended()
        self._metrics.fit_to_deliver(fit=True)
        self._checked_until = now + CHECK_SECONDS
        return True

    async def _start_what_is_due(self) -> None:
        if not self._writing and (batch := await self._work_off.take_batch()) is not None:
            _log.info(logs.BATCH_TAKEN_OVER, batch_id=batch.batch.id)
            self._writing.start(self._write(batch))
        while len(self._delivering) < self._lanes:
            work = await self._work_off.take_delivery()
            if work is None:
                return
            self._delivering.start(self._deliver(work))

    async def _write(self, work: LeasedBatch) -> None:
        with structlog.contextvars.bound_contextvars(batch_id=work.batch.id):
            await self._take_step(self._work_off.write(work))

    async def _deliver(self, work: LeasedDelivery) -> None:
        one = work.delivery
        with structlog.contextvars.bound_contextvars(batch_id=one.batch_id, file_name=one.file_name):
            _log.info(logs.ATTEMPT_TAKEN, attempt=one.attempt, lane=one.lane, under_way=one.under_way)
            await self._take_step(self._delivered(one, work))

    async def _delivered(self, delivery: Delivery, work: LeasedDelivery) -> None:
        settlement = await self._work_off.deliver(work)
        if settlement is None:
            _log.warning(logs.ATTEMPT_HELD_UP, attempt=delivery.attempt)
        else:
            self._tell_of(delivery, settlement)

    def _tell_of(self, delivery: Delivery, settlement: Settlement) -> None:
        outcome = settlement.outcome
        facts = {
            "attempt": delivery.attempt,
            "status": outcome.status.value,
            "accepted": outcome.accepted_count,
            "rejected": outcome.rejected_count,
            "unknown": outcome.unknown_count,
            "reason": outcome.error,
        }
        self._metrics.attempt_ended(settlement)
        if settlement.collision:
            _log.error(logs.COLLISION, **facts)
        elif settlement.retry_in is not None:
            _log.warning(logs.ATTEMPT_FAILED, again_in=settlement.retry_in.total_seconds(), **facts)
        elif outcome.error:
            _log.error(logs.DELIVERY_ENDED, **facts)
        else:
            _log.info(logs.DELIVERY_ENDED, **facts)

    async def _take_step(self, step: Coroutine[Any, Any, None]) -> None:
        """Take a step, tell of what hinders it, and let everybody know that it is over."""
        try:
            await step
        except LeaseLostError:
            _log.warning(logs.LEASE_LOST)
        except FileNotWrittenError as error:
            self._checked_until = 0.0
            _log.error(logs.FILE_NOT_WRITTEN, reason=str(error))
        except AllocationError as error:
            _log.warning(logs.STEP_FAILED, reason=str(error))
        except Exception:  # noqa: BLE001 - it is due again when its lease has run out
            _log.exception(logs.STEP_FAILED)
        finally:
            self.wake()
            async with self._progress:
                self._progress.notify_all()


def _tell(event: str) -> Callable[[str], None]:
    return lambda reason: _log.error(event, reason=reason)


def _over(event: str) -> Callable[[], None]:
    return lambda: _log.info(event)
