"""``batches list`` and ``batches show``: batches for a person or a script."""

import argparse
import re
import sys
from collections.abc import Sequence

import msgspec

from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.deliveries import PostgresDeliveries
from globeco_allocation.adapters.postgres.pool import Pool
from globeco_allocation.adapters.postgres.resolutions import PostgresResolutions
from globeco_allocation.domain.batch import Batch
from globeco_allocation.domain.delivery import Delivery, Reject, Resolution
from globeco_allocation.entrypoints.commands.tables import count, instant, one_line, table
from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.entrypoints.http.batch_answers import batch_answer, batch_list_answer
from globeco_allocation.entrypoints.send_report import batch_status, waits_for_another_attempt
from globeco_allocation.entrypoints.settings import Settings

_BATCH_TITLES = ("BATCH", "CLAIMED AT", "STATUS", "FILES", "RECORDS")
_FILE_TITLES = ("FILE", "STATUS", "ATTEMPTS", "RECORDS", "BOOKED", "REJECTED", "UNKNOWN")
_STEERING = re.compile(
    "[\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
)  # what JSON leaves as it is, and terminals obey
_REJECT_TITLES = ("  RECORD", "VERDICT", "REASON")


async def list_batches(arguments: argparse.Namespace, settings: Settings, pool: Pool) -> ExitCode:
    """Print the newest batches."""
    del settings
    page = await PostgresBatches(pool).page(limit=arguments.limit, offset=0)
    deliveries = await PostgresDeliveries(pool).of_batches([one.id for one in page.batches])
    if arguments.json:
        print(_json(batch_list_answer(page, deliveries, arguments.limit, 0)))
        return ExitCode.OK
    of_batch: dict[int, list[Delivery]] = {one.id: [] for one in page.batches}
    for one in deliveries:
        of_batch[one.batch_id].append(one)
    lines = table(_BATCH_TITLES, [_batch(one, of_batch[one.id]) for one in page.batches])
    total = f"{count(page.total, 'batch', 'batches')} in all; {len(page.batches)} shown"
    print(*lines, total, sep="\n")
    await print_stop(pool)
    return ExitCode.OK


async def show_batch(arguments: argparse.Namespace, settings: Settings, pool: Pool) -> ExitCode:
    """Print one batch with its files, and what was rejected and resolved of them."""
    del settings
    deliveries = PostgresDeliveries(pool)
    batch = await PostgresBatches(pool).get(arguments.batch)
    if batch is None:
        return no_batch(arguments.batch)
    files = await deliveries.of_batches((batch.id,))
    # One more than is shown tells whether there are more.
    rejects = {one.id: await deliveries.rejects(one.id, limit=arguments.rejects + 1) for one in files}
    shown = {key: some[: arguments.rejects] for key, some in rejects.items()}
    resolutions = await PostgresResolutions(pool).of_deliveries([one.id for one in files])
    if arguments.json:
        print(_json(batch_answer(batch, files, shown, resolutions, await deliveries.stop())))
        return ExitCode.OK
    window = f"{instant(batch.window.previous_start)} to {instant(batch.start)}"
    title = f"Batch {batch.id}: {batch_status(batch, files)}, ready from {window}"
    print(title, *table(_FILE_TITLES, [_file(one) for one in files]), sep="\n")
    for one in files:
        own = [each for each in resolutions if each.delivery_id == one.id]
        lines = [*_trouble(one), *_rejects(shown[one.id]), *_resolutions(own)]
        if len(rejects[one.id]) > len(shown[one.id]):
            lines.append(f"  the first {len(shown[one.id])} rejects; more with --rejects N")
        if lines:
            print(f"\n{one.file_name}", *lines, sep="\n")
    await print_stop(pool)
    return ExitCode.OK


async def print_stop(pool: Pool) -> None:
    """Say why nothing is delivered anywhere, if that is so."""
    stop = await PostgresDeliveries(pool).stop()
    if stop is not None:
        print(
            f"ALL DELIVERY IS STOPPED since {instant(stop.since)}, by batch {stop.batch_id}:"
            f" {one_line(stop.reason)}\nOnce that is understood: batches resolve --stop --reason ..."
        )


def no_batch(batch_id: int) -> ExitCode:
    """Say that a batch is unknown: there is none, or it is the Go implementation's."""
    print(f"globeco-allocation: there is no batch {batch_id} of this service", file=sys.stderr)
    return ExitCode.FAILED


def _batch(batch: Batch, files: Sequence[Delivery]) -> tuple[str, ...]:
    status = batch_status(batch, files)
    if any(waits_for_another_attempt(one) for one in files):
        status += ", waits for another attempt"
    records = sum(one.record_count for one in files)
    return (str(batch.id), instant(batch.start), status, str(len(files)), str(records))


def _file(delivery: Delivery) -> tuple[str, ...]:
    outcome = delivery.outcome
    counts = (
        (outcome.accepted_count, outcome.rejected_count, outcome.unknown_count) if outcome else ("-",) * 3
    )
    return (
        delivery.file_name,
        delivery.status.value,
        str(delivery.attempts),
        str(delivery.record_count),
        *map(str, counts),
    )


def _trouble(delivery: Delivery) -> list[str]:
    lines = [f"  {one_line(delivery.error)}"] if delivery.error else []
    if waits_for_another_attempt(delivery) and delivery.not_before is not None:
        lines.append(f"  tried again at {instant(delivery.not_before)}")
    return lines


def _rejects(rejects: Sequence[Reject]) -> list[str]:
    # One without a source id is a row of the error file that names none.
    rows = [(f"  {one.source_id or '-'}", one.verdict.value, one_line(one.reason)) for one in rejects]
    return table(_REJECT_TITLES, rows)


def _resolutions(resolutions: Sequence[Resolution]) -> list[str]:
    return [
        f"  {one_line(one.source_id) or 'the whole file'}: resolved {instant(one.resolved)}"
        f" by {one_line(one.resolved_by)}: {one_line(one.reason)}"
        for one in resolutions
    ]


def _json(answer: object) -> str:
    text = msgspec.json.format(msgspec.json.encode(answer), indent=2).decode()
    return _STEERING.sub(lambda one: f"\\u{ord(one[0]):04x}", text)  # it can only stand within a string
