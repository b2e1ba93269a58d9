"""Blocking work is awaited to its end, also by a caller that is cancelled."""

import asyncio
import threading

import pytest

from globeco_allocation.adapters.blocking import acquire, finish

PATIENCE = 30.0


class Work:
    """Blocks until it is told to end."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.ended = False
        self._failure = failure

    def do(self) -> str:
        self.begun.set()
        assert self.may_end.wait(PATIENCE)
        self.ended = True
        if self._failure is not None:
            raise self._failure
        return "opened"


async def begun(work: Work) -> None:
    assert await asyncio.to_thread(work.begun.wait, PATIENCE)


async def test_a_result_and_an_error_come_through() -> None:
    work = Work()
    work.may_end.set()
    assert await finish(work.do) == "opened"

    broken = Work(OSError("broken"))
    broken.may_end.set()
    with pytest.raises(OSError, match="broken"):
        await finish(broken.do)


@pytest.mark.parametrize("failure", [None, OSError("broken")], ids=["sound", "failing"])
async def test_a_caller_cancelled_over_and_over_still_waits(failure: Exception | None) -> None:
    work = Work(failure)
    calling = asyncio.create_task(finish(work.do))
    await begun(work)
    for _ in range(3):
        calling.cancel()
        await asyncio.sleep(0)
    assert not calling.done()
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await calling

    assert work.ended


async def test_what_a_cancelled_caller_opened_is_closed() -> None:
    work, closed = Work(), list[str]()
    calling = asyncio.create_task(acquire(work.do, undo=closed.append))
    await begun(work)
    calling.cancel()
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await calling

    assert closed == ["opened"]


async def test_what_a_caller_opened_in_peace_stays_open() -> None:
    work, closed = Work(), list[str]()
    work.may_end.set()

    assert await acquire(work.do, undo=closed.append) == "opened"
    assert closed == []
