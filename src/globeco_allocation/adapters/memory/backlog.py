"""What is not at its end, in memory."""

from collections.abc import Iterable
from datetime import datetime

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.pending import MemoryPendingExecutions
from globeco_allocation.domain.backlog import MOST_COUNTED, Outstanding, Waiting
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus
from globeco_allocation.domain.pending import PendingStatus

_AT_ITS_END = frozenset({DeliveryStatus.DELIVERED, DeliveryStatus.RESOLVED})


class MemoryBacklog:
    """The twin of `globeco_allocation.ports.backlog.Backlog`.

    Args:
        database: What holds executions, batches and deliveries.
        pending: The pending executions of the same database.
    """

    def __init__(self, database: MemoryDatabase, pending: MemoryPendingExecutions) -> None:
        self._database = database
        self._pending = pending

    async def look(self) -> Outstanding:
        """Count what is outstanding; see the port."""
        database = self._database
        last_start = database.last_start
        stamps = (one.ready_to_send_timestamp for one in database.newest_first())
        pending = await self._pending.listed(limit=MOST_COUNTED)
        deliveries = [row.delivery for row in database.deliveries.values()]
        return Outstanding(
            seen=database.clock.now(),
            executions=_waiting(one for one in stamps if one is not None and one >= last_start),
            pending=_waiting(one.deferred for one in pending if one.status is PendingStatus.PENDING),
            in_error=_waiting(one.deferred for one in pending if one.status is PendingStatus.ERROR),
            batches=_waiting(row.claimed for row in database.batches.values() if not row.batch.prepared),
            deliveries={
                status: _of(one for one in deliveries if one.status is status)
                for status in DeliveryStatus
                if status not in _AT_ITS_END
            },
            stopped=database.stop.since if database.stop else None,
        )


def _waiting(since: Iterable[datetime], records: int = 0) -> Waiting:
    stamps = sorted(since)
    return Waiting(min(len(stamps), MOST_COUNTED), stamps[0] if stamps else None, records)


def _of(deliveries: Iterable[Delivery]) -> Waiting:
    those = tuple(deliveries)
    return _waiting(
        (one.ended if one.status.ended and one.ended else one.created for one in those),
        sum(_records(one) for one in those),
    )


def _records(delivery: Delivery) -> int:
    if not delivery.status.ended:
        return delivery.record_count
    outcome = delivery.outcome
    return 0 if outcome is None else outcome.rejected_count + outcome.unknown_count
