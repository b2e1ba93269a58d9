"""When something was broken on purpose, and what may be seen of it meanwhile."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

AFTERMATH_SECONDS = 5.0
"""For so long after everything answers again, requests from before may still fail."""


@dataclass(slots=True)
class Window:
    """One outage.

    Attributes:
        what: Which one.
        begun: When, by the clock of `time.time`.
        ended: When everything answered again, and requests from before had their answers.
    """

    what: str
    begun: float
    ended: float = float("inf")


class Windows:
    """All outages of a soak."""

    def __init__(self) -> None:
        self.all: list[Window] = []

    @contextmanager
    def opened(self, what: str) -> Generator[None]:
        """Note an outage that lasts as long as the block."""
        window = Window(what, time.time())
        self.all.append(window)
        yield
        window.ended = time.time() + AFTERMATH_SECONDS

    def hold(self, begun: float, ended: float, what: str = "") -> bool:
        """Tell whether a span of time touches an outage (of some kind)."""
        return any(ended >= one.begun and begun <= one.ended for one in self.all if one.what.startswith(what))
