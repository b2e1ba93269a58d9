"""How long the Kubernetes API is waited for, and how often it is asked again."""

import asyncio
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """The bounds of every wait, in seconds.

    Attributes:
        call: For one answer.
        outage: For the API to give a usable answer at all, before whoever asked is told that there is none.
        watch: For one watch; then the Job is read again, whatever the watch said.
        margin: What a Job may take beyond its time limit and grace period, for the cluster's own work: until
            it is finished, and until a deleted one's process is gone.
        shortest_pause: Before the first repetition; each further pause is twice as long.
        longest_pause: Between two repetitions.
    """

    call: float = 10.0
    outage: float = 60.0
    watch: float = 60.0
    margin: float = 30.0
    shortest_pause: float = 0.1
    longest_pause: float = 5.0


class Pauses:
    """The growing pauses between the repetitions of one call, until its time is over."""

    def __init__(self, patience: Patience, within: float) -> None:
        self._patience = patience
        self._end = asyncio.get_running_loop().time() + within
        self._next = patience.shortest_pause

    def restart(self) -> None:
        """Begin with the shortest pause again."""
        self._next = self._patience.shortest_pause

    async def pause(self, at_least: float = 0.0) -> bool:
        """Wait for a pause's time; at once False when the time does not allow for it."""
        pause = max(self._next * random.uniform(0.5, 1.0), at_least)  # noqa: S311 - no secret
        if asyncio.get_running_loop().time() + pause > self._end:
            return False
        self._next = min(2 * self._next, self._patience.longest_pause)
        await asyncio.sleep(pause)
        return True
