"""What the process, or all processes of a service with several workers, takes of the machine.

The names are those that Prometheus' client libraries have in common (``process_...``).
"""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, Metric, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from globeco_allocation import __version__
from globeco_allocation.entrypoints.metrics.state import PREFIX

_CGROUPS = Path("/sys/fs/cgroup")
_NO_LIMIT_FROM = 2**60  # version 1's word for "none" is a number near 2**63

Pids = Callable[[], Sequence[int]]


def show_process(registry: CollectorRegistry) -> None:
    """Show what this process takes, in a registry that is asked for each scrape."""
    ProcessCollector(registry=registry)


def show_build(registry: CollectorRegistry) -> None:
    """Show which version this is, and how much memory it may take."""
    build = Gauge(
        f"{PREFIX}_build_info",
        "1, labelled with the version.",
        ("version",),
        registry=registry,
        multiprocess_mode="max",
    )
    build.labels(__version__).set(1)
    limit = Gauge(
        f"{PREFIX}_memory_limit_bytes",
        "Memory that the control group, such as a container, allows the process; 0: no limit.",
        registry=registry,
        multiprocess_mode="mostrecent",
    )
    limit.set(memory_limit())


def memory_limit(groups: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return the bytes that the control group of this process allows it; 0 where nothing limits it."""
    for file in _limit_files(groups, own):
        try:
            text = file.read_text("ascii").strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < _NO_LIMIT_FROM:
            return int(text)
    return 0


def _limit_files(groups: Path, own: Path) -> Iterable[Path]:
    """Yield where a limit may stand: the process's own group first, then the root that a container sees."""
    try:
        lines = own.read_text("ascii").splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            yield groups / group.lstrip("/") / "memory.max"
        elif "memory" in controllers.split(","):
            yield groups / "memory" / group.lstrip("/") / "memory.limit_in_bytes"
    yield groups / "memory.max"
    yield groups / "memory" / "memory.limit_in_bytes"


class AllProcesses(Collector):
    """Shows the sum over a parent and its workers, as far as they live, under the standard names.

    Memory that processes share is counted for each of them. The time that workers took which have ended is
    the parent's: so the sum never falls.

    Args:
        pids: The parent's process id first, then its workers'.
    """

    def __init__(self, pids: Pids) -> None:
        self._pids = pids

    def collect(self) -> Iterable[Metric]:
        """Ask the system about each process."""
        parent, *workers = self._pids()
        found = [one for one in map(_Process.read, (parent, *workers)) if one is not None]
        yield CounterMetricFamily(
            "process_cpu_seconds",
            "Total user and system CPU time spent in seconds.",
            value=sum(one.seconds + (one.seconds_of_ended if one.pid == parent else 0.0) for one in found),
        )
        yield GaugeMetricFamily(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            value=sum(one.resident for one in found),
        )
        yield GaugeMetricFamily(
            "process_open_fds",
            "Number of open file descriptors.",
            value=sum(one.open_files for one in found),
        )


class _Process:
    """What the system says of one process now."""

    def __init__(self, pid: int, fields: Sequence[str], open_files: int) -> None:
        tick = os.sysconf("SC_CLK_TCK")
        self.pid = pid
        self.seconds = (int(fields[11]) + int(fields[12])) / tick
        self.seconds_of_ended = (int(fields[13]) + int(fields[14])) / tick
        self.resident = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        self.open_files = open_files

    @classmethod
    def read(cls, pid: int) -> "_Process | None":
        folder = Path("/proc") / str(pid)
        try:
            # The name, in brackets, may hold anything; the fields are counted from behind it (proc(5)).
            fields = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            return cls(pid, fields, sum(1 for _ in (folder / "fd").iterdir()))
        except OSError:  # it has just ended
            return None


def service_pids() -> Sequence[int]:
    """Return the ids of a worker's parent and of all its workers; to be called in a worker."""
    parent = os.getppid()
    try:
        children = (Path("/proc") / str(parent) / "task" / str(parent) / "children").read_text("ascii")
    except OSError:  # a kernel that does not tell, or the parent has died
        return (parent, os.getpid())
    return (parent, *map(int, children.split()))
