"""What the HTTP entrypoint is given to work with."""

from dataclasses import dataclass
from typing import Protocol

from globeco_allocation.domain.use_cases.receive import ReceiveExecutions
from globeco_allocation.entrypoints.overviews import Overviews
from globeco_allocation.entrypoints.pending_lookups import PendingLookups
from globeco_allocation.entrypoints.sends import Sends
from globeco_allocation.ports.backlog import Backlog
from globeco_allocation.ports.batches import Batches
from globeco_allocation.ports.clock import Clock
from globeco_allocation.ports.deliveries import Deliveries
from globeco_allocation.ports.executions import Executions
from globeco_allocation.ports.resolutions import Resolutions

READY = "ok"
"""What `Readiness.checks` says of a part that works."""


class Readiness(Protocol):
    """Tells whether the service can do its work now."""

    async def checks(self) -> dict[str, str]:
        """Look at every part the service cannot do without; bounded in time.

        Returns:
            By the part's name, `READY` or the reason's name, such as ``unavailable`` or ``migrating``.
        """
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The service's working parts, open.

    Attributes:
        executions: The executions we keep.
        batches: The windows that were claimed.
        deliveries: Their files, and what became of them.
        resolutions: What operators settled by hand.
        backlog: What is not at its end.
        overviews: What an operator sees at a glance.
        receive: The use case behind ``POST /api/v1/executions``.
        pending_lookups: The work in the background on what waits for its portfolio.
        sends: Sends under way.
        readiness: Whether all of it works now.
        clock: The time of day, for the timestamps in error answers.
    """

    executions: Executions
    batches: Batches
    deliveries: Deliveries
    receive: ReceiveExecutions
    pending_lookups: PendingLookups
    resolutions: Resolutions
    backlog: Backlog
    overviews: Overviews
    sends: Sends
    readiness: Readiness
    clock: Clock
