"""Processes of this machine that are not our children: how one is told from every other, found and ended.

A process id alone comes to mean another process some day. With the moment of its start, the process-id
namespace and the life of the machine it means one for ever. Where the system does not tell these (there is no
``/proc``), nothing is ever found.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_KIND = "process"
_AFTER_KILL_SECONDS = 5.0
_POLL_SECONDS = 0.05


class _Stat(NamedTuple):
    state: str
    group: int
    ticks: int

    @property
    def lives(self) -> bool:
        return self.state not in "ZX"  # the dead that nobody has reaped yet hold nothing


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """By what the leader of a process group can be found again.

    Attributes:
        host: See `this_host`.
        pid: Its id, and its group's.
        ticks: When it started, in clock ticks of its machine's life.
    """

    host: str
    pid: int
    ticks: int

    @property
    def uid(self) -> str:
        """The mark as a text that `parse` reads.

        >>> ProcessMark("5f1c.4026531836", 4711, 99).uid
        'process:5f1c.4026531836:4711:99'
        """
        return f"{_KIND}:{self.host}:{self.pid}:{self.ticks}"

    @classmethod
    def parse(cls, uid: str) -> "ProcessMark | None":
        """Read a text; None for anything else than a mark."""
        match uid.split(":"):
            case [kind, host, pid, ticks] if kind == _KIND and pid.isdecimal() and ticks.isdecimal():
                return cls(host, int(pid), int(ticks))
            case _:
                return None

    @classmethod
    def of(cls, pid: int) -> "ProcessMark":
        """Return the mark of a process that is our child, be it dead already."""
        stat = _stat(pid)
        return cls(this_host(), pid, stat.ticks if stat else 0)

    @property
    def age_seconds(self) -> float:
        """How long ago it started, counted through the machine's sleep and unmoved by its clock's steps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.ticks / os.sysconf("SC_CLK_TCK")

    def members(self) -> list[int]:
        """Return the living processes of the group; none where the mark is of another host."""
        if not self.host or self.host != this_host():
            return []
        leader = _stat(self.pid)
        if leader is not None and leader.ticks != self.ticks:
            return []  # the id has come to mean another process: the group is gone
        return [
            pid
            for pid, stat in _all_stats()
            if stat.group == self.pid and stat.lives and stat.ticks >= self.ticks
        ]

    def end(self, grace_seconds: float) -> None:
        """Ask the whole group to end, and end it by force after a grace; blocks."""
        self._signal(signal.SIGTERM)
        self._wait(grace_seconds)
        self._signal(signal.SIGKILL)
        self._wait(_AFTER_KILL_SECONDS)

    def _signal(self, number: signal.Signals) -> None:
        if self.members():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.members() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


def this_host() -> str:
    """Return what tells this life of this machine, and this process-id namespace, from all others.

    Returns:
        Empty where the system does not tell.
    """
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = (_PROC / "self/ns/pid").stat().st_ino
    except OSError:
        return ""
    return f"{boot}.{namespace}"


def writer_of(output: Path) -> ProcessMark | None:
    """Find the leader of the group of processes whose standard output is this file."""
    try:
        wanted = output.stat()
    except OSError:
        return None
    for pid, stat in _all_stats():
        with suppress(OSError):  # gone meanwhile, or another user's
            if stat.lives and os.path.samestat((_PROC / f"{pid}/fd/1").stat(), wanted):
                leader = _stat(stat.group)
                return ProcessMark(this_host(), stat.group, (leader or stat).ticks)
    return None


def _all_stats() -> Iterator[tuple[int, _Stat]]:
    try:
        names = os.listdir(_PROC)  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return
    for name in names:
        if name.isdecimal() and (stat := _stat(int(name))) is not None:
            yield int(name), stat


def _stat(pid: int) -> _Stat | None:
    try:
        text = (_PROC / f"{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before may hold anything
    return _Stat(state=fields[0], group=int(fields[2]), ticks=int(fields[19]))
