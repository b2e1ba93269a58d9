"""Which errors the logs may hold, in which outage, and why; everything else is a fault of the service."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tests.soak.windows import Windows

from globeco_allocation.entrypoints import logs

CLI, DATABASE, REPLICA = "cli", "database", "replica"
"""What is broken on purpose: the CLI all the time, the others in their outages."""

ALLOWED: Mapping[str, tuple[tuple[str, ...], str]] = {
    logs.DELIVERY_ENDED: ((CLI,), "all three attempts of a delivery fell on a CLI that fails"),
    logs.DISPATCH_HELD_UP: ((DATABASE,), "there is no database to look for work in"),
    logs.PENDING_HELD_UP: ((DATABASE,), "there is no database to look for work in"),
    logs.REQUEST_FAILED: ((DATABASE,), "a request was in the middle of a statement"),
    logs.WORK_FAILED: ((DATABASE,), "a request was in the middle of a statement"),
    logs.STEP_FAILED: ((DATABASE,), "a step was in the middle of a statement"),
}
"""By the line's event: what has to be broken meanwhile, and why it is no fault then."""

_GRAVE = frozenset({"error", "critical"})


def judge(lines: Iterable[Mapping[str, Any]], windows: Windows) -> tuple[Counter[str], list[str]]:
    """Return how often each grave event was logged, and those that nothing was broken for."""
    counts: Counter[str] = Counter()
    faults: list[str] = []
    for line in lines:
        if line.get("level") not in _GRAVE:
            continue
        event = str(line.get("message"))
        counts[event] += 1
        causes, _ = ALLOWED.get(event, ((), ""))
        at = datetime.fromisoformat(str(line["timestamp"])).timestamp()
        if CLI not in causes and not any(windows.hold(at, at, cause) for cause in causes):
            faults.append(
                f"logged at {line['timestamp']}: {event} ({line.get('reason') or line.get('exception')})"
            )
    return counts, faults
