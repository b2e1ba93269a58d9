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
from globeco_allocation.domain.delivery import Delivery, WrittenFile
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
    code = ExitCode.OK
    if arguments.batches:
        for batch_id in dict.fromkeys(arguments.batches):
            if await verification.batches.get(batch_id) is None:
                code = no_batch(batch_id)
            else:
                await verification.look_at((batch_id,))
    else:
        async for some in _all_batches(verification.batches):
            await verification.look_at(some)
    print(verification.summary)
    return ExitCode.FAILED if verification.different else code


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
        made = f"{count(self._made_again, 'file')} made again from the database: {self.different} different"
        away = f"; {self._away} not in OUTPUT_DIR any more" if self._away else ""
        unwritten = f"; {self._unwritten} not written yet" if self._unwritten else ""
        return f"{made}{away}{unwritten}"

    async def look_at(self, batch_ids: Sequence[int]) -> None:
        """Look at the files of these batches, newest first."""
        files = await self._deliveries.of_batches(batch_ids)
        for one in sorted(files, key=lambda file: (-file.batch_id, file.id)):
            if one.file is None:
                self._unwritten += 1
                print(f"{one.file_name}: not written yet", flush=True)
                continue
            self._made_again += 1
            self.batches.read = 0
            async with ticking(lambda name=one.file_name: f"{name}: {self.batches.read} executions read"):
                found = await self._compare(one, one.file)
            print(f"{one.file_name}: {found}", flush=True)

    async def _compare(self, delivery: Delivery, file: WrittenFile) -> str:
        try:
            if await self._prepare.checksum(delivery) != file.checksum:
                return self._differs("its executions have changed since it was written")
            stands = await self._files.checksum(delivery.file_name) if self._looks else file.checksum
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


async def _all_batches(batches: PostgresBatches) -> AsyncGenerator[list[int]]:
    """Yield the ids of all batches there are, newest first, some at a time, each once."""
    offset, last = 0, None
    while page := (await batches.page(limit=_BATCHES_AT_ONCE, offset=offset)).batches:
        # What is claimed meanwhile moves the others on, so that some come again.
        some = [one.id for one in page if last is None or one.id < last]
        if some:
            yield some
            last = some[-1]
        offset += len(page)
