"""Transaction files, in memory."""

import csv
import hashlib
import io
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from globeco_allocation.adapters.bare_name import check_bare
from globeco_allocation.domain.delivery import WrittenFile
from globeco_allocation.domain.errors import FileNotWrittenError
from globeco_allocation.domain.source_id import execution_id_of
from globeco_allocation.domain.transaction_file import RenderedRows


class MemoryFiles:
    """The twin of `globeco_allocation.ports.files.TransactionFiles`: a dict.

    Attributes:
        contents: The bytes of every file, by name. May be changed at any time.
        failure: Set it to a reason to let every use but `remove` end in `FileNotWrittenError`.
    """

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.failure = ""

    async def check(self) -> None:
        """Make sure that a file can be written now; see the port."""
        self.answer("a transaction file was not written")

    @asynccontextmanager
    async def draft(self, name: str, header: bytes) -> AsyncGenerator["MemoryDraft"]:
        """Begin a file; see the port."""
        check_bare(name)
        self.answer(f"the file {name} was not written")
        yield MemoryDraft(self, name, header)

    async def execution_ids(self, name: str) -> AsyncGenerator[int]:
        """Read the executions' ids; see the port."""
        content = self._read(name)
        if content is None:
            raise FileNotWrittenError(f"the file {name} could not be read: it is gone")
        for record in csv.DictReader(io.StringIO(content.decode(), newline="")):
            execution_id = execution_id_of(record.get("source_id") or "")
            if execution_id is None:
                raise FileNotWrittenError(f"the file {name} could not be read: a line is none of ours")
            yield execution_id

    async def checksum(self, name: str) -> str | None:
        """Return the SHA-256 of a file; see the port."""
        content = self._read(name)
        return None if content is None else hashlib.sha256(content).hexdigest()

    async def remove(self, name: str) -> None:
        """Remove a delivered file; see the port."""
        check_bare(name)
        self.contents.pop(name, None)

    def answer(self, what: str) -> None:
        """Do nothing, as long as there is no `failure`.

        Raises:
            FileNotWrittenError: *what* did not happen.
        """
        if self.failure:
            raise FileNotWrittenError(f"{what}: {self.failure}")

    def _read(self, name: str) -> bytes | None:
        check_bare(name)
        self.answer(f"the file {name} could not be read")
        return self.contents.get(name)


class MemoryDraft:
    """The twin of `globeco_allocation.ports.files.DraftFile`."""

    def __init__(self, files: MemoryFiles, name: str, header: bytes) -> None:
        self._files = files
        self._name = name
        self._header = header
        self._rows: list[RenderedRows] = []

    async def append(self, rows: RenderedRows) -> None:
        """Write more rows; see the port."""
        self._files.answer(f"the file {self._name} was not written")
        self._rows.append(rows)

    async def publish(self, ending: Callable[[WrittenFile], bytes] | None = None) -> WrittenFile:
        """Give the file its name; see the port."""
        what = f"the file {self._name} was not written"
        self._files.answer(what)
        content = self._header + b"".join(some.text for some in self._rows)
        if ending is not None:
            content += ending(self._facts(content))
        if self._files.contents.setdefault(self._name, content) != content:
            raise FileNotWrittenError(
                f"{what}: another one with other content has its name: move that one away"
            )
        return self._facts(content)

    def _facts(self, content: bytes) -> WrittenFile:
        return WrittenFile(
            record_count=sum(some.record_count for some in self._rows),
            byte_count=len(content),
            checksum=hashlib.sha256(content).hexdigest(),
            first_id=self._rows[0].first_id if self._rows else 0,
            last_id=self._rows[-1].last_id if self._rows else 0,
        )
