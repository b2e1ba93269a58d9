"""The looks that keep the gauges fresh, in each process, and their owner.

Twice a second it notes by how much the event loop came late, and how the connections are used: no question
to anybody. Every ten seconds it asks the database, in one small query, what is outstanding. While the
database is away nothing is refreshed, and the time of the last look tells so.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import structlog

from globeco_allocation.adapters.postgres.pool_counts import PoolCounts
from globeco_allocation.domain.errors import StoreUnavailableError
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.metrics.state import StateMetrics
from globeco_allocation.entrypoints.owned_tasks import OwnedTasks
from globeco_allocation.entrypoints.trouble import until
from globeco_allocation.ports.backlog import Backlog

_log: Any = structlog.get_logger("globeco_allocation.measuring")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuringRests:
    """How long it rests, in seconds.

    Attributes:
        sample: Between two looks at this process.
        refresh: Between two questions to the database.
        schema_looks: After so many of them the schema is looked at again, instead of the backlog.
        fault: After a fault of ours, which is logged with its traceback.
    """

    sample: float = 0.5
    refresh: float = 10.0
    schema_looks: int = 30
    fault: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What is looked at.

    Attributes:
        backlog: What is outstanding.
        migrations_missing: How many migrations of this version the database lacks.
        pool: How the connections are used.
        steps_under_way: Batches that are written and deliveries that are carried on by this process.
    """

    backlog: Backlog
    migrations_missing: Callable[[], Awaitable[int]]
    pool: Callable[[], PoolCounts]
    steps_under_way: Callable[[], tuple[int, int]]


class Measuring(AbstractAsyncContextManager["Measuring"]):
    """Looks from time to time for as long as its context lasts.

    Args:
        metrics: Where it is shown.
        sources: What is looked at.
        may_begin: Asked until it says yes: before its tables are there, the database is left alone.
        rests: How long it rests between two looks.
    """

    def __init__(
        self,
        metrics: StateMetrics,
        sources: Sources,
        *,
        may_begin: Callable[[], bool] = lambda: True,
        rests: MeasuringRests | None = None,
    ) -> None:
        self._metrics = metrics
        self._sources = sources
        self._may_begin = may_begin
        self._rests = rests or MeasuringRests()
        self._tasks = OwnedTasks(grace_seconds=0)
        self._ending = asyncio.Event()
        self._looks_until_schema = 0

    async def __aenter__(self) -> Self:
        """Begin."""
        self._tasks.start(self._sample())
        self._tasks.start(self._refresh())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End at once: nothing is lost with a look."""
        self._ending.set()
        await self._tasks.__aexit__(kind, error, trace)

    async def _sample(self) -> None:
        clock = asyncio.get_running_loop().time
        while not self._ending.is_set():
            due = clock() + self._rests.sample
            await until(self._ending, self._rests.sample)
            if not self._ending.is_set():
                self._metrics.loop_was_late(clock() - due)
            self._metrics.pool(self._sources.pool())
            write, deliver = self._sources.steps_under_way()
            self._metrics.steps_under_way(write=write, deliver=deliver)

    async def _refresh(self) -> None:
        while not self._ending.is_set():
            seconds = self._rests.refresh
            if not self._may_begin():
                seconds = min(seconds, 1.0)
            else:
                try:
                    await self._look()
                except StoreUnavailableError:
                    self._looks_until_schema = 0
                except Exception:  # noqa: BLE001 - one fault must not end the work for ever
                    _log.exception(logs.MEASURING_FAILED)
                    seconds = self._rests.fault
            await until(self._ending, seconds)

    async def _look(self) -> None:
        """Ask for what is outstanding, or from time to time whether the schema is there that can tell."""
        if not self._looks_until_schema:
            missing = await self._sources.migrations_missing()
            self._metrics.migrations_missing(missing)
            if missing:
                return
            self._looks_until_schema = self._rests.schema_looks
        self._looks_until_schema -= 1
        self._metrics.seen(await self._sources.backlog.look(), time.time())
