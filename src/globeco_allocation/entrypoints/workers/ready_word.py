"""One worker's word to the others that the database is ready, so that one alone migrates it."""

import asyncio
import mmap
from functools import partial

from globeco_allocation.entrypoints.database_start import DatabaseSteps, Step

_POLL_SECONDS = 0.05


class ReadyWord:
    """A byte of memory that processes share when they are forked after it was made."""

    def __init__(self) -> None:
        self._said = mmap.mmap(-1, 1)

    def steps_of(self, worker: int, steps: DatabaseSteps) -> DatabaseSteps:
        """Return what a worker does of the *steps*.

        Worker 1 does them, and says so. The others wait for that word, as does whoever is started after it.
        """
        if worker != 1 or self._said[0]:
            return DatabaseSteps(self._heard, None if steps.migrate is None else _nothing)
        if steps.migrate is None:
            return DatabaseSteps(partial(self._say_after, steps.knock), None)
        return DatabaseSteps(steps.knock, partial(self._say_after, steps.migrate))

    async def _say_after(self, step: Step) -> None:
        await step()
        self._said[0] = 1

    async def _heard(self) -> None:
        while not self._said[0]:  # noqa: ASYNC110 (it is said in another process)
            await asyncio.sleep(_POLL_SECONDS)


async def _nothing() -> None:
    pass
