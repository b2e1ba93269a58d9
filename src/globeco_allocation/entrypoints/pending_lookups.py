"""The work on pending executions in the background, in each replica, and its owner.

It runs whether or not records are deferred now: what was deferred before it was switched off is worked off,
too. With nothing pending it costs one look into a small index every few seconds.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import structlog

from globeco_allocation.domain.errors import StoreUnavailableError
from globeco_allocation.domain.use_cases.look_up_pending import LookUpPending, PendingRound
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.owned_tasks import OwnedTasks
from globeco_allocation.entrypoints.trouble import PATIENCE_SECONDS, Trouble, until

_log: Any = structlog.get_logger("globeco_allocation.pending")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rests:
    """How long the work rests, in seconds.

    Attributes:
        poll: Between two looks for what is due, when nothing is deferred by this process meanwhile.
        outage: Between two rounds of which nothing came: the Trade Service or the database is away.
        fault: After a fault of ours, which is logged with its traceback.
        patience: Trouble that is over by then is not worth a line in the log.
    """

    poll: float = 2.0
    outage: float = 1.0
    fault: float = 30.0
    patience: float = PATIENCE_SECONDS


class PendingLookups(AbstractAsyncContextManager["PendingLookups"]):
    """Looks up pending executions for as long as its context lasts.

    Args:
        look_up: The use case: one round for each call.
        metrics: Where it is counted.
        may_begin: Asked until it says yes: before its tables are there, the database is left alone.
        grace_seconds: How long the end waits for the round under way.
        rests: How long it rests between two rounds.
    """

    def __init__(
        self,
        look_up: LookUpPending,
        metrics: Metrics,
        *,
        may_begin: Callable[[], bool] = lambda: True,
        grace_seconds: float = 1.0,
        rests: Rests | None = None,
    ) -> None:
        self._look_up = look_up
        self._metrics = metrics
        self._may_begin = may_begin
        self._tasks = OwnedTasks(grace_seconds)
        self._woken = asyncio.Event()
        self._ending = asyncio.Event()
        self._rests = rests or Rests()
        self._database_away = self._trouble()
        self._nothing_found = self._trouble()

    def wake(self) -> None:
        """Look for what is due now: something was deferred."""
        self._woken.set()

    async def __aenter__(self) -> Self:
        """Begin."""
        self._tasks.start(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the round under way end, or break it off; others go on with it when its lease is over."""
        self._ending.set()
        self._woken.set()
        await self._tasks.__aexit__(kind, error, trace)

    async def _run(self) -> None:
        while not self._ending.is_set():
            if not self._may_begin():
                await until(self._ending, self._rests.outage)
                continue
            self._woken.clear()
            early_end, seconds = await self._round()
            await until(early_end, seconds)

    async def _round(self) -> tuple[asyncio.Event, float]:
        """Do one round.

        Returns:
            What ends the rest before the next one, and how long the rest is at most.
        """
        try:
            found = await self._look_up()
            self._note(found)
        except StoreUnavailableError as error:
            self._database_away.lasts(str(error))
            return self._ending, self._rests.outage
        except Exception:  # noqa: BLE001 - one fault must not end the work for ever
            _log.exception(logs.PENDING_FAILED)
            return self._ending, self._rests.fault
        self._database_away.ended()
        if not found.taken:
            return self._woken, self._rests.poll
        if len(found.put_off) < found.taken:
            self._nothing_found.ended()
            return self._woken, 0.0
        self._nothing_found.lasts(next(iter(found.put_off.values())))
        return self._ending, self._rests.outage

    def _note(self, found: PendingRound) -> None:
        self._metrics.pending_looked_up(found)
        if found.given_up:
            _log.error(
                logs.PENDING_GIVEN_UP,
                executions=[
                    {"execution_service_id": key, "reason": reason} for key, reason in found.given_up.items()
                ],
            )

    def _trouble(self) -> Trouble:
        return Trouble(
            lambda reason: _log.warning(logs.PENDING_HELD_UP, reason=reason),
            lambda: _log.info(logs.PENDING_GOES_ON),
            self._rests.patience,
        )
