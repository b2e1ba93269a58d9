"""A time limit that a pause of our own process does not use up."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

_STEPS = 20


@asynccontextmanager
async def running_time_limit(seconds: float) -> AsyncGenerator[None]:
    """Limit the block to *seconds* in which the event loop runs.

    The time goes by in steps, each begun when the one before is over: a pause of the process, or of the
    machine it runs on, is one step, however long it lasts.

    Raises:
        TimeoutError: the time is over; the block was cancelled.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:

        def begin_step(left: int) -> asyncio.TimerHandle:
            return loop.call_later(seconds / _STEPS, end_step, left)

        def end_step(left: int) -> None:
            nonlocal step
            if left > 0:
                step = begin_step(left - 1)
            else:
                limit.reschedule(loop.time())

        step = begin_step(_STEPS - 1)
        try:
            yield
        finally:
            step.cancel()
