"""How properties are tried: the same examples on every machine, however slow it is.

``HYPOTHESIS_PROFILE=explore`` tries other examples, and more of them, each time.
"""

import os

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
