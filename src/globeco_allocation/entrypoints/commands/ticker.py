"""How long work goes on: a line on a terminal that is written anew each second."""

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

_BEGINNING, _REST_OF_LINE = "\r", "\x1b[K"


@asynccontextmanager
async def ticking(text: Callable[[], str], *, every: float = 1.0) -> AsyncGenerator[None]:
    """Show what goes on, and for how long, while the block does; nothing where nobody looks.

    Args:
        text: What goes on, asked for each time.
        every: Seconds between two looks, and before the first.
    """
    if not sys.stderr.isatty():
        yield
        return
    ticks = asyncio.create_task(_tick(text, every))
    try:
        yield
    finally:
        ticks.cancel()
        await asyncio.wait({ticks})
        print(_BEGINNING, _REST_OF_LINE, sep="", end="", file=sys.stderr, flush=True)


async def _tick(text: Callable[[], str], every: float) -> None:
    begun = time.monotonic()
    while True:
        await asyncio.sleep(every)
        line = f"{text()}, {time.monotonic() - begun:.0f} s"
        line = line[: shutil.get_terminal_size().columns - 1]  # a longer one could not be written over
        print(_BEGINNING, line, _REST_OF_LINE, sep="", end="", file=sys.stderr, flush=True)
