"""Make the cause of each alert happen, and wait until a real Prometheus says that it fires, and is over.

``python -m tests.alarms``: four minutes or so, seven at most.
"""

import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.alarms.causes import CAUSES, KILLED, Cause
from tests.alarms.making import Undo
from tests.alarms.prometheus import FACTOR, Prometheus, prometheus
from tests.alarms.stage import Place, free_port

from globeco_allocation.entrypoints.embedded_database import embedded_database

MOST_SECONDS = 420.0

_begun = time.monotonic()


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"{time.monotonic() - _begun:6.0f} s  {text}", flush=True)


class Watch:
    """One cause on its way: made, seen by all its alerts, undone, and over."""

    def __init__(self, cause: Cause, undo: Undo) -> None:
        self.cause = cause
        self._undo = undo
        self._unseen = set(cause.alerts)
        self._is_undone = False
        self.is_over = False

    @property
    def missing(self) -> str:
        """What has not been seen yet."""
        if self._unseen:
            return f"{', '.join(sorted(self._unseen))} did not fire"
        return f"{', '.join(self.cause.alerts)} did not end"

    def look(self, firing: set[tuple[str, str]]) -> None:
        """Take the next step, if it is time for it."""
        mine = {name for name, namespace in firing if namespace == self.cause.place}
        for name in sorted(self._unseen & mine):
            say(f"{name} fires: {self.cause.what}")
        self._unseen -= mine
        if not self._unseen and not self._is_undone:
            self._is_undone = True
            self._undo()
        elif self._is_undone and not self.is_over and mine.isdisjoint(self.cause.alerts):
            self.is_over = True
            say(f"{', '.join(self.cause.alerts)} over: undone")


def play(directory: Path, stack: ExitStack) -> list[str]:
    """Make every cause; return what was not as it should be."""
    faults: list[str] = []
    server = stack.enter_context(embedded_database(directory / "db"))
    places = {cause.place: Place(cause.place, directory, server, stack) for cause in CAUSES}
    for cause in CAUSES:
        cause.prepare(places[cause.place], stack)
        places[cause.place].start()
    causes = list(CAUSES)
    if not places["memory"].command:
        causes = [one for one in causes if one.place != "memory"]
        say("AllocationMemoryNearLimit: not made, for no control group can be made here")
    say(f"{len(places)} services run; {FACTOR} times as fast as in the rules")
    watched = {name: place.port for name, place in places.items()}
    seen = stack.enter_context(prometheus(directory / "prometheus", free_port(), watched))
    watches = [Watch(cause, cause.make(places[cause.place])) for cause in causes]
    say("all causes are made")
    while time.monotonic() - _begun < MOST_SECONDS and not all(one.is_over for one in watches):
        firing = seen.firing()
        for one in watches:
            one.look(firing)
        time.sleep(1)
    faults += [f"{one.cause.place}: {one.missing}" for one in watches if not one.is_over]
    faults += kill_all(list(places.values()), seen)
    return faults


def kill_all(places: list[Place], seen: Prometheus) -> list[str]:
    """Kill one replica, then all; start one again."""
    down, absent = KILLED
    last = places[0]
    wanted = [
        (places[1].end, (down, places[1].name), True, "one replica is killed"),
        (lambda: [one.end() for one in places], (absent, ""), True, "all are killed"),
        (last.start, (absent, ""), False, "one is started again"),
        (lambda: None, (down, last.name), False, "it answers"),
    ]
    faults: list[str] = []
    for step, alert, fires, what in wanted:
        step()
        until = time.monotonic() + 60
        while (alert in seen.firing()) is not fires and time.monotonic() < until:
            time.sleep(1)
        if (alert in seen.firing()) is fires:
            say(f"{alert[0]} {'fires' if fires else 'over'}: {what}")
        else:
            faults.append(f"{alert[0]} {'did not fire' if fires else 'did not end'}: {what}")
    last.end()
    return faults


def main() -> int:
    """Play it; return the exit code."""
    if shutil.which("prometheus") is None:
        print("prometheus is not installed (Debian, Ubuntu: apt install prometheus)", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="alarms-") as made, ExitStack() as stack:
        faults = play(Path(made), stack)
    for fault in faults:
        print(f"FAULT  {fault}", flush=True)
    say(
        "every alert fired when its cause was made, and ended with it"
        if not faults
        else "not as it should be"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
