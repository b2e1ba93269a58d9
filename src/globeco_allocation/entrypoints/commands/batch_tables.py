"""``batches list`` and ``batches show``: batches for a person or a script."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.deliveries import PostgresDeliveries
from globeco_allocation.adapters.postgres.pool import Pool
from globeco_allocation.adapters.postgres.resolutions import PostgresResolutions
from globeco_allocation.domain.delivery import Delivery, Reject, Resolution
from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.entrypoints.http.batch_answers import batch_answer, batch_list_answer
from globeco_allocation.entrypoints.send_report import batch_status, waits_for_another_attempt
from globeco_allocation.entrypoints.settings import Settings

_BATCH_TITLES = ("BATCH", "CLAIMED AT", "STATUS", "FILES", "RECORDS")
_FILE_TITLES = ("FILE", "STATUS", "ATTEMPTS", "RECORDS", "BOOKED", "REJECTED", "UNKNOWN")
_REJECT_TITLES = ("RECORD", "VERDICT", "REASON")


async def list_batches(arguments: argparse.Namespace, settings: Settings, pool: Pool) -> ExitCode:
    """Print the newest batches."""
    del settings
    page = await PostgresBatches(pool).page(limit=arguments.limit, offset=0)
    deliveries = await PostgresDeliveries(pool).of_batches([one.id for one in page.batches])
    if arguments.json:
        print(msgspec.json.encode(batch_list_answer(page, deliveries, arguments.limit, 0)).decode())
        return ExitCode.OK
    rows: list[tuple[str, ...]] = []
    for batch in page.batches:
        own = [one for one in deliveries if one.batch_id == batch.id]
        records = sum(one.record_count for one in own)
        rows.append(
            (str(batch.id), _instant(batch.start), batch_status(batch, own), str(len(own)), str(records))
        )
    _print_table(_BATCH_TITLES, rows)
    print(f"{page.total} in all; {len(rows)} shown")
    await _print_stop(pool)
    return ExitCode.OK


async def show_batch(arguments: argparse.Namespace, settings: Settings, pool: Pool) -> ExitCode:
    """Print one batch with its files, and what was rejected and resolved of them."""
    del settings
    batches, deliveries = PostgresBatches(pool), PostgresDeliveries(pool)
    batch = await batches.get(arguments.batch)
    if batch is None:
        print(f"There is no batch {arguments.batch} of this service.")
        return ExitCode.FAILED
    files = await deliveries.of_batches((batch.id,))
    rejects = {one.id: await deliveries.rejects(one.id, limit=arguments.rejects) for one in files}
    resolutions = await PostgresResolutions(pool).of_deliveries([one.id for one in files])
    if arguments.json:
        answer = batch_answer(batch, files, rejects, resolutions, await deliveries.stop())
        print(msgspec.json.encode(answer).decode())
        return ExitCode.OK
    window = f"{_instant(batch.window.previous_start)} to {_instant(batch.start)}"
    print(f"Batch {batch.id}: {batch_status(batch, files)}, ready from {window}")
    _print_table(_FILE_TITLES, [_file(one) for one in files])
    for one in files:
        _print_details(one, rejects[one.id], [each for each in resolutions if each.delivery_id == one.id])
    await _print_stop(pool)
    return ExitCode.OK


async def _print_stop(pool: Pool) -> None:
    stop = await PostgresDeliveries(pool).stop()
    if stop is not None:
        print(
            f"All delivery is stopped since {_instant(stop.since)}, by batch {stop.batch_id}: {stop.reason}"
        )


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


def _print_details(delivery: Delivery, rejects: Sequence[Reject], resolutions: Sequence[Resolution]) -> None:
    if delivery.error:
        print(f"\n{delivery.file_name}: {delivery.error}")
    if waits_for_another_attempt(delivery) and delivery.not_before is not None:
        print(f"{delivery.file_name}: tried again at {_instant(delivery.not_before)}")
    if rejects:
        _print_table(
            _REJECT_TITLES, [(one.source_id, one.verdict.value, _line(one.reason)) for one in rejects]
        )
    for one in resolutions:
        what = one.source_id or "the whole file"
        print(f"{what}: resolved {_instant(one.resolved)} by {one.resolved_by}: {_line(one.reason)}")


def _print_table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    if not rows:
        return
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(len(titles))]
    for row in (titles, *rows):
        print("  ".join(map(str.ljust, row, widths)).rstrip())


def _line(text: str) -> str:
    return " ".join(text.split())


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
