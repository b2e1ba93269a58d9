"""``batches deliver``, ``resend``, ``resolve`` and ``verify``."""

import argparse
import asyncio
import sys
import time

from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.deliveries import PostgresDeliveries
from globeco_allocation.adapters.postgres.pool import Pool
from globeco_allocation.adapters.postgres.resolutions import PostgresResolutions
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, Settlement
from globeco_allocation.domain.errors import FileNotWrittenError, LeaseLostError
from globeco_allocation.entrypoints.delivery_wiring import DeliveryParts, open_delivery
from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.entrypoints.settings import Settings

_LOOK_SECONDS = 0.5
_MOST_OPEN = 1000
_BATCHES_AT_ONCE = 100
_WORST_LAST = (ExitCode.OK, ExitCode.PARTIAL, ExitCode.FAILED)


async def deliver(arguments: argparse.Namespace, settings: Settings, pool: Pool) -> ExitCode:
    """Write and deliver what is due, one after the other; with ``--wait`` also what becomes due."""
    until = time.monotonic() + arguments.wait
    worst = ExitCode.OK
    async with open_delivery(settings, pool) as parts:
        await parts.files.check()
        if parts.accounting is not None:
            await parts.accounting.check()
        while True:
            worst = max(worst, await _work_off(parts), key=_WORST_LAST.index)
            left = await parts.deliveries.not_ended(limit=_MOST_OPEN)
            if not left or time.monotonic() >= until:
                break
            await asyncio.sleep(_LOOK_SECONDS)
    for one in left:
        print(f"{one.file_name}: {one.status.value} still{f': {one.error}' if one.error else ''}")
    return ExitCode.UNDER_WAY if left else worst


async def resend(arguments: argparse.Namespace, settings: Settings, pool: Pool) -> ExitCode:
    """Queue a batch's failed and partial files again."""
    del settings
    if not await _files_of(arguments.batch, pool):
        return _no_files(arguments.batch)
    again = await PostgresDeliveries(pool).resend(arguments.batch, "globeco-allocation batches resend")
    for one in again:
        print(f"{one.file_name}: queued; the running service delivers it, or `batches deliver`")
    return ExitCode.OK


async def resolve(arguments: argparse.Namespace, settings: Settings, pool: Pool) -> ExitCode:
    """Settle records or a file by hand, or end the stop of all delivery."""
    del settings
    resolutions = PostgresResolutions(pool)
    if arguments.batch is None and not arguments.stop:
        print("globeco-allocation: resolve needs a BATCH, or --stop", file=sys.stderr)
        return ExitCode.USAGE
    if arguments.batch is not None:
        file = _chosen(await _files_of(arguments.batch, pool), arguments)
        if file is None:
            return ExitCode.FAILED
        for record in arguments.record:
            await resolutions.resolve_record(file.id, record, arguments.reason, arguments.by)
            print(f"{record}: resolved")
        if not arguments.record:
            await resolutions.resolve_delivery(file.id, arguments.reason, arguments.by)
            print(f"{file.file_name}: resolved")
    if arguments.stop:
        await resolutions.clear_stop(arguments.reason, arguments.by)
        print("The stop is ended: deliveries go on.")
    return ExitCode.OK


async def verify(arguments: argparse.Namespace, settings: Settings, pool: Pool) -> ExitCode:
    """Make every written file again from the database, and compare its checksum with what was written."""
    different = checked = 0
    async with open_delivery(settings, pool) as parts:
        for some in await _batch_ids(arguments.batches, pool):
            for one in await parts.deliveries.of_batches(some):
                if one.file is None:
                    continue
                checked += 1
                fault = await _difference(parts, one)
                different += bool(fault)
                print(f"{one.file_name}: {fault or 'as it was written'}", flush=True)
    print(f"{checked} files made again, {different} different")
    return ExitCode.FAILED if different else ExitCode.OK


async def _work_off(parts: DeliveryParts) -> ExitCode:
    worst = ExitCode.OK
    while (batch := await parts.work_off.take_batch()) is not None:
        print(f"batch {batch.batch.id}: writing its files ...", flush=True)
        await parts.work_off.write(batch)
    while (work := await parts.work_off.take_delivery()) is not None:
        one = work.delivery
        print(f"{one.file_name}: attempt {one.attempt} of {one.record_count} records ...", flush=True)
        try:
            settlement = await parts.work_off.deliver(work)
        except LeaseLostError as error:
            print(f"{one.file_name}: {error}", flush=True)
            continue
        print(f"{one.file_name}: {_told(settlement)}", flush=True)
        worst = max(worst, _code(settlement), key=_WORST_LAST.index)
    return worst


def _told(settlement: Settlement | None) -> str:
    if settlement is None:
        return "held up for now; `batches show` says why"
    outcome = settlement.outcome
    if settlement.retry_in is not None:
        seconds = settlement.retry_in.total_seconds()
        return f"not delivered, tried again in {seconds:g} s: {outcome.error}"
    return f"{outcome.status.value}, {outcome.accepted_count} booked" + (
        f": {outcome.error}" if outcome.error else ""
    )


def _code(settlement: Settlement | None) -> ExitCode:
    if settlement is None or settlement.retry_in is not None:
        return ExitCode.OK  # it has not ended, which is told at the end
    match settlement.outcome.status:
        case DeliveryStatus.FAILED:
            return ExitCode.FAILED
        case DeliveryStatus.PARTIAL:
            return ExitCode.PARTIAL
        case _:
            return ExitCode.OK


async def _files_of(batch_id: int, pool: Pool) -> tuple[Delivery, ...]:
    return await PostgresDeliveries(pool).of_batches((batch_id,))


def _no_files(batch_id: int) -> ExitCode:
    print(f"globeco-allocation: there is no batch {batch_id} of this service with files", file=sys.stderr)
    return ExitCode.FAILED


def _chosen(files: tuple[Delivery, ...], arguments: argparse.Namespace) -> Delivery | None:
    named = [one for one in files if arguments.file in {None, one.file_name}]
    if len(named) == 1:
        return named[0]
    if not files:
        _no_files(arguments.batch)
    elif named:
        names = ", ".join(one.file_name for one in named)
        print(f"globeco-allocation: name one of its files with --file: {names}", file=sys.stderr)
    else:
        print(f"globeco-allocation: batch {arguments.batch} has no file {arguments.file}", file=sys.stderr)
    return None


async def _batch_ids(given: list[int], pool: Pool) -> list[list[int]]:
    """Return the ids of the batches to look at, some at a time."""
    if given:
        return [given]
    batches = PostgresBatches(pool)
    found: list[list[int]] = []
    while page := (await batches.page(limit=_BATCHES_AT_ONCE, offset=len(found) * _BATCHES_AT_ONCE)).batches:
        found.append([one.id for one in page])
    return found


async def _difference(parts: DeliveryParts, delivery: Delivery) -> str:
    """Say how a file differs from what was written once; empty when it does not."""
    file = delivery.file
    if file is None:
        return ""
    try:
        if await parts.prepare.checksum(delivery) != file.checksum:
            return "DIFFERENT: its executions have changed since it was written"
        stands = await parts.files.checksum(delivery.file_name)
    except FileNotWrittenError as error:
        return f"DIFFERENT: {error}"
    if stands not in {None, file.checksum}:
        return "DIFFERENT: the file was changed where it stands"
    return ""
