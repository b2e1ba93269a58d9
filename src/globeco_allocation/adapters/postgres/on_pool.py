"""What works on a pool of connections."""

from globeco_allocation.adapters.postgres.pool import Pool


class OnPool:
    """A part of an adapter; the parts of one adapter share its pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
