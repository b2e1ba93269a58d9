"""The directory that we share with the accounting CLI."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from globeco_allocation.domain.delivery import WrittenFile
from globeco_allocation.domain.transaction_file import RenderedRows


class DraftFile(Protocol):
    """A transaction file that nobody sees yet.

    Both methods raise `FileNotWrittenError`: the directory is away, read-only or full, or another file with
    other bytes has the name; no part of the draft stands under its name.
    """

    async def append(self, rows: RenderedRows) -> None:
        """Write more rows, by ascending id."""
        ...

    async def publish(self, ending: Callable[[WrittenFile], bytes] | None = None) -> WrittenFile:
        """Flush the file to disk, and only then give it its name.

        A file of that name with the same bytes is left as it is, so that a step may be repeated; one with
        other bytes is never replaced.

        Args:
            ending: Makes the file's last bytes of what is in it by then; None: it has no more.
        """
        ...


class TransactionFiles(Protocol):
    """Transaction files by bare name; a reader sees a whole file or none."""

    async def check(self) -> None:
        """Make sure that a file can be written now, where all replicas see it.

        Raises:
            FileNotWrittenError: the directory is away, read-only or full, or not the one that is shared.
            StoreUnavailableError: which one is shared cannot be known now.
        """
        ...

    def draft(self, name: str, header: bytes) -> AbstractAsyncContextManager[DraftFile]:
        """Begin a file; what is not published is gone when the context ends.

        Raises:
            FileNotWrittenError: see `DraftFile`.
        """
        ...

    def execution_ids(self, name: str) -> AsyncGenerator[int]:
        """Read the ids of the executions in a file, in its order, some at a time.

        Raises:
            FileNotWrittenError: the file is away, or cannot be read.
        """
        ...

    async def checksum(self, name: str) -> str | None:
        """Return the SHA-256 of a file's bytes in hex, or None when there is no such file.

        Raises:
            FileNotWrittenError: it cannot be read.
        """
        ...

    async def remove(self, name: str) -> None:
        """Remove a delivered file; nothing happens when it is gone already."""
        ...
