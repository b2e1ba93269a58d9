"""Import a library without another one that it would use for show."""

import importlib
import sys


def import_without(name: str, unwanted: str) -> None:
    """Import *name* as if *unwanted*, which it can do without, were not installed; nobody else notices.

    structlog, for one, loads rich wherever that is installed, for colours that a service never shows: a tenth
    of the start, and of the memory.
    """
    if unwanted in sys.modules:
        importlib.import_module(name)
        return
    sys.modules[unwanted] = None  # type: ignore[assignment] # import statements take this for "not there"
    try:
        importlib.import_module(name)
    finally:
        del sys.modules[unwanted]
