"""Transaction files, in memory."""

import hashlib
from collections.abc import AsyncIterator, Callable

from globeco_allocation.adapters.bare_name import check_bare
from globeco_allocation.domain.delivery import WrittenFile
from globeco_allocation.domain.errors import FileNotWrittenError
from globeco_allocation.domain.execution import Execution


class MemoryFiles:
    """The twin of `globeco_allocation.ports.files.TransactionFiles`: a dict.

    Attributes:
        contents: The bytes of every file, by name. May be changed at any time.
        failure: Set it to a reason to let every write end in `FileNotWrittenError`.
    """

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.failure = ""

    async def check(self) -> None:
        """Make sure that a file can be written now; see the port."""
        if self.failure:
            raise FileNotWrittenError(f"a transaction file was not written: {self.failure}")

    async def write(
        self,
        name: str,
        header: bytes,
        executions: AsyncIterator[Execution],
        row: Callable[[Execution], bytes],
    ) -> WrittenFile:
        """Write a file whole; see the port."""
        check_bare(name)
        lines = [row(execution) async for execution in executions]
        if self.failure:
            raise FileNotWrittenError(f"the file {name} was not written: {self.failure}")
        content = header + b"".join(lines)
        if self.contents.setdefault(name, content) != content:
            raise FileNotWrittenError(
                f"the file {name} was not written: another one with other content has its name"
            )
        return WrittenFile(len(lines), len(content), hashlib.sha256(content).hexdigest())

    async def remove(self, name: str) -> None:
        """Remove a delivered file; see the port."""
        check_bare(name)
        self.contents.pop(name, None)
