"""Metrics that several workers count together: prometheus-client's multiprocess mode, in a directory of ours.

A worker's files are known by its number, not by its process id. So the next process under that number goes on
from its counts, and the directory does not grow with each one that dies.
"""

import os
import tempfile
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from prometheus_client import Metric, values
from prometheus_client.multiprocess import (
    MultiProcessCollector,
    mark_process_dead,  # pyright: ignore[reportUnknownVariableType]
)
from prometheus_client.registry import Collector

from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.metrics.process import AllProcesses, service_pids

PREFIX = "globeco-allocation-metrics-"
"""How the directory's name begins."""

PLACES = ("/tmp", "/dev/shm")  # noqa: S108 (the directory made in one of them is ours alone)
"""Where the directory is made, after ``TMPDIR``: the first that takes it. The last one is memory."""


class NoMetricsDirectoryError(Exception):
    """Workers have no place to count together; the message says what to do."""


@contextmanager
def metrics_directory(places: Iterable[str] = PLACES) -> Generator[Path]:
    """Make the directory that workers count in, and remove it at the end.

    Raises:
        NoMetricsDirectoryError: it can be made nowhere.
    """
    with _made_in([os.environ.get("TMPDIR", ""), *places]) as directory:
        yield Path(directory)


def shared_metrics(directory: Path, worker: int) -> Metrics:
    """Make a worker's metrics; what they show is the sum over all workers."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)  # each value looks there when it is made
    values.ValueClass = values.MultiProcessValue(lambda: worker)  # pyright: ignore[reportUnknownMemberType]
    return Metrics(shown=_OverAllWorkers(directory))


def forget_dead_worker(directory: Path, worker: int) -> None:
    """Leave out of the gauges what only a live worker has; its counts stay."""
    mark_process_dead(worker, str(directory))


class _OverAllWorkers(Collector):
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        # A file that a worker is just making is empty for an instant, and could not be read.
        files = [str(path) for path in self._directory.glob("*.db") if _size(path)]
        merge: Callable[[list[str]], Iterable[Metric]] = cast("Any", MultiProcessCollector).merge
        yield from merge(files)
        yield from AllProcesses(service_pids).collect()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # of a worker that has just died
        return 0


def _made_in(places: Iterable[str]) -> "tempfile.TemporaryDirectory[str]":
    for place in filter(None, places):
        with suppress(OSError):
            return tempfile.TemporaryDirectory(prefix=PREFIX, dir=place, ignore_cleanup_errors=True)
    raise NoMetricsDirectoryError(
        "several workers count their metrics in a temporary directory, and none can be made: mount a "
        "writable /tmp, or set WORKERS=1, or METRICS_ENABLED=false"
    )
