"""Blocking work in a worker thread, whose end is awaited even when its caller is cancelled."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def finish(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking function in a worker thread and wait for its end.

    A thread cannot be interrupted. So when the caller is cancelled, the thread ends first and the
    cancellation goes on after that: what the function works on can then be closed without a race.

    Raises:
        CancelledError: the caller was cancelled; the function has ended, and its result or error is gone.
    """
    return await _finish(partial(function, *args, **kwargs), undo=None)


async def acquire(function: Callable[[], T], *, undo: Callable[[T], object]) -> T:
    """Do as `finish` for a function that opens something; when cancelled, *undo* closes it again."""
    return await _finish(function, undo=undo)


async def _finish(function: Callable[[], T], undo: Callable[[T], object] | None) -> T:
    # The future, unlike a task, is not cancelled when an event loop ends by cancelling all its tasks.
    future = asyncio.get_running_loop().run_in_executor(None, function)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return future.result()
    if future.exception() is None and undo is not None:
        undo(future.result())
    raise cancelled
