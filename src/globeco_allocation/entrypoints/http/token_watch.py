"""The tokens that count now: read again when their file changes, as a mounted secret does."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from globeco_allocation.adapters import blocking
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.api_tokens import Token, TokenFile, read_tokens
from globeco_allocation.entrypoints.owned_tasks import OwnedTasks

LOOK_SECONDS = 5.0
"""How often the file is looked at: a token taken out of it is good for no longer than this."""

_log: Any = structlog.get_logger("globeco_allocation.tokens")
_Seen = tuple[int, int, int, int] | None


class TokenWatch:
    """Knows the tokens of a file.

    A line with a fault counts as absent: one that is mistyped keeps its own token out, and no other one in. A
    file that cannot be read at all changes nothing, for a mount that is being swapped must lock nobody out.

    Args:
        file: Where they are.
        look_seconds: How often it is looked at.

    Attributes:
        tokens: By their SHA-256. Another mapping takes its place when the file has changed.
    """

    def __init__(self, file: Path, look_seconds: float = LOOK_SECONDS) -> None:
        self._file = file
        self._look_seconds = look_seconds
        self._seen: _Seen = None
        self.tokens: Mapping[bytes, Token] = {}

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Read the file, and watch it for as long as the block lasts."""
        await self._look()
        async with OwnedTasks(grace_seconds=0) as tasks:
            tasks.start(self._run())
            yield

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            await self._look()

    async def _look(self) -> None:
        seen, found = await blocking.finish(_read_if_changed, self._file, self._seen)
        if seen == self._seen:
            return
        self._seen = seen
        if found is None:
            _log.error(logs.TOKENS_NOT_READ, file=str(self._file), tokens=len(self.tokens))
            return
        self.tokens = found.tokens
        if found.faults:
            _log.error(logs.TOKENS_FAULTY, tokens=len(found.tokens), faults=list(found.faults))
        elif found.tokens:
            _log.info(logs.TOKENS_READ, tokens=len(found.tokens))
        else:
            _log.warning(logs.NO_TOKENS)


_UNREADABLE: _Seen = (0, 0, 0, 0)


def _read_if_changed(file: Path, before: _Seen) -> tuple[_Seen, TokenFile | None]:
    """Return what the file is now, and what it holds if that is another one than *before* and readable."""
    try:
        status = file.stat()  # of what a link leads to
        seen = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        return seen, None if seen == before else read_tokens(file)
    except (OSError, ValueError):
        return _UNREADABLE, None
