"""How often Python looks for garbage in cycles: seldom, for there is little, and never through what stays."""

import gc
from typing import Final

_NEW_OBJECTS: Final = 10_000
_YOUNG_ROUNDS, _OLD_ROUNDS = 20, 20


def leave_alone() -> None:
    """Look for none until `settle`: while the service starts, everything stays."""
    gc.disable()


def settle() -> None:
    """Leave out of all later rounds what is there now: modules, routes, pools.

    A round over all of it takes as long as hundreds of requests, at the cost of whichever is under way, and a
    twentieth of the start; what little garbage there is among it may stay.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_ROUNDS, _OLD_ROUNDS)
