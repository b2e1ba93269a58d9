"""Where is it: the way of one execution to Portfolio Accounting, as far as it has come."""

from dataclasses import dataclass

from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, RecordVerdict, Reject, Resolution
from globeco_allocation.domain.execution import Execution
from globeco_allocation.domain.lane import lane_of
from globeco_allocation.domain.source_id import source_id
from globeco_allocation.ports.batches import Batches
from globeco_allocation.ports.deliveries import Deliveries
from globeco_allocation.ports.resolutions import Resolutions

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
        status: `WAITING`, `NEVER_READY`, `FOREIGN`, its delivery's while that is under way, and then its own:
            ``delivered``, ``resolved``, or the verdict by which it was not accepted.
        batch_id: Of the batch that holds it, if there is one.
        delivery: Its file, once it is planned; None where the file is not known yet.
        reject: What the last attempt said of it, if it was not accepted.
        resolution: How an operator settled it, or its whole delivery, by hand.
    """

    execution_id: int
    status: str
    batch_id: int | None = None
    delivery: Delivery | None = None
    reject: Reject | None = None
    resolution: Resolution | None = None

    @property
    def source_id(self) -> str:
        """What Portfolio Accounting knows it by."""
        return source_id(self.execution_id)


class FindDelivery:
    """Finds out how far an execution is.

    Args:
        batches: Windows and their terms.
        deliveries: Their files.
        resolutions: What operators settled by hand.
    """

    def __init__(self, batches: Batches, deliveries: Deliveries, resolutions: Resolutions) -> None:
        self._batches = batches
        self._deliveries = deliveries
        self._resolutions = resolutions

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
        reject, resolution = await self._not_accepted(delivery, source_id(execution.id))
        status = _status(delivery, reject, resolution)
        if status == RecordVerdict.UNKNOWN and reject is None and await self._names_all_others(delivery):
            status = DeliveryStatus.DELIVERED
        return Whereabouts(execution.id, status, batch_id, delivery, reject, resolution)

    async def _names_all_others(self, delivery: Delivery) -> bool:
        """Tell whether the last attempt named every record that it did not book."""
        judged = delivery.knowledge.attempt == delivery.attempts and not delivery.knowledge.cut_offs
        return judged and await self._deliveries.reject_of(delivery.id, "") is None

    async def _not_accepted(self, delivery: Delivery, record: str) -> tuple[Reject | None, Resolution | None]:
        """Return what stands against a record, and how it was settled."""
        if delivery.status is DeliveryStatus.DELIVERED:
            return None, None  # what an earlier attempt said of it is over
        reject = await self._deliveries.reject_of(delivery.id, record)
        resolutions = await self._resolutions.of_deliveries((delivery.id,))
        of_it = [one for one in resolutions if one.source_id in {record, ""}]
        return reject, of_it[-1] if of_it else None


def _holds(delivery: Delivery, execution_id: int) -> bool:
    file = delivery.file
    return file is not None and file.first_id <= execution_id <= file.last_id


def _status(delivery: Delivery, reject: Reject | None, resolution: Resolution | None) -> str:
    if not delivery.status.ended:
        return delivery.status
    if reject is None and delivery.outcome is not None and not delivery.outcome.unknown_count:
        return DeliveryStatus.DELIVERED  # whatever became of the others
    if resolution is not None:
        return DeliveryStatus.RESOLVED
    return RecordVerdict.UNKNOWN if reject is None else reject.verdict
