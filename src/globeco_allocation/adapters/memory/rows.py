"""Rows of the in-memory database: what it keeps of batches and deliveries besides what the ports show."""

from dataclasses import dataclass, field
from datetime import datetime

from globeco_allocation.domain.batch import Batch
from globeco_allocation.domain.delivery import Delivery, Reject


@dataclass(eq=False)
class BatchRow:
    """A claimed batch.

    Attributes:
        batch: As the ports show it.
        place: Its place in the queue.
        claimed: When its window was claimed.
        not_before: When its files may be tried again; None: now.
    """

    batch: Batch
    place: int
    claimed: datetime
    not_before: datetime | None = None


@dataclass(eq=False)
class DeliveryRow:
    """A delivery.

    Attributes:
        delivery: As the ports show it.
        place: Its batch's place in the queue, or a later one of its own after a resend.
        rejects: By attempt, as far as they are still needed.
    """

    delivery: Delivery
    place: int
    rejects: dict[int, list[Reject]] = field(default_factory=dict[int, list[Reject]])

    @property
    def position(self) -> tuple[int, int, int]:
        """Where it stands in the queue: by place, then by part."""
        return self.place, self.delivery.part, self.delivery.lane

    @property
    def shown_rejects(self) -> list[Reject]:
        """The rejects of the attempt begun last, or else of the last one that told of any."""
        delivery = self.delivery
        return self.rejects.get(delivery.attempts) or self.rejects.get(delivery.knowledge.attempt) or []
