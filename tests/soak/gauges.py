"""What each replica takes while it runs, and whether that stays as it is."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

WARM_UP = 0.2
"""This part of a replica's time does not count: caches fill, and so does the pool."""

MOST_MIB = 100.0
"""What the chart gives a pod."""

MOST_GROWTH_MIB = 4.0
"""By how much the median of the last quarter may be above that of the first one, each after the warm-up."""

MOST_GROWTH_FILES = 8
"""The same for open files: callers come and go."""

LEAST_SAMPLES = 60
"""Whether a replica that was looked at less often, once a second, has grown is not judged."""

_MIB = 1024 * 1024


@dataclass(slots=True)
class Gauge:
    """One replica's process.

    Attributes:
        name: What the report calls it.
        pid: Its process.
        at: When it was looked at.
        mib: Its resident memory then.
        files: How many files it had open.
    """

    name: str
    pid: int
    at: list[float] = field(default_factory=list[float])
    mib: list[float] = field(default_factory=list[float])
    files: list[int] = field(default_factory=list[int])

    def look(self) -> None:
        """Take a sample, unless the process is no more."""
        try:
            process = psutil.Process(self.pid)
            mib, files = process.memory_info().rss / _MIB, process.num_fds()
        except psutil.Error:
            return
        if not mib:  # it has been killed, and is not reaped yet
            return
        self.at.append(time.time())
        self.mib.append(mib)
        self.files.append(files)

    @property
    def growth_mib(self) -> float:
        """By how much its memory grew after the warm-up."""
        return _growth(self.mib)

    @property
    def growth_files(self) -> float:
        """By how many its open files grew after the warm-up."""
        return _growth(self.files)

    def faults(self) -> list[str]:
        """Say what is not as it should be."""
        found: list[str] = []
        if max(self.mib, default=0) > MOST_MIB:
            found.append(f"{self.name} took {max(self.mib):.0f} MiB, more than {MOST_MIB:.0f}")
        if len(self.mib) < LEAST_SAMPLES:
            return found
        if self.growth_mib > MOST_GROWTH_MIB:
            found.append(f"{self.name} grew by {self.growth_mib:.1f} MiB, more than {MOST_GROWTH_MIB:g}")
        if self.growth_files > MOST_GROWTH_FILES:
            found.append(f"{self.name} keeps {self.growth_files:.0f} files more open than before")
        return found


def _growth(samples: Sequence[float]) -> float:
    warm = samples[int(len(samples) * WARM_UP) :]
    quarter = max(len(warm) // 4, 1)
    return statistics.median(warm[-quarter:]) - statistics.median(warm[:quarter]) if warm else 0.0
