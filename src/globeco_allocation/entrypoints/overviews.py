"""What an operator sees at a glance: asked for by any number of pages, looked up once in a moment."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from globeco_allocation.domain.backlog import Outstanding
from globeco_allocation.domain.batch import Batch
from globeco_allocation.domain.delivery import Delivery, DeliveryStop
from globeco_allocation.domain.errors import StoreUnavailableError
from globeco_allocation.entrypoints.day_chart import Day, DayChart
from globeco_allocation.entrypoints.owned_tasks import OwnedTasks
from globeco_allocation.ports.activity import Activity
from globeco_allocation.ports.backlog import Backlog
from globeco_allocation.ports.batches import Batches
from globeco_allocation.ports.clock import Clock
from globeco_allocation.ports.deliveries import Deliveries

NEWEST_BATCHES: Final = 12
"""So many of the newest batches are shown."""

TROUBLED_BATCHES: Final = 12
"""And so many older ones with a file that a person must resolve or send again."""

_MOST_TROUBLED_FILES: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """For how many seconds an answer is good.

    Attributes:
        overview: All of it but the chart.
        chart: The chart.
    """

    overview: float = 1.0
    chart: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overview:
    """What an operator sees at a glance.

    Attributes:
        outstanding: What is not at its end.
        batches: The newest ones, and those that a person must look at, newest first.
        batch_count: How many there are in all.
        deliveries: Their files.
        stop: Why nothing is delivered anywhere; None if something is.
        day: What happened lately.
        execution_mode: How the accounting CLI is run.
    """

    outstanding: Outstanding
    batches: Sequence[Batch]
    batch_count: int
    deliveries: Sequence[Delivery]
    stop: DeliveryStop | None
    day: Day
    execution_mode: str


class Overviews(AbstractAsyncContextManager["Overviews"]):
    """Looks things up, at most once in a moment, however many ask.

    Args:
        backlog: What is not at its end.
        batches: The windows that were claimed.
        deliveries: Their files.
        activity: What happened lately.
        clock: The time of day.
        execution_mode: How the accounting CLI is run.
        ages: For how long answers are good.
    """

    def __init__(
        self,
        backlog: Backlog,
        batches: Batches,
        deliveries: Deliveries,
        activity: Activity,
        clock: Clock,
        *,
        execution_mode: str,
        ages: Ages | None = None,
    ) -> None:
        self._backlog = backlog
        self._batches = batches
        self._deliveries = deliveries
        self._activity = activity
        self._clock = clock
        self._execution_mode = execution_mode
        self._ages = ages or Ages()
        self._chart = DayChart(activity)
        self._questions = OwnedTasks(grace_seconds=0)
        self._question: asyncio.Task[Overview] | None = None
        self._known: tuple[float, Overview] | None = None
        self._day: tuple[float, Day] | None = None

    async def __aenter__(self) -> Self:
        """Do nothing: the database is asked when somebody wants to know."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop the question that is open."""
        await self._questions.__aexit__(kind, error, trace)

    async def now(self) -> Overview:
        """Return what was so at most `Ages.overview` ago.

        Raises:
            StoreUnavailableError: the database is away.
        """
        if self._known is not None and time.monotonic() - self._known[0] < self._ages.overview:
            return self._known[1]
        question = self._question
        if question is None or question.done():
            question = self._question = self._questions.start(self._look())
        try:
            return await asyncio.shield(question)
        except StoreUnavailableError as error:
            raise StoreUnavailableError(str(error)) from error  # its own: many may wait for this one question

    async def _look(self) -> Overview:
        begun = time.monotonic()
        outstanding = await self._backlog.look()
        page = await self._batches.page(limit=NEWEST_BATCHES, offset=0)
        batches = [*page.batches, *await self._older(page.batches)]
        overview = Overview(
            outstanding=outstanding,
            batches=batches,
            batch_count=page.total,
            deliveries=await self._deliveries.of_batches([one.id for one in batches]),
            stop=await self._deliveries.stop(),
            day=await self._today(),
            execution_mode=self._execution_mode,
        )
        self._known = begun, overview
        return overview

    async def _older(self, newest: Sequence[Batch]) -> list[Batch]:
        """Return batches that are not among the newest and that a person must look at, newest first."""
        if len(newest) < NEWEST_BATCHES:
            return []
        most = TROUBLED_BATCHES + NEWEST_BATCHES
        troubled = await self._activity.troubled(batches=most, most=_MOST_TROUBLED_FILES)
        older = [key for key in troubled if key < newest[-1].id][:TROUBLED_BATCHES]
        found = [await self._batches.get(key) for key in older]
        return [one for one in found if one is not None]

    async def _today(self) -> Day:
        begun = time.monotonic()
        if self._day is None or begun - self._day[0] >= self._ages.chart:
            self._day = begun, await self._chart.look(self._clock.now())
        return self._day[1]
