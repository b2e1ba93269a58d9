"""What a COPY brings, in pieces of a handy size."""

_PIECE_BYTES = 1 << 18


class Pieces:
    """Joins what comes from a COPY: whole rows at a time, as the protocol has it, but only a few."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._chunks: list[bytes] = []
        self._bytes = 0

    async def add(self, chunk: bytes) -> None:
        """Take what came."""
        self._chunks.append(chunk)
        self._bytes += len(chunk)
        if self._bytes >= _PIECE_BYTES:
            self._join()

    def all(self) -> list[bytes]:
        """Return all that came, in pieces of some hundred kilobytes."""
        if self._chunks:
            self._join()
        return self._pieces

    def _join(self) -> None:
        self._pieces.append(b"".join(self._chunks))
        self._chunks.clear()
        self._bytes = 0
