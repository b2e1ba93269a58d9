"""Places for so many calls at once, and the queue of those who wait for one."""

import asyncio
from collections import deque
from contextlib import AbstractAsyncContextManager
from types import TracebackType

_STEPS = 20


class Places(AbstractAsyncContextManager[float]):
    """As an asynchronous context it takes a place, and gives it back at the end; first come, first served.

    Entering it tells for how many seconds the place was waited for. Waiting is limited, in time in which the
    event loop runs: it goes by in steps, each begun when the one before is over, so that a pause of the
    process is one step, however long it lasts. All who wait share one timer, for there may be thousands.

    Args:
        count: How many there are.
        patience_seconds: How long one waits.

    Raises:
        TimeoutError: entering it took too long.
    """

    def __init__(self, count: int, patience_seconds: float) -> None:
        self._free = count
        self._patience = _STEPS
        self._step_seconds = patience_seconds / _STEPS
        self._steps = 0  # in which somebody has waited
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def crowded(self) -> bool:
        """Whether the next one has to wait."""
        return self._free == 0

    async def __aenter__(self) -> float:
        """Take a place."""
        if self._free:
            self._free -= 1
            return 0.0
        given = asyncio.get_running_loop().create_future()
        since = self._steps
        self._waiting.append((since, given))
        if self._timer is None:
            self._begin_step()
        try:
            await given
        except asyncio.CancelledError:
            if given.done() and not given.cancelled() and given.exception() is None:
                self._give_back()
            raise
        return (self._steps - since) * self._step_seconds

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the place back, to whoever has waited longest."""
        self._give_back()

    def _give_back(self) -> None:
        while self._waiting:
            _, given = self._waiting.popleft()
            if not given.done():
                given.set_result(None)
                return
        self._free += 1

    def _begin_step(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._step_seconds, self._end_step)

    def _end_step(self) -> None:
        self._steps += 1
        while self._waiting and self._waiting[0][0] + self._patience <= self._steps:
            _, given = self._waiting.popleft()
            if not given.done():
                given.set_exception(TimeoutError())
        self._timer = None
        if self._waiting:
            self._begin_step()
