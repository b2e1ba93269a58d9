"""``batches resend`` and ``batches resolve``: what operators decide."""

import argparse
import sys
from collections.abc import Awaitable, Sequence

from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.deliveries import PostgresDeliveries
from globeco_allocation.adapters.postgres.pool import Pool
from globeco_allocation.adapters.postgres.resolutions import PostgresResolutions
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus
from globeco_allocation.domain.errors import DeliveryStepError
from globeco_allocation.entrypoints.commands.batch_tables import no_batch, print_stop
from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.entrypoints.settings import Settings

_REQUESTED_BY = "globeco-allocation batches resend"
_MOST_NAMES = 10


async def resend(arguments: argparse.Namespace, settings: Settings, pool: Pool) -> ExitCode:
    """Queue a batch's failed and partial files again."""
    del settings
    if await PostgresBatches(pool).get(arguments.batch) is None:
        return no_batch(arguments.batch)
    deliveries = PostgresDeliveries(pool)
    try:
        again = await deliveries.resend(arguments.batch, _REQUESTED_BY)
    except DeliveryStepError as error:
        files = await deliveries.of_batches((arguments.batch,))
        going_on = [f"{one.file_name} is {one.status}" for one in files if not one.status.ended]
        reason = f"batch {arguments.batch} has not ended: {_some(going_on)}" if going_on else str(error)
        return _refused(reason)
    for one in again:
        print(f"{one.file_name}: queued; the running service delivers it, or `batches deliver`")
    await print_stop(pool)
    return ExitCode.OK


async def resolve(arguments: argparse.Namespace, settings: Settings, pool: Pool) -> ExitCode:
    """Settle records or files by hand, or end the stop of all delivery."""
    del settings
    decisions = _Decisions(pool, arguments.reason, arguments.by)
    code = ExitCode.OK
    if arguments.batch is not None:
        code = await _resolve_of_batch(arguments, pool, decisions)
    if arguments.stop:
        if code is not ExitCode.OK:
            return _refused("delivery stays stopped")
        if arguments.batch is not None and await PostgresDeliveries(pool).stop() is None:
            print("Deliveries go on: they were not stopped.")
            return code
        return await decisions.end_stop()
    return code


async def _resolve_of_batch(arguments: argparse.Namespace, pool: Pool, decisions: "_Decisions") -> ExitCode:
    batch_id = arguments.batch
    if await PostgresBatches(pool).get(batch_id) is None:
        return no_batch(batch_id)
    files = await PostgresDeliveries(pool).of_batches((batch_id,))
    named = tuple(one for one in files if arguments.file in {None, one.file_name})
    if not named:
        return _refused(f"batch {batch_id} has no {'files' if not files else f'file {arguments.file}'}")
    if arguments.record:
        return await decisions.settle_records(arguments.record, named)
    if len(named) > 1 and not arguments.all:
        names = _some([one.file_name for one in named])
        return _refused(f"name one of its files with --file, or settle --all: {names}")
    open_ones = tuple(one for one in named if one.status in DeliveryStatus.RESOLVED.follows)
    if arguments.all and not open_ones:
        return _refused(f"every file of batch {batch_id} is delivered or resolved already")
    return await decisions.settle_files(open_ones if arguments.all else named)


class _Decisions:
    """What one person decides for one reason; each is told of, whatever became of the others."""

    def __init__(self, pool: Pool, reason: str, by: str) -> None:
        self._deliveries = PostgresDeliveries(pool)
        self._resolutions = PostgresResolutions(pool)
        self._words = (reason, by)

    async def settle_records(self, records: Sequence[str], files: Sequence[Delivery]) -> ExitCode:
        """Settle rejected records, wherever in these files they are."""
        code, concerned = ExitCode.OK, dict[int, None]()
        for record in records:
            file = await self._file_of(record, files)
            if file is None:
                code = _refused(f"{record}: none of these files rejected it")
                continue
            deed = self._resolutions.resolve_record(file.id, record, *self._words)
            code = max(code, await _done(record, deed))
            concerned[file.id] = None
        for key in concerned:
            now = await self._deliveries.get(key)
            if now is not None and now.status is DeliveryStatus.RESOLVED:
                print(f"{now.file_name}: resolved, with all its records")
        return code

    async def settle_files(self, files: Sequence[Delivery]) -> ExitCode:
        """Settle whole files."""
        code = ExitCode.OK
        for one in files:
            deed = self._resolutions.resolve_delivery(one.id, *self._words)
            code = max(code, await _done(one.file_name, deed))
        return code

    async def end_stop(self) -> ExitCode:
        """Let deliveries go on."""
        try:
            await self._resolutions.clear_stop(*self._words)
        except DeliveryStepError as error:
            return _refused(str(error))
        print("The stop is ended: deliveries go on.")
        return ExitCode.OK

    async def _file_of(self, record: str, files: Sequence[Delivery]) -> Delivery | None:
        if len(files) == 1:
            return files[0]  # the refusal says best why it cannot be
        for one in files:
            if await self._deliveries.reject_of(one.id, record) is not None:
                return one
        return None


async def _done(what: str, deed: Awaitable[None]) -> ExitCode:
    try:
        await deed
    except DeliveryStepError as error:
        return _refused(f"{what}: {error}")
    print(f"{what}: resolved")
    return ExitCode.OK


def _refused(reason: str) -> ExitCode:
    print(f"globeco-allocation: {reason}", file=sys.stderr)
    return ExitCode.FAILED


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
