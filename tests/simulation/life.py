"""One life of one replica: what it does at the ports can fail, and it can die or be stopped at each call."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Any, Protocol, TypeVar, cast

from tests.simulation.faults import CallFault, CallFaults
from tests.simulation.virtual_time import Owner, VirtualLoop

from globeco_allocation.domain.errors import AllocationError, FileNotWrittenError, RunNotFollowedError
from globeco_allocation.domain.errors import StoreUnavailableError as Unavailable

T = TypeVar("T")

_LONGEST_PAUSE = 50.0
_LONGER_THAN_A_LEASE = 16.0
_NEVER_FAILS = frozenset({"files.remove", "accounting.error_rows", "accounting.check"})


class Surroundings(Protocol):
    """What a life asks of the world around it."""

    loop: VirtualLoop
    random: Random
    call_faults: CallFaults

    def note(self, who: str, what: str) -> None:
        """Write down what happens, for a person who looks at a history."""
        ...

    def observe(self, who: str, call: str, arguments: tuple[Any, ...], answer: object) -> None:
        """See what a port call has done, at once."""
        ...

    def died(self, who: str) -> None:
        """Learn that a life has ended by a crash."""
        ...


class Life(Owner):
    """One life of a replica, from its start to its end or crash.

    Attributes:
        name: Unlike that of any other life.
        alive: Whether it has not crashed yet.
        resumes: When it goes on, on the loop's clock.
    """

    def __init__(self, name: str, world: Surroundings) -> None:
        super().__init__(world.loop)
        self.name = name
        self.alive = True
        self.resumes = 0.0
        self._world = world

    def crash(self) -> None:
        """Die: nothing that any of its tasks still does has an effect."""
        if self.alive:
            self.alive = False
            self._world.note(self.name, "CRASH")
            for task in list(self.tasks):
                task.cancel()
            self._world.died(self.name)

    def pause(self, seconds: float) -> None:
        """Stand still at the next port call, and go on then."""
        self._world.note(self.name, f"PAUSE {seconds:.0f} s")
        self.resumes = self.loop.time() + seconds

    def around(self, port: str, real: T) -> T:
        """Return a port as this life has it."""
        return cast("T", _Port(self, port, real))

    async def call(
        self, name: str, function: Callable[..., Awaitable[T]], *arguments: object, **named: object
    ) -> T:
        """Ask at a port, if the process lives so long."""
        fault = self._fault(name)
        await self._delay(pause=fault is CallFault.PAUSE_BEFORE)
        if fault is CallFault.CRASH_BEFORE:
            await self._die(f"before {name}")
        if fault is CallFault.REQUEST_LOST:
            raise self._failure(name, "the request was lost")
        try:
            answer = await function(*arguments, **named)
        except AllocationError as error:
            self._world.note(self.name, f"{name}{arguments} -> {error!r}")
            self._world.observe(self.name, name, arguments, error)
            await self._delay(pause=False)
            raise
        self._world.note(self.name, f"{name}{arguments} -> {answer}")
        self._world.observe(self.name, name, arguments, answer)
        if fault is CallFault.CRASH_AFTER:
            await self._die(f"after {name}")
        await self._delay(pause=fault is CallFault.PAUSE_AFTER)
        if fault is CallFault.ANSWER_LOST:
            raise self._failure(name, "the answer was lost")
        return answer

    def _fault(self, name: str) -> CallFault:
        fault = self._world.call_faults(name) if self.alive else CallFault.NONE
        failing = fault in {CallFault.REQUEST_LOST, CallFault.ANSWER_LOST}
        if failing and name in _NEVER_FAILS:
            return CallFault.NONE
        if fault is CallFault.ANSWER_LOST and name.startswith("files."):
            return CallFault.REQUEST_LOST  # what cannot be written does not stand
        return fault

    def _failure(self, name: str, what: str) -> AllocationError:
        self._world.note(self.name, f"{name}: {what}")
        if name.startswith("files."):
            return FileNotWrittenError(what)
        return RunNotFollowedError(what) if name.startswith("accounting.") else Unavailable(what)

    async def _die(self, when: str) -> None:
        self._world.note(self.name, when)
        self.crash()
        await asyncio.sleep(0)  # the cancellation arrives here

    async def _delay(self, *, pause: bool) -> None:
        random = self._world.random
        if pause:
            self.pause(random.uniform(_LONGER_THAN_A_LEASE, _LONGEST_PAUSE))
        drawn = random.random()
        await asyncio.sleep(drawn * 0.02 if drawn < 0.95 else drawn * 2)
        while self.loop.time() < self.resumes:  # noqa: ASYNC110 - it may be paused again meanwhile
            await asyncio.sleep(self.resumes - self.loop.time())
        if not self.alive:
            raise asyncio.CancelledError


class _Port:
    """A port whose every call goes through a life."""

    def __init__(self, life: Life, port: str, real: object) -> None:
        self._life = life
        self._port = port
        self._real = real

    def __getattr__(self, name: str) -> Callable[..., Any]:
        real = getattr(self._real, name)
        call = f"{self._port}.{name}"
        plain = inspect.unwrap(real)
        if inspect.iscoroutinefunction(plain):
            return _call(self._life, call, real)
        if plain is not real:  # wrapped by `asynccontextmanager`
            return _context(self._life, call, real)
        return _stream(self._life, call, real)


def _call(life: Life, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def ask(*arguments: object, **named: object) -> Awaitable[Any]:
        return life.call(name, real, *arguments, **named)

    return ask


def _context(
    life: Life, name: str, real: Callable[..., AbstractAsyncContextManager[Any]]
) -> Callable[..., AbstractAsyncContextManager[Any]]:
    @asynccontextmanager
    async def ask(*arguments: object) -> AsyncGenerator[Any]:
        real_context = real(*arguments)
        opened = await life.call(name, real_context.__aenter__)
        try:
            yield life.around(name, opened) if name == "files.draft" else opened
        finally:
            await real_context.__aexit__(None, None, None)

    return ask


def _stream(
    life: Life, name: str, real: Callable[..., AsyncIterator[Any]]
) -> Callable[..., AsyncIterator[Any]]:
    async def ask(*arguments: object) -> AsyncGenerator[Any]:
        async def read() -> list[Any]:
            return [one async for one in real(*arguments)]

        for one in await life.call(name, read):
            yield one

    return ask
