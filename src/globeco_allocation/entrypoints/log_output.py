"""Where log lines go: one by one, or a few of them in one write."""

import asyncio
import threading
from contextlib import AbstractContextManager, suppress
from typing import BinaryIO, Final

_SOON_SECONDS: Final = 0.1

# A pipe takes so many bytes whole: lines of processes that share one never run into each other.
_TOGETHER_BYTES: Final = 4096


class LineOutput:
    """A stream of lines, for loggers that write and flush each line, and for lines that may wait a moment.

    All lines come out in the order in which they were given. What the stream does not take, for its disk is
    full or its reader gone, is lost without a word: the work that a line tells of goes on.

    Args:
        stream: Where they go.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def write(self, line: bytes) -> None:
        """Write a line, after those that wait."""
        with self._lock, _lost_if_not_taken():
            self._write_waiting()
            self._stream.write(line)

    def flush(self) -> None:
        """Let whatever was written out."""
        with self._lock, _lost_if_not_taken():
            self._stream.flush()

    def write_soon(self, line: bytes) -> None:
        """Write a line within a tenth of a second, perhaps with others; at once where no event loop runs."""
        with self._lock:
            if self._waiting_bytes + len(line) > _TOGETHER_BYTES:
                self._write_out()
            if not self._waiting:
                try:
                    asyncio.get_running_loop().call_later(_SOON_SECONDS, self._write_out_later)
                except RuntimeError:
                    self._waiting.append(line)
                    self._write_out()
                    return
            self._waiting.append(line)
            self._waiting_bytes += len(line)

    def _write_out_later(self) -> None:
        with self._lock:
            self._write_out()

    def _write_out(self) -> None:
        with _lost_if_not_taken():
            self._write_waiting()
            self._stream.flush()

    def _write_waiting(self) -> None:
        if self._waiting:
            lines = b"".join(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            self._stream.write(lines)


def _lost_if_not_taken() -> AbstractContextManager[None]:
    return suppress(OSError, ValueError)  # ValueError: it is closed
