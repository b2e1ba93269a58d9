"""Waiting for a lane: for its locks, and for runs that go on although nobody holds these."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from globeco_allocation.adapters import log_events
from globeco_allocation.adapters.blocking import acquire, finish
from globeco_allocation.adapters.log_events import facts
from globeco_allocation.adapters.output_files.directory import reason
from globeco_allocation.adapters.output_files.leftovers import Leftovers
from globeco_allocation.adapters.subprocess_cli.engine import Engine
from globeco_allocation.adapters.subprocess_cli.lane_lock import HeldLane, try_lane
from globeco_allocation.adapters.subprocess_cli.living_process import ProcessMark, this_host, writer_of
from globeco_allocation.adapters.subprocess_cli.run_record import Rival, RunRecords
from globeco_allocation.domain.accounting_run import RunOrder
from globeco_allocation.domain.errors import RunNotFollowedError

_POLL_SECONDS = 0.1
_LONGEST_POLL_SECONDS = 0.5
_LOOK_SECONDS = 1.0
"""How often runs that are in the way are looked at."""

_log = logging.getLogger(__name__)


class LaneTurns:
    """Gives an order its lane once nothing goes on that must not go on beside it.

    A run past its limit is ended, whoever began it, where it can be: the one whose parent died would hold its
    lane for ever. One of another host is only waited for.

    Args:
        directory: The output directory.
        timeout_seconds: How long a run may take.
        grace_seconds: How long it then has to end by itself.
        engine_of: Gives the engine that a run's container is asked at, by the run's name and data file; None
            where runs are plain processes.
    """

    def __init__(
        self,
        directory: Path,
        timeout_seconds: float,
        grace_seconds: float,
        engine_of: Callable[[str, str], Engine | None],
    ) -> None:
        self._directory = directory
        self._timeout_seconds = timeout_seconds
        self._grace_seconds = grace_seconds
        self._engine_of = engine_of
        self._records = RunRecords(directory)

    @asynccontextmanager
    async def turn(self, order: RunOrder) -> AsyncGenerator[HeldLane]:
        """Wait for the order's lane and hold it.

        Raises:
            RunNotFollowedError: other runs went on for too long, or nothing can be known of them.
        """
        lane = await self._take(order)
        try:
            yield lane
        finally:
            await finish(lane.close)

    async def _take(self, order: RunOrder) -> HeldLane:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        # A run that began just now, the time that ending it takes, and as much again.
        patience = self._timeout_seconds + 3 * self._grace_seconds
        looked = begun
        while True:
            lane = await self._try(order)
            if lane is not None:
                return lane
            now = loop.time()
            if now - begun >= patience:
                raise RunNotFollowedError(
                    f"the accounting CLI's run {order.name} has not had its turn in {patience:g} s: other"
                    " runs go on"
                )
            if now - looked >= _LOOK_SECONDS:
                looked = now
                await self._end_overdue(order)
            poll = min(max(_POLL_SECONDS, (now - begun) / 20), _LONGEST_POLL_SECONDS)
            # Not in step with others, so that no two keep meeting.
            await asyncio.sleep(poll * random.uniform(0.7, 1.3))  # noqa: S311 - no secret

    async def _try(self, order: RunOrder) -> HeldLane | None:
        take = partial(try_lane, self._directory, order.lane, order.lane_count)
        try:
            lane = await acquire(take, undo=_close)
            if lane is None:
                return None
            try:
                busy = await self._goes_on(order)
            except BaseException:
                lane.close()
                raise
        except OSError as error:
            raise RunNotFollowedError(
                f"the accounting CLI's run {order.name} cannot be followed: {reason(error)}"
            ) from error
        if busy:
            lane.close()
            await asyncio.sleep(_LOOK_SECONDS - _POLL_SECONDS)  # looking costs more than a lock does
            return None
        return lane

    async def _goes_on(self, order: RunOrder) -> bool:
        """Tell whether a run goes on although its locks are free: removed by hand, or not inherited."""
        mark = ProcessMark.parse(order.uid)
        if mark is not None and await finish(mark.members):
            return True
        for rival in await finish(self._records.rivals, order):
            if await finish(self._members, rival):
                return True
            engine = self._engine(rival)
            container = await engine.find() if engine else None
            if container is not None and not container.ended:
                return True
            if rival.file_name != order.file_name:
                await finish(rival.forget)  # whoever asks for it finds it by its record
        return False

    async def _end_overdue(self, order: RunOrder) -> None:
        """End every run past its limit that is in the order's way, as far as it can be found from here."""
        try:
            await self._end_process(ProcessMark.parse(order.uid), order.name, order.file_name, order.attempt)
            for rival in await finish(self._records.rivals, order):
                mark = await finish(self._mark, rival)
                record = rival.record
                await self._end_process(mark, record.run, rival.file_name, record.attempt)
                await self._end_container(rival)
        except (OSError, RunNotFollowedError) as error:
            _log.warning(log_events.OVERDUE_NOT_SOUGHT, extra=facts(reason=type(error).__name__))

    async def _end_process(self, mark: ProcessMark | None, run: str, file_name: str, attempt: int) -> None:
        if mark is None or not await finish(mark.members):
            return
        if mark.age_seconds > self._timeout_seconds:
            await self._say_overdue(run, file_name, attempt)
            await finish(mark.end, self._grace_seconds)

    async def _end_container(self, rival: Rival) -> None:
        engine = self._engine(rival)
        container = await engine.find() if engine else None
        if engine is None or container is None or container.ended:
            return
        if container.age_seconds > self._timeout_seconds:
            await self._say_overdue(rival.record.run, rival.file_name, rival.record.attempt)
            await engine.end(self._grace_seconds)

    async def _say_overdue(self, run: str, file_name: str, attempt: int) -> None:
        _log.warning(log_events.RUN_OVERDUE, extra=facts(run=run, seconds=self._timeout_seconds))
        await finish(self._records.mark_timed_out, file_name, attempt)

    def _engine(self, rival: Rival) -> Engine | None:
        return self._engine_of(rival.record.run, rival.file_name) if rival.record.run else None

    def _members(self, rival: Rival) -> list[int]:
        mark = self._mark(rival)
        return mark.members() if mark is not None else []

    def _mark(self, rival: Rival) -> ProcessMark | None:
        """Return the process of a run of this host; blocks."""
        record = rival.record
        if not record.host or record.host != this_host():
            return None
        # Its parent may have died between the start and writing down which process it is.
        return ProcessMark.parse(record.uid) or writer_of(Leftovers(self._directory, rival.file_name).stdout)


def _close(lane: HeldLane | None) -> None:
    if lane is not None:
        lane.close()
