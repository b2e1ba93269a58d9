"""The last day in half hours, counted again and again at little cost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from globeco_allocation.ports.activity import Activity, Delivered, Stretches

WIDTH: Final = timedelta(minutes=30)
"""The length of one stretch of the chart."""

_SHOWN: Final = timedelta(days=1)
_SETTLED: Final = timedelta(minutes=1)  # longer than any transaction that keeps executions
MOST_EXECUTIONS: Final = 250_000
"""So many executions are counted by one question, from the newest on; the next look goes on from there."""

_RUNS_AT_ONCE: Final = 2  # what is new, and what an earlier look did not get to
_MOST_FILES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Day:
    """What happened in each half hour of the last day.

    Attributes:
        stretches: The half hours; the last one is under way.
        ready: Executions that became ready, by a half hour's beginning; those not counted yet are left out.
        delivered: What became of files; a half hour without any is left out.
    """

    stretches: Stretches
    ready: Mapping[datetime, int]
    delivered: Mapping[datetime, Delivered]


class DayChart:
    """Counts the last day; what is over is counted once, and remembered.

    Args:
        activity: Counts.
        most: Of executions, in one question; a look asks two at most.
    """

    def __init__(self, activity: Activity, most: int = MOST_EXECUTIONS) -> None:
        self._activity = activity
        self._most = most
        self._final: dict[datetime, int] = {}

    async def look(self, now: datetime) -> Day:
        """Count what is not known yet.

        Raises:
            StoreUnavailableError: the database is away.
        """
        stretches = _day_before(now)
        starts = stretches.starts()
        self._final = {start: self._final[start] for start in starts if start in self._final}
        ready = await self._ready(stretches)
        self._final |= {start: n for start, n in ready.items() if start + WIDTH + _SETTLED <= now}
        delivered = await self._activity.delivered(stretches, most=_MOST_FILES)
        return Day(stretches, ready, delivered)

    async def _ready(self, stretches: Stretches) -> dict[datetime, int]:
        ready = dict(self._final)
        runs = _runs(start for start in stretches.starts() if start not in ready)
        for run in runs[:_RUNS_AT_ONCE]:
            counts = await self._activity.became_ready(run, most=self._most)
            starts = run.starts()
            are_all = sum(counts.values()) < self._most
            if not are_all:  # the oldest that was looked at may hold more; where it is the only one, so be it
                oldest = min(counts)
                starts = [start for start in starts if start > oldest] or [oldest]
            ready |= {start: counts.get(start, 0) for start in starts}
            if not are_all:
                break
        return ready


def _day_before(now: datetime) -> Stretches:
    """Return the half hours of the last day, with the one that is under way."""
    until = Stretches(now, now, WIDTH).start_of(now) + WIDTH
    return Stretches(until - _SHOWN - WIDTH, until, WIDTH)


def _runs(starts: Iterable[datetime]) -> list[Stretches]:
    """Put half hours that follow one another together, the newest first."""
    runs: list[Stretches] = []
    for start in sorted(starts, reverse=True):
        if runs and runs[-1].since == start + WIDTH:
            runs[-1] = Stretches(start, runs[-1].until, WIDTH)
        else:
            runs.append(Stretches(start, start + WIDTH, WIDTH))
    return runs
