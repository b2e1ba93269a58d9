"""Steps that others wait for."""

import asyncio


class Progress:
    """Lets any number of tasks wait for the next step, and miss none.

    Ask for `next` first, then look how far things are, then wait for what was asked for: a step that is taken
    while one looks ends the wait at once.
    """

    def __init__(self) -> None:
        self._next = asyncio.Event()

    @property
    def next(self) -> asyncio.Event:
        """What the next step from now on sets."""
        return self._next

    def made(self) -> None:
        """Note that a step was taken."""
        self._next.set()
        self._next = asyncio.Event()
