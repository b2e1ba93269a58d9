"""Trouble that comes and goes, told of without flooding the log."""

import asyncio
from collections.abc import Callable

PATIENCE_SECONDS = 5.0
"""Trouble that is over by then is not worth a line in the log."""

REMINDER_SECONDS = 300.0
"""Between two lines about the same trouble."""


class Trouble:
    """Trouble that is told of once it lasts, and then seldom, however often it comes and goes.

    Args:
        tell: Called with the reason when it is worth a line.
        over: Called when trouble that was told of is over.
        patience_seconds: How long it lasts before it is told of.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        over: Callable[[], None],
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._tell = tell
        self._over = over
        self._patience_seconds = patience_seconds
        self._since: float | None = None
        self._told_at: float | None = None
        self._told = False

    def lasts(self, reason: str) -> None:
        """Note that it is there."""
        now = asyncio.get_running_loop().time()
        self._since = now if self._since is None else self._since
        recently = self._told_at is not None and now - self._told_at < REMINDER_SECONDS
        if now - self._since >= self._patience_seconds and not recently:
            self._told_at, self._told = now, True
            self._tell(reason)

    def ended(self) -> None:
        """Note that it is over."""
        if self._told:
            self._over()
        self._since, self._told = None, False


async def until(signal: asyncio.Event, seconds: float) -> None:
    """Rest for so long, or until the signal."""
    try:
        async with asyncio.timeout(seconds):
            await signal.wait()
    except TimeoutError:
        pass
