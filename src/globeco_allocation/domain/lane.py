"""Lanes: runs over different portfolios may go on side by side, runs over one never may.

Portfolio Accounting silently corrupts balances when two runs touch one portfolio at once (contract:
accounting CLI, "Never two at once"). So each portfolio belongs to one lane, and a lane's runs follow one
another (design, "Lanes").
"""

from functools import lru_cache
from hashlib import sha256

MOST_LANES = 32
"""The largest lane count: each lane has a file open while a batch is written."""


@lru_cache(maxsize=1 << 14)
def lane_of(portfolio_id: str, lane_count: int) -> int:
    """Return a portfolio's lane, 0 to *lane_count* - 1: the same one everywhere and for ever.

    It is the first four bytes of the SHA-256 of the id in UTF-8, as a big-endian number, modulo *lane_count*.

    >>> lane_of("683b6b9620f302c879a5fef4", 1), lane_of("683b6b9620f302c879a5fef4", 4)
    (0, 0)
    """
    if lane_count == 1:
        return 0
    return int.from_bytes(sha256(portfolio_id.encode()).digest()[:4]) % lane_count
