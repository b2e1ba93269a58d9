"""SIGINT, SIGTERM and SIGHUP as an orderly end of what runs in the foreground."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ToldToEnd(KeyboardInterrupt):
    """One of the signals arrived.

    Attributes:
        exit_code: What a shell calls a program that such a signal ended: 128 and its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"told to end by {signal.Signals(number).name}")
        self.exit_code = 128 + number


class EndSignals:
    """Holds the signals back while the block lasts, except where it may be interrupted.

    Thus no signal comes between a process and the one who must end it, and none cuts a clean-up short. A
    signal that the caller ignores (``nohup``) stays ignored. For the main thread alone.
    """

    def __init__(self) -> None:
        self._told: int | None = None
        self._may_interrupt = False
        self._before: dict[signal.Signals, signal.Handlers] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:
                signal.signal(number, self._tell)
                self._before[number] = before  # type: ignore[assignment]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            # Once told to end, nothing is left but to return the exit code that says so.
            signal.signal(number, before if self._told is None else signal.SIG_IGN)

    @contextmanager
    def may_interrupt(self) -> Generator[None]:
        """Let a signal end this block, one that came before included.

        Raises:
            ToldToEnd: a signal arrived; further ones change nothing.
        """
        self._may_interrupt = True
        try:
            if self._told is not None:
                raise ToldToEnd(self._told)
            yield
        finally:
            self._may_interrupt = False

    def _tell(self, number: int, _frame: FrameType | None) -> None:
        self._told = self._told or number
        if self._may_interrupt:
            self._may_interrupt = False
            raise ToldToEnd(number)
