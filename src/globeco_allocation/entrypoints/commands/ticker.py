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
        _write("")


class SlowLine:
    """The same for work that lets nothing run beside it, and says itself when it has got on.

    Args:
        text: How far things are, asked for once a second.
    """

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text
        self._next = time.monotonic() + 1 if sys.stderr.isatty() else float("inf")
        self._shown = False

    def again(self) -> None:
        """Write the line anew, if a second has passed."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 1
            self._shown = True
            _write(self._text())

    def end(self) -> None:
        """Take the line away."""
        if self._shown:
            _write("")


async def _tick(text: Callable[[], str], every: float) -> None:
    begun = time.monotonic()
    while True:
        await asyncio.sleep(every)
        _write(f"{text()}, {time.monotonic() - begun:.0f} s")


def _write(line: str) -> None:
    line = line[: shutil.get_terminal_size().columns - 1]  # a longer one could not be written over
    print(_BEGINNING, line, _REST_OF_LINE, sep="", end="", file=sys.stderr, flush=True)
