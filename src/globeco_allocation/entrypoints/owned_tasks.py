"""Work that goes on when its caller has gone, with an owner who ends it."""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog

from globeco_allocation.entrypoints import logs

T = TypeVar("T")

_log: Any = structlog.get_logger()


class OwnedTasks(AbstractAsyncContextManager["OwnedTasks"]):
    """Tasks that outlive their callers, not the service.

    Args:
        grace_seconds: How long leaving the context waits for tasks under way before it cancels them.
    """

    def __init__(self, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """Return the number of tasks under way."""
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start *work*; whoever awaits the task must shield it, or cancels it when cancelled itself."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Do *work* to its end, even when the caller is cancelled meanwhile; return or raise what it does.

        What it raises after the caller was cancelled is logged.
        """
        task = self.start(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_failure)
            raise

    async def finish_within(self, seconds: float, work: Coroutine[Any, Any, T]) -> T:
        """Do *work* to its end, also when it takes longer or the caller is cancelled; see `finish`.

        Raises:
            TimeoutError: it has not ended in time, and goes on; or the owner has ended it.
        """
        task = self.start(work)
        try:
            await asyncio.wait((task,), timeout=max(seconds, 0))
        finally:
            if not task.done():
                task.add_done_callback(_log_failure)
        if not task.done() or task.cancelled():
            raise TimeoutError
        return task.result()

    async def __aenter__(self) -> Self:
        """Do nothing: tasks are started one by one."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the tasks under way; cancel those that are not done in time, and wait for their end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._grace_seconds)
        left = tuple(self._tasks)
        for task in left:
            task.cancel()
        if left:
            await asyncio.gather(*left, return_exceptions=True)

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen here, so that asyncio does not complain when no caller waits any more


def _log_failure(task: "asyncio.Task[Any]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error(logs.WORK_FAILED, exc_info=error)
