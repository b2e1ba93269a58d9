"""Where is it: the way of one execution to Portfolio Accounting, as far as it has come."""

from dataclasses import dataclass

from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, RecordVerdict, Reject
from globeco_allocation.domain.execution import Execution
from globeco_allocation.domain.lane import lane_of
from globeco_allocation.domain.source_id import source_id
from globeco_allocation.ports.batches import Batches
from globeco_allocation.ports.deliveries import Deliveries

WAITING = "waiting"
"""No batch has claimed it yet: the next send takes it."""

NEVER_READY = "never ready"
"""It has no ready stamp: no batch will ever hold it."""

FOREIGN = "foreign"
"""It is in a batch of another program, which alone knows what became of it."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """How far an execution is.

    Attributes:
        execution_id: Ours.
        status: `WAITING`, `NEVER_READY`, `FOREIGN`, or its delivery's; where an attempt named it as not
            accepted, that verdict.
        batch_id: Of the batch that holds it, if there is one.
        delivery: Its file, once it is planned; None where the file is not known yet.
        reject: What the last attempt said of it, if it was not accepted.
    """

    execution_id: int
    status: str
    batch_id: int | None = None
    delivery: Delivery | None = None
    reject: Reject | None = None

    @property
    def source_id(self) -> str:
        """What Portfolio Accounting knows it by."""
        return source_id(self.execution_id)


class FindDelivery:
    """Finds out how far an execution is.

    Args:
        batches: Windows and their terms.
        deliveries: Their files.
    """

    def __init__(self, batches: Batches, deliveries: Deliveries) -> None:
        self._batches = batches
        self._deliveries = deliveries

    async def __call__(self, execution: Execution) -> Whereabouts:
        """Look it up.

        Raises:
            StoreUnavailableError: the database is away.
        """
        if execution.ready_to_send_timestamp is None:
            return Whereabouts(execution.id, NEVER_READY)
        holding = await self._batches.holding(execution.ready_to_send_timestamp)
        if holding is None:
            return Whereabouts(execution.id, WAITING)
        batch_id, batch = holding
        if batch is None:
            return Whereabouts(execution.id, FOREIGN, batch_id)
        lane = lane_of(execution.portfolio_id or "", batch.terms.lane_count)
        deliveries = await self._deliveries.of_batches((batch_id,))
        delivery = next((one for one in deliveries if one.lane == lane and _holds(one, execution.id)), None)
        if delivery is None:
            return Whereabouts(execution.id, DeliveryStatus.CLAIMED, batch_id)
        reject = await self._deliveries.reject_of(delivery.id, source_id(execution.id))
        return Whereabouts(execution.id, _status(delivery, reject), batch_id, delivery, reject)


def _holds(delivery: Delivery, execution_id: int) -> bool:
    file = delivery.file
    return file is not None and file.first_id <= execution_id <= file.last_id


def _status(delivery: Delivery, reject: Reject | None) -> str:
    if delivery.status is DeliveryStatus.RESOLVED or not delivery.status.ended:
        return delivery.status
    if reject is not None:
        return reject.verdict
    if delivery.status is DeliveryStatus.PARTIAL:
        return DeliveryStatus.DELIVERED
    unclear = delivery.outcome is not None and delivery.outcome.unknown_count
    return RecordVerdict.UNKNOWN if unclear else delivery.status
