"""What must come: when faults stop, everything ends well within bounded time, and nothing is lost."""

from tests.simulation.faults import CALM
from tests.simulation.replica import RETRY
from tests.simulation.world import UnsafeError, World

from globeco_allocation.adapters.memory.rows import DeliveryRow
from globeco_allocation.domain.delivery import DeliveryStatus, RecordVerdict

_PATIENCE_SECONDS = 900.0
_WELL = frozenset({DeliveryStatus.DELIVERED, DeliveryStatus.PARTIAL, DeliveryStatus.RESOLVED})


class StuckError(AssertionError):
    """Faults have stopped, and something does not come to its end."""


def come_to_an_end(world: World) -> None:
    """Stop all faults, and make sure that everything ends.

    First by itself: only what used up its attempts may have failed. Then an operator sends that again.

    Raises:
        StuckError: something does not.
        UnsafeError: something happens that must never happen.
    """
    world.set_odds(CALM)
    world.books.calm_down()
    world.note("world", "CALM")
    _let_everything_end(world)
    _only_what_was_tried_often_has_failed(world)
    _send_until_all_is_claimed(world)
    _let_everything_end(world)
    for number in range(len(world.database.batches)):
        world.resend(number)
    _let_everything_end(world)
    _all_is_well(world)
    _nothing_is_lost(world)
    world.check_safety()


def _let_everything_end(world: World) -> None:
    until = world.loop.seconds + _PATIENCE_SECONDS
    while world.database.stop is not None or world.books.under_way or _open_ends(world):
        world.start_all()  # not only once: a crash that was decided before the calm may come late
        world.wait(2.0)
        world.clear_stop(mend=True)
        if world.loop.seconds > until:
            raise StuckError("; ".join(_open_ends(world)))


def _open_ends(world: World) -> list[str]:
    ends = [f"batch {key}" for key, row in world.database.batches.items() if not row.batch.prepared]
    rows = world.database.deliveries.values()
    return ends + [str(row.delivery) for row in rows if not row.delivery.status.ended]


def _send_until_all_is_claimed(world: World) -> None:
    until = world.loop.seconds + _PATIENCE_SECONDS
    while world.unclaimed():
        world.start_all()
        world.send(0)
        world.wait(2.0)
        if world.loop.seconds > until:
            raise StuckError("no send claims what was kept")


def _only_what_was_tried_often_has_failed(world: World) -> None:
    for row in world.database.deliveries.values():
        one = row.delivery
        if one.status is DeliveryStatus.FAILED and not (_is_judged(row) or one.tries >= RETRY.attempts):
            collision = any(reject.verdict is RecordVerdict.DUPLICATE for reject in row.shown_rejects)
            if not collision:
                raise StuckError(f"given up too early: {one}")


def _all_is_well(world: World) -> None:
    for row in world.database.deliveries.values():
        if row.delivery.status not in _WELL and not _is_judged(row):
            raise StuckError(f"still {row.delivery}")


def _is_judged(row: DeliveryRow) -> bool:
    outcome = row.delivery.outcome
    return outcome is not None and not outcome.unknown_count


def _nothing_is_lost(world: World) -> None:
    """Every execution was in a file, unless an operator settled by hand what was never written."""
    in_files = world.watch.ids_in_files()
    for batch_id, row in world.database.batches.items():
        kept = {one.id for one in world.database.in_window(row.batch.window)}
        never_written = sum(
            one.delivery.record_count
            for one in world.database.deliveries.values()
            if one.delivery.batch_id == batch_id and one.delivery.file is None
        )
        if len(kept - in_files) > never_written:
            raise UnsafeError(f"lost of batch {batch_id}: {sorted(kept - in_files)}")
