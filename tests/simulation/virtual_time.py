"""An event loop on which waiting takes no time, and every history can be repeated exactly."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

_BEGIN = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


class DeadlockError(Exception):
    """Everybody waits for somebody else, and no timer is set."""


class NumberedTask(asyncio.Task[T]):
    """A task that sets keep in the same order in every process, not by its address."""

    _numbers = itertools.count()

    def __init__(self, *args: Any, **named: Any) -> None:  # noqa: ANN401 - asyncio's own
        self._number = next(self._numbers)
        super().__init__(*args, **named)

    def __hash__(self) -> int:
        return self._number


class _Jump:
    """A selector that moves the loop's time to its next timer instead of waiting for it."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise DeadlockError
        self._loop.seconds += timeout
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Jumps from timer to timer; what would run in a thread runs at once.

    Attributes:
        seconds: The loop's time, from 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self._selector = _Jump(self)
        self._clock_resolution = 1e-9
        NumberedTask._numbers = itertools.count(1)  # pyright: ignore[reportPrivateUsage]
        self.set_task_factory(_numbered)

    def time(self) -> float:
        return self.seconds

    def run_in_executor(  # type: ignore[override]
        self,
        executor: Executor | None,  # noqa: ARG002
        func: Callable[..., T],
        *args: Any,  # noqa: ANN401 - asyncio's own
    ) -> "asyncio.Future[T]":
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is the caller's
            done.set_exception(error)
        return done

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody wakes it from outside."""


class VirtualClock:
    """The database's clock, see `globeco_allocation.ports.clock.Clock`; it may be set while time goes on."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        return _BEGIN + timedelta(seconds=self._loop.seconds) + self._ahead

    def step(self, by: timedelta) -> None:
        """Set it forward, or backward by a negative step."""
        self._ahead += by


OWNER: ContextVar["Owner | None"] = ContextVar("OWNER", default=None)
"""Whose task it is: set in the context from which others are started."""


class Owner:
    """Whoever starts tasks, and takes them along when it dies.

    Attributes:
        loop: On which they run.
        tasks: All that it has started and that are not done, in their order.
    """

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.tasks: dict[asyncio.Task[Any], None] = {}

    def forget(self, task: "asyncio.Task[Any]") -> None:
        """Forget a task that is done."""
        self.tasks.pop(task, None)

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start a task of this owner; so are all that are started by it."""
        token = OWNER.set(self)
        try:
            return self.loop.create_task(work)
        finally:
            OWNER.reset(token)


def _numbered(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    **named: Any,  # noqa: ANN401 - asyncio's own
) -> asyncio.Task[Any]:
    task: NumberedTask[Any] = NumberedTask(coro, loop=loop, **named)
    owner = OWNER.get()
    # A run is a process of its own: it outlives whoever started it.
    if owner is not None and getattr(coro, "__name__", "") != "_live":
        owner.tasks[task] = None
        task.add_done_callback(owner.forget)
    return task
