"""What came in and what went out lately, in memory."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus
from globeco_allocation.ports.activity import Delivered, Stretches

_TROUBLED = frozenset({DeliveryStatus.FAILED, DeliveryStatus.PARTIAL})


class MemoryActivity:
    """The twin of `globeco_allocation.ports.activity.Activity`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def became_ready(self, stretches: Stretches, *, most: int) -> Mapping[datetime, int]:
        """Count executions by their ready stamps; see the port."""
        stamps = [one.ready_to_send_timestamp for one in self._database.newest_first()]
        those = sorted((one for one in stamps if one is not None and _holds(stretches, one)), reverse=True)
        return Counter(stretches.start_of(one) for one in those[:most])

    async def delivered(self, stretches: Stretches, *, most: int) -> Mapping[datetime, Delivered]:
        """Sum up the newest files; see the port."""
        batches: dict[datetime, set[int]] = defaultdict(set)
        booked, rejected, unknown = Counter[datetime](), Counter[datetime](), Counter[datetime]()
        for one in self._newest(most):
            if _holds(stretches, one.created):
                batches[stretches.start_of(one.created)].add(one.batch_id)
            if one.ended is not None and one.outcome is not None and _holds(stretches, one.ended):
                start = stretches.start_of(one.ended)
                booked[start] += one.outcome.accepted_count
                rejected[start] += one.outcome.rejected_count
                unknown[start] += one.outcome.unknown_count
        return {
            start: Delivered(len(batches.get(start, ())), booked[start], rejected[start], unknown[start])
            for start in batches.keys() | booked.keys()
        }

    async def troubled(self, *, batches: int, most: int) -> Sequence[int]:
        """Return batches with failed or partial files; see the port."""
        those = [one for one in self._newest() if one.status in _TROUBLED]
        those.sort(key=_end, reverse=True)
        return sorted({one.batch_id for one in those[:most]}, reverse=True)[:batches]

    def _newest(self, most: int | None = None) -> list[Delivery]:
        self._database.answer()
        rows = self._database.deliveries
        return [rows[key].delivery for key in sorted(rows, reverse=True)[:most]]


def _end(delivery: Delivery) -> datetime:
    return delivery.ended or delivery.created


def _holds(stretches: Stretches, instant: datetime) -> bool:
    return stretches.since <= instant < stretches.until
