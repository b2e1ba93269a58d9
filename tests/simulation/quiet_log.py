"""The product's log during a history: nobody reads it, but faults of our own stand in it."""

import traceback
from collections.abc import Generator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog


@contextmanager
def quiet_log() -> Generator[list[str]]:
    """Drop what is logged; gives the faults of our own among it: those with a traceback."""
    faults: list[str] = []

    def drop(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if event.get("exc_info"):
            faults.append(f"{event['event']}: {traceback.format_exc()}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[drop])
    try:
        yield faults
    finally:
        structlog.configure(**before)
