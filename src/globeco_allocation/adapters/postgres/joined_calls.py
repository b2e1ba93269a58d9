"""Calls that come while others are under way go to the database together, in one round trip."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from globeco_allocation.adapters.postgres.watching import Watch, WatchedStatement
from globeco_allocation.domain.errors import StoreUnavailableError

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

_HELD_SECONDS = 0.05


@dataclass(slots=True)
class _Waiting(Generic[T, R]):
    """A call that waits for its answer; its caller may be gone."""

    items: Sequence[T]
    answer: "asyncio.Future[R]"
    alone: bool = False
    watched: WatchedStatement | None = None

    def succeed(self, answer: R) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class JoinedCalls(Generic[S, T, R]):
    """Makes one call of several, as a commit serves a group: nobody waits for company.

    A call that finds fewer than *at_once* under way goes at once, with those that came at the same time. What
    comes meanwhile goes together as soon as one of these is over, in the order in which it came. Each gets
    the answer to all of them, and takes its own part of it.

    A caller who is cancelled leaves its call with the others; it is carried out. When a joined call fails for
    a reason of its content, each of its calls is made alone, so that none spoils another.

    Args:
        opened: Opens what calls are made with, such as a connection. It is used for several calls in a row,
            but given back within a twentieth of a second: there may be fewer than are wanted. It is not used
            again after an error.
        call: Answers for any number of items.
        most_items: A joined call has no more, unless one call alone does.
        at_once: Calls under way at most.
        key: Items of one key never go together, for *call* takes each once; None where they may.
        sql: The statement that *call* makes, for *watch*.
        watch: Watches each caller's own wait and answer, for the round trip is no single one's.
    """

    def __init__(
        self,
        opened: Callable[[], AbstractAsyncContextManager[S]],
        call: Callable[[S, Sequence[T]], Awaitable[R]],
        *,
        most_items: int,
        at_once: int,
        key: Callable[[T], Hashable] | None = None,
        sql: str = "",
        watch: Watch | None = None,
    ) -> None:
        self._opened = opened
        self._call = call
        self._most_items = most_items
        self._free = at_once
        self._key = key
        self._sql = sql
        self._watch = watch
        self._waiting: deque[_Waiting[T, R]] = deque()
        # Held here, for the event loop holds no task. Each is bounded by the database's time limits, and its
        # connection by the pool's end.
        self._under_way: set[asyncio.Task[None]] = set()

    def __call__(self, items: Sequence[T]) -> Coroutine[Any, Any, R]:
        """Call with *items*, and perhaps others; return or raise what came of it."""
        return self._joined(items) if self._watch is None else self._watched(self._watch, items)

    async def _watched(self, watch: Watch, items: Sequence[T]) -> R:
        with watch(self._sql) as watched:
            return await self._joined(items, watched)

    async def _joined(self, items: Sequence[T], watched: WatchedStatement | None = None) -> R:
        loop = asyncio.get_running_loop()
        waiting: _Waiting[T, R] = _Waiting(items, loop.create_future(), watched=watched)
        self._waiting.append(waiting)
        if self._free:
            self._free -= 1
            task = loop.create_task(self._work_off())  # which begins after those that came at the same time
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return await waiting.answer

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                await self._make_some()
        finally:
            self._free += 1

    async def _make_some(self) -> None:
        """Make joined calls one after another with what is opened once, for a moment."""
        loop = asyncio.get_running_loop()
        over = loop.time() + _HELD_SECONDS
        try:
            async with self._opened() as session:
                while self._waiting and loop.time() < over and await self._make(session, self._next()):
                    pass
        except StoreUnavailableError as error:  # it could not be opened
            _fail(self._next(), error)
        except Exception as error:  # noqa: BLE001 - a fault of ours: whoever waits longest is told, others try again
            if self._waiting:
                self._waiting.popleft().fail(error)

    async def _make(self, session: S, joined: Sequence[_Waiting[T, R]]) -> bool:
        """Make a joined call; tell whether the session may be used again."""
        if self._watch is not None:
            _tell_that_it_goes(joined)
        try:
            answer = await self._call(session, [item for one in joined for item in one.items])
        except StoreUnavailableError as error:
            _fail(joined, error)
            return False
        except Exception as error:  # noqa: BLE001 - it is the callers'
            if len(joined) == 1:
                joined[0].fail(error)
            else:
                self._put_back(joined)
            return False
        except asyncio.CancelledError:
            for one in joined:
                one.answer.cancel()
            raise
        for one in joined:
            one.succeed(answer)
        return True

    def _next(self) -> list[_Waiting[T, R]]:
        """Take as many calls as may go together, the longest waiting first."""
        if not self._waiting:
            return []
        joined = [self._waiting.popleft()]
        size = len(joined[0].items)
        keys = self._keys(joined[0])
        while self._waiting and not joined[0].alone and not self._waiting[0].alone:
            size += len(self._waiting[0].items)
            more = self._keys(self._waiting[0])
            if size > self._most_items or not keys.isdisjoint(more):
                break
            keys |= more
            joined.append(self._waiting.popleft())
        return joined

    def _put_back(self, joined: Sequence[_Waiting[T, R]]) -> None:
        """Let each of these be made alone, before all others."""
        for one in reversed(joined):
            one.alone = True
            self._waiting.appendleft(one)

    def _keys(self, call: _Waiting[T, R]) -> set[Hashable]:
        return set() if self._key is None else set(map(self._key, call.items))


def _tell_that_it_goes(joined: "Sequence[_Waiting[T, R]]") -> None:
    for one in joined:
        if one.watched is not None and not one.answer.done():
            one.watched.sent(len(joined))


def _fail(calls: "Sequence[_Waiting[T, R]]", error: StoreUnavailableError) -> None:
    for one in calls:
        one.fail(StoreUnavailableError(str(error)))  # its own: one that many raise would gather tracebacks
