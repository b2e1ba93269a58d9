"""The directory that we share with the accounting CLI."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from globeco_allocation.domain.delivery import WrittenFile
from globeco_allocation.domain.execution import Execution


class TransactionFiles(Protocol):
    """Transaction files by bare name; a reader sees a whole file or none."""

    async def check(self) -> None:
        """Make sure that a file can be written now.

        Raises:
            FileNotWrittenError: the directory is away, read-only or full.
        """
        ...

    async def write(
        self,
        name: str,
        header: bytes,
        executions: AsyncIterator[Execution],
        row: Callable[[Execution], bytes],
    ) -> WrittenFile:
        """Write a file, flush it to disk, and only then give it its name.

        A file of that name with the same bytes is left as it is, so that a step may be repeated; one with
        other bytes is never replaced.

        Raises:
            FileNotWrittenError: the directory is away, read-only or full, or another file has the name;
                no part of the file stands under *name*.
        """
        ...

    async def remove(self, name: str) -> None:
        """Remove a delivered file; nothing happens when it is gone already."""
        ...
