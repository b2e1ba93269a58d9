"""``batches verify``: what was written once, compared with the database and with what stands now."""

import argparse
import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from globeco_allocation.adapters.local_files import LocalFiles
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.deliveries import PostgresDeliveries
from globeco_allocation.adapters.postgres.pool import Pool
from globeco_allocation.domain.batch import Batch
from globeco_allocation.domain.delivery import WrittenFile
from globeco_allocation.domain.errors import FileNotWrittenError
from globeco_allocation.domain.execution import Execution
from globeco_allocation.domain.use_cases.prepare import PrepareBatch
from globeco_allocation.entrypoints.commands.batch_tables import no_batch
from globeco_allocation.entrypoints.commands.tables import count
from globeco_allocation.entrypoints.commands.ticker import ticking
from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.entrypoints.settings import Settings

_BATCHES_AT_ONCE = 100


async def verify(arguments: argparse.Namespace, settings: Settings, pool: Pool) -> ExitCode:
    """Make every written file again from the database, and compare its checksum with what was written."""
    directory = settings.output_dir if await asyncio.to_thread(settings.output_dir.is_dir) else None
    if directory is None:
        print(
            "globeco-allocation: there is no OUTPUT_DIR here; files are compared with the database alone",
            file=sys.stderr,
        )
    verification = _Verification(directory, pool)
    unknown = False
    async for batch in _batches(arguments.batches, verification.batches):
        if isinstance(batch, int):
            no_batch(batch)
            unknown = True
        else:
            await verification.look_at(batch)
    print(verification.summary)
    return ExitCode.FAILED if verification.different or unknown else ExitCode.OK


class _Verification:
    """Looks at files, says of each what it found, and counts.

    Args:
        directory: Where they stand; None if that is not here.
        pool: Connections to the database.
    """

    def __init__(self, directory: Path | None, pool: Pool) -> None:
        self.batches = _CountedBatches(pool)
        self._deliveries = PostgresDeliveries(pool)
        self._looks = directory is not None
        self._files = LocalFiles(directory or Path())
        self._prepare = PrepareBatch(self.batches, self._deliveries, self._files)
        self._made_again = self._away = self._unwritten = 0
        self.different = 0

    @property
    def summary(self) -> str:
        """All that was found, in one line."""
        found = count(self.different, "difference")
        made = f"{count(self._made_again, 'file')} made again from the database: {found}"
        away = f"; {self._away} not in OUTPUT_DIR any more" if self._away else ""
        unwritten = f"; {self._unwritten} not written yet" if self._unwritten else ""
        return f"{made}{away}{unwritten}"

    async def look_at(self, batch: Batch) -> None:
        """Look at the files of a batch, and for executions that are in none of them."""
        files = await self._deliveries.of_batches((batch.id,))
        if not (files or batch.prepared):
            print(f"batch {batch.id}: no files yet", flush=True)
            return
        self.batches.read = 0
        async with ticking(lambda: f"batch {batch.id}: {self.batches.read} executions read"):
            made_again = await self._prepare.made_again(batch, files)
        for one in files:
            if one.file is None:
                self._unwritten += 1
                found = "not written yet"
            else:
                self._made_again += 1
                found = await self._compare(one.file_name, one.file, made_again.checksums[one.id])
            print(f"{one.file_name}: {found}", flush=True)
        if made_again.in_no_file:
            lost = count(made_again.in_no_file, "execution")
            print(
                f"batch {batch.id}: {self._differs(f'{lost} of its window in none of its files')}", flush=True
            )

    async def _compare(self, name: str, file: WrittenFile, checksum: str) -> str:
        if checksum != file.checksum:
            return self._differs("its executions have changed since it was written")
        if not self._looks:
            return "as it was written"
        try:
            async with ticking(lambda: f"{name}: reading it"):
                stands = await self._files.checksum(name)
        except FileNotWrittenError as error:
            return self._differs(str(error))
        if stands is None:
            self._away += 1
            return "as it was written; not in OUTPUT_DIR any more"
        if stands != file.checksum:
            return self._differs("it was changed where it stands")
        return "as it was written"

    def _differs(self, how: str) -> str:
        self.different += 1
        return f"DIFFERENT: {how}"


class _CountedBatches(PostgresBatches):
    """Counts the executions that were read."""

    read = 0

    @asynccontextmanager
    async def executions(self, batch: Batch) -> AsyncGenerator[AsyncIterator[Execution]]:
        """Stream the window's executions; see the port."""
        async with super().executions(batch) as executions:
            yield self._counted(executions)

    async def _counted(self, executions: AsyncIterator[Execution]) -> AsyncGenerator[Execution]:
        async for one in executions:
            self.read += 1
            yield one


async def _batches(wanted: Sequence[int], batches: PostgresBatches) -> AsyncGenerator[Batch | int]:
    """Yield the batches that are wanted, or all of them, newest first, each once; ids of unknown ones."""
    for one in dict.fromkeys(wanted):
        yield await batches.get(one) or one
    if wanted:
        return
    offset, last = 0, None
    while page := (await batches.page(limit=_BATCHES_AT_ONCE, offset=offset)).batches:
        # What is claimed meanwhile moves the others on, so that some come again.
        for batch in page:
            if last is None or batch.id < last:
                yield batch
                last = batch.id
        offset += len(page)
