"""The work on batches and deliveries in the background, in each replica, and its owner.

Whatever is due is worked off, whoever began it: what this process claims, what another one left behind when
it died, what waits for another attempt, what an operator sends again (design, "Delivery").
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import structlog

from globeco_allocation.domain.delivery import Delivery, Settlement
from globeco_allocation.domain.errors import (
    AllocationError,
    FileNotWrittenError,
    LeaseLostError,
    StoreUnavailableError,
)
from globeco_allocation.domain.use_cases.work_off import WorkOff
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.fitness import Fitness
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.owned_tasks import OwnedTasks
from globeco_allocation.entrypoints.progress import Progress
from globeco_allocation.entrypoints.send_report import SUBPROCESS
from globeco_allocation.entrypoints.tracing.steps import Step, batch_step, delivery_step
from globeco_allocation.entrypoints.tracing.tracing import NO_TRACING, Tracing
from globeco_allocation.entrypoints.trouble import PATIENCE_SECONDS, Trouble, until
from globeco_allocation.ports.accounting import AccountingCli
from globeco_allocation.ports.batches import LeasedBatch
from globeco_allocation.ports.deliveries import Deliveries, LeasedDelivery
from globeco_allocation.ports.files import TransactionFiles

_LONGEST_LAST_LOOK_SECONDS = 1.0  # at the end: what is being leased must be known, to be given back

_log: Any = structlog.get_logger("globeco_allocation.dispatcher")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rests:
    """How long the work rests, in seconds.

    Attributes:
        poll: Between two looks for what is due, when nothing happens in this process meanwhile.
        fault: After a fault of ours, which is logged with its traceback.
        check: How long it is believed that files can be written and runs be started from here.
        patience: A database that is back by then was not worth a line in the log.
    """

    poll: float = 2.0
    fault: float = 30.0
    check: float = 10.0
    patience: float = PATIENCE_SECONDS


class Result(StrEnum):
    """What came of a step; also a label of the metrics."""

    DONE = "done"
    HELD_UP = "held_up"
    """For a reason that stands at the delivery, or its batch's; due again a little later."""
    LEASE_LOST = "lease_lost"
    STORE_AWAY = "store_away"
    FAILED = "failed"
    LEFT = "left"
    """This process ended first."""


class Dispatcher(AbstractAsyncContextManager["Dispatcher"]):
    """Works off what is due for as long as its context lasts.

    A replica that cannot write where the others read, or cannot keep runs apart, leaves the work to the
    others, and says so.

    Args:
        work_off: Takes and carries out what is due.
        deliveries: Where it stands why a delivery is held up.
        files: Where files are written.
        accounting: The accounting CLI; None where none is set.
        metrics: Where steps and attempts are counted.
        runner: How the accounting CLI is run, for the metrics.
        lanes: How many deliveries may be carried on side by side.
        may_begin: Asked until it says yes: before its tables are there, the database is left alone.
        grace_seconds: How long the end waits for files that are being written.
        rests: How long it rests.
        tracing: Is told of each step, as a part of its sender's trace.
    """

    def __init__(
        self,
        work_off: WorkOff,
        deliveries: Deliveries,
        files: TransactionFiles,
        accounting: AccountingCli | None,
        metrics: Metrics,
        *,
        runner: str = SUBPROCESS,
        lanes: int = 1,
        may_begin: Callable[[], bool] = lambda: True,
        grace_seconds: float = 2.0,
        rests: Rests | None = None,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._work_off = work_off
        self._deliveries = deliveries
        self._metrics = metrics
        self._runner = runner
        self._lanes = lanes
        self._may_begin = may_begin
        self._rests = rests or Rests()
        self._tracing = tracing
        self._fitness = Fitness(files, accounting, metrics, self._rests.check)
        self._loop = OwnedTasks(min(grace_seconds, _LONGEST_LAST_LOOK_SECONDS))
        self._writing = OwnedTasks(grace_seconds)
        self._taken_over: asyncio.Task[Result] | None = None
        # A run goes on without us: nobody waits for it at the end, its lease is handed back.
        self._delivering = OwnedTasks(grace_seconds=0)
        self._woken = asyncio.Event()
        self._steps = Progress()
        self._ending = asyncio.Event()
        self._away = Trouble(_tell, _tell_the_end, self._rests.patience)

    @property
    def hindrance(self) -> str:
        """Why this replica does not write and deliver now, for a person; empty when it does."""
        return self._fitness.hindrance

    @property
    def to_write(self) -> int:
        """How many batches of this process are being written, or wait for their turn."""
        return len(self._writing)

    @property
    def to_deliver(self) -> int:
        """How many deliveries this process carries on."""
        return len(self._delivering)

    @property
    def next_step(self) -> asyncio.Event:
        """What is set when this process has taken a step, see `Progress.next`."""
        return self._steps.next

    def wake(self) -> None:
        """Look for what is due now."""
        self._woken.set()

    def write(self, work: LeasedBatch) -> None:
        """Write the files of a batch that this process has claimed; the deliveries follow."""
        self._start(self._writing, self._write(work))

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
            early_end, seconds = self._woken, self._rests.poll
            try:
                if self._may_begin():
                    if await self._fitness.is_given():
                        await self._start_what_is_due()
                    self._away.ended()
            except StoreUnavailableError as error:
                self._away.lasts(str(error))
            except Exception:  # noqa: BLE001 - one fault must not end the work for ever
                _log.exception(logs.DISPATCH_FAILED)
                early_end, seconds = self._ending, self._rests.fault
            await until(early_end, seconds)

    async def _start_what_is_due(self) -> None:
        # What others left is older than what this process claims, and all that is younger waits for it: one
        # such batch is always in turn, however many of our own are.
        if self._taken_over is None or self._taken_over.done():
            batch = await self._work_off.take_batch()
            if batch is not None:
                _log.info(logs.BATCH_TAKEN_OVER, batch_id=batch.batch.id)
                self._taken_over = self._start(self._writing, self._write(batch))
        while len(self._delivering) < self._lanes and not self._ending.is_set():
            work = await self._work_off.take_delivery()
            if work is None:
                return
            self._start(self._delivering, self._deliver(work))

    def _start(self, tasks: OwnedTasks, step: Coroutine[Any, Any, Result]) -> "asyncio.Task[Result]":
        task = tasks.start(step)
        task.add_done_callback(self._ended)  # by then it is not among its tasks any more: its place is free
        return task

    def _ended(self, task: "asyncio.Task[Result]") -> None:
        """Let everybody know that a step is over."""
        if task.cancelled() or task.result() is not Result.STORE_AWAY:
            self.wake()  # but where it is due at once the next poll is soon enough
        self._steps.made()

    async def _write(self, work: LeasedBatch) -> Result:
        terms = work.batch.terms
        with (
            structlog.contextvars.bound_contextvars(batch_id=work.batch.id, requested_by=terms.requested_by),
            batch_step(self._tracing, work) as step,
        ):
            return await self._take_step("write", self._written(work), step)

    async def _deliver(self, work: LeasedDelivery) -> Result:
        one = work.delivery
        with (
            structlog.contextvars.bound_contextvars(
                batch_id=one.batch_id, file_name=one.file_name, requested_by=one.requested_by
            ),
            delivery_step(self._tracing, one) as step,
        ):
            _log.info(logs.ATTEMPT_TAKEN, attempt=one.attempt, lane=one.lane, under_way=one.under_way)
            return await self._take_step("deliver", self._delivered(work, step), step)

    async def _written(self, work: LeasedBatch) -> Result:
        await self._work_off.write(work)
        return Result.DONE

    async def _delivered(self, work: LeasedDelivery, step: Step) -> Result:
        delivery = work.delivery
        settlement = await self._work_off.deliver(work)
        if settlement is not None:
            step.settled(settlement)
            self._tell_of(delivery, settlement)
            return Result.DONE
        now = await self._deliveries.get(delivery.id)
        _log.warning(logs.ATTEMPT_HELD_UP, attempt=delivery.attempt, reason=now.error if now else "")
        return Result.HELD_UP

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
        self._metrics.attempt_ended(settlement, self._runner)
        if settlement.collision:
            _log.error(logs.COLLISION, **facts)
        elif settlement.confirming:  # each good Job: it prints no counts, and is no failure
            _log.info(logs.ATTEMPT_TO_BE_CONFIRMED, attempt=delivery.attempt)
        elif settlement.retry_in is not None:
            _log.warning(logs.ATTEMPT_FAILED, again_in=settlement.retry_in.total_seconds(), **facts)
        elif outcome.error:
            _log.error(logs.DELIVERY_ENDED, **facts)
        else:
            _log.info(logs.DELIVERY_ENDED, **facts)

    async def _take_step(self, name: str, work: Coroutine[Any, Any, Result], step: Step) -> Result:
        """Take a step, count it, and tell of what hinders it."""
        result = Result.LEFT
        try:
            result = await work
        except LeaseLostError:
            result = Result.LEASE_LOST
            _log.warning(logs.LEASE_LOST)
        except FileNotWrittenError as error:
            result = Result.HELD_UP
            self._fitness.doubt()
            _log.error(logs.FILE_NOT_WRITTEN, reason=str(error))
        except StoreUnavailableError as error:
            result = Result.STORE_AWAY
            _log.warning(logs.STEP_BROKEN_OFF, reason=str(error))
        except AllocationError as error:
            result = Result.FAILED
            _log.error(logs.STEP_FAILED, reason=str(error))
        except Exception:  # noqa: BLE001 - it was put off, and the others go on
            result = Result.FAILED
            _log.exception(logs.STEP_FAILED)
        finally:
            self._metrics.step_taken(name, result)
            step.ended(result, well=result is Result.DONE)
        return result


def _tell(reason: str) -> None:
    _log.error(logs.DISPATCH_HELD_UP, reason=reason)


def _tell_the_end() -> None:
    _log.info(logs.DISPATCH_GOES_ON)
