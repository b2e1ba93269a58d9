"""``batches deliver``: what is due, written and delivered without the service."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence

from globeco_allocation.adapters.postgres.pool import Pool
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, Settlement
from globeco_allocation.domain.errors import AllocationError, RunNotFollowedError, StoreUnavailableError
from globeco_allocation.entrypoints.commands.batch_tables import print_stop
from globeco_allocation.entrypoints.commands.tables import count, instant, one_line
from globeco_allocation.entrypoints.commands.ticker import ticking
from globeco_allocation.entrypoints.delivery_wiring import DeliveryParts, open_delivery
from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.entrypoints.send_report import waits_for_another_attempt
from globeco_allocation.entrypoints.settings import Settings
from globeco_allocation.ports.batches import LeasedBatch
from globeco_allocation.ports.deliveries import LeasedDelivery

_LOOK_SECONDS = 0.5
_MOST_TOLD = 20
_NEWEST = 1000
_WORST_FIRST = (ExitCode.FAILED, ExitCode.UNDER_WAY, ExitCode.PARTIAL, ExitCode.OK)


async def deliver(arguments: argparse.Namespace, settings: Settings, pool: Pool) -> ExitCode:
    """Write and deliver what is due, one after the other; with ``--wait`` also what becomes due."""
    until = time.monotonic() + arguments.wait
    try:
        async with open_delivery(settings, pool) as parts:
            await parts.files.check()
            if parts.accounting is not None:
                await parts.accounting.check()
            return await _Worker(parts, pool).work(until)
    except RunNotFollowedError as error:
        print(f"globeco-allocation: {error}", file=sys.stderr)
        return ExitCode.TRY_AGAIN
    except asyncio.CancelledError:
        print(
            "globeco-allocation: interrupted. The work is handed back; an accounting run that was started"
            " goes on, and whoever delivers next finds it.",
            file=sys.stderr,
        )
        raise


class _Worker:
    """Takes what is due, and says what comes of it."""

    def __init__(self, parts: DeliveryParts, pool: Pool) -> None:
        self._parts = parts
        self._pool = pool
        self._steps = 0
        self._codes = {ExitCode.OK}

    async def work(self, until: float) -> ExitCode:
        """Work off what is due, and look for more until then."""
        waits = False
        while True:
            await self._work_off()
            unwritten, left = await self._unwritten(), await self._parts.deliveries.not_ended(limit=_NEWEST)
            if not (unwritten or left) or time.monotonic() >= until:
                break
            if not waits:
                print(
                    f"Waiting for up to {until - time.monotonic():.0f} s for what is not due yet ...",
                    flush=True,
                )
                waits = True
            await asyncio.sleep(_LOOK_SECONDS)
        if unwritten or left:
            self._codes.add(ExitCode.UNDER_WAY)
            await self._tell_what_is_left(unwritten, left)
        elif not self._steps:
            print("Nothing to deliver: every file has its outcome.")
        return min(self._codes, key=_WORST_FIRST.index)

    async def _work_off(self) -> None:
        while (batch := await self._parts.work_off.take_batch()) is not None:
            await self._write(batch)
        while (work := await self._parts.work_off.take_delivery()) is not None:
            await self._deliver(work)

    async def _write(self, work: LeasedBatch) -> None:
        self._steps += 1
        about = f"batch {work.batch.id}: writing its files"
        print(f"{about} ...", flush=True)
        try:
            async with ticking(lambda: about):
                await self._parts.work_off.write(work)
        except StoreUnavailableError:
            raise
        except AllocationError as error:  # it is recorded, and due again later
            print(f"batch {work.batch.id}: {error}", flush=True)

    async def _deliver(self, work: LeasedDelivery) -> None:
        self._steps += 1
        one = work.delivery
        about = f"{one.file_name}: attempt {one.attempt}, {count(one.record_count, 'record')}"
        print(f"{about} ...", flush=True)
        try:
            async with ticking(lambda: about):
                settlement = await self._parts.work_off.deliver(work)
        except StoreUnavailableError:
            raise
        except AllocationError as error:  # it is recorded, and due again later
            print(f"{one.file_name}: {error}", flush=True)
            return
        if settlement is None:
            print(f"{one.file_name}: held up for now: {await self._hindrance(one)}", flush=True)
            return
        print(f"{one.file_name}: {_told(settlement)}", flush=True)
        self._codes.add(_code(settlement))

    async def _hindrance(self, delivery: Delivery) -> str:
        now = await self._parts.deliveries.get(delivery.id)
        return one_line(now.error) if now is not None else ""

    async def _unwritten(self) -> list[int]:
        """Return batches that no file tells of yet: claimed, and nobody got as far as its files.

        All that is younger waits for such a batch, so among the newest ones is enough.
        """
        page = await self._parts.batches.page(limit=_NEWEST, offset=0)
        open_ones = [one.id for one in page.batches if not one.prepared]
        planned = {one.batch_id for one in await self._parts.deliveries.of_batches(open_ones)}
        return sorted(set(open_ones) - planned)

    async def _tell_what_is_left(self, unwritten: Sequence[int], left: Sequence[Delivery]) -> None:
        lines = [f"batch {one}: claimed still; somebody is writing its files, or was" for one in unwritten]
        lines += [_still(one) for one in left]
        print(*lines[:_MOST_TOLD], sep="\n")
        if len(lines) > _MOST_TOLD:
            print(f"... and {len(lines) - _MOST_TOLD} more: see `batches list`")
        if self._parts.accounting is None:
            print("No accounting CLI is set (CLI_COMMAND): files are written, but not delivered.")
        await print_stop(self._pool)


def _still(delivery: Delivery) -> str:
    told = f"{delivery.file_name}: {delivery.status.value} still"
    if waits_for_another_attempt(delivery) and delivery.not_before is not None:
        told += f", tried again at {instant(delivery.not_before)}"
    return f"{told}: {one_line(delivery.error)}" if delivery.error else told


def _told(settlement: Settlement) -> str:
    outcome = settlement.outcome
    if settlement.retry_in is not None and settlement.confirming:
        return f"to be confirmed by another run: {one_line(outcome.error)}"
    if settlement.retry_in is not None:
        seconds = settlement.retry_in.total_seconds()
        return f"not delivered, tried again in {seconds:g} s: {one_line(outcome.error)}"
    booked = f"{outcome.status.value}, {outcome.accepted_count} booked"
    return f"{booked}: {one_line(outcome.error)}" if outcome.error else booked


def _code(settlement: Settlement) -> ExitCode:
    if settlement.retry_in is not None:
        return ExitCode.OK  # it has not ended, which is told at the end
    match settlement.outcome.status:
        case DeliveryStatus.FAILED:
            return ExitCode.FAILED
        case DeliveryStatus.PARTIAL:
            return ExitCode.PARTIAL
        case _:
            return ExitCode.OK
