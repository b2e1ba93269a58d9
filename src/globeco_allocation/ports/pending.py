"""The executions that wait for their portfolio."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from globeco_allocation.domain.execution import NewExecution
from globeco_allocation.domain.pending import PendingCounts, PendingExecution, PendingStatus


@dataclass(frozen=True, slots=True)
class Deferral:
    """An execution to be kept as pending, and why its lookup failed."""

    execution: NewExecution
    reason: str


@dataclass(frozen=True, slots=True)
class Setback:
    """A lookup that failed for a passing reason.

    Attributes:
        execution_service_id: Whose.
        reason: Why, for a person.
        pause: How long to wait before the next one.
    """

    execution_service_id: int
    reason: str
    pause: timedelta


class PendingExecutions(Protocol):
    """Pending executions, one for each execution-service id. Every method may raise `StoreUnavailableError`.

    An id may be pending here and kept as an execution at once, after a crash between keeping and `remove`:
    the kept one counts.
    """

    async def defer(self, deferrals: Sequence[Deferral], *, most: int) -> set[int]:
        """Keep executions as pending, to be looked up at once, as long as no more than *most* wait.

        One that waits already changes nothing. One in error begins to wait anew, as it was reported first.
        Their ids differ from each other. How many wait may be known from a second ago: by what is deferred
        within it, elsewhere, *most* may be exceeded, and room that has come back may not be seen.

        Returns:
            The execution-service ids that are pending now; for the others there was no room.
        """
        ...

    async def among(self, execution_service_ids: Collection[int]) -> dict[int, PendingExecution]:
        """Return the pending ones among these, those in error included, by execution-service id."""
        ...

    async def claim(self, *, limit: int, lease: timedelta) -> tuple[PendingExecution, ...]:
        """Take up to *limit* executions that are due; those due first come first.

        Nobody else is given them before *lease* is over: so several processes share the work, and what a
        process took that died comes back.
        """
        ...

    async def put_off(self, setbacks: Sequence[Setback]) -> None:
        """Record failed lookups, and when each is to be repeated; executions not pending stay as they are."""
        ...

    async def give_up(self, reasons: Mapping[int, str]) -> set[int]:
        """Turn pending executions into ``error``, each for a reason, by execution-service id.

        Returns:
            Those that were pending until now.
        """
        ...

    async def remove(self, execution_service_ids: Collection[int]) -> None:
        """Forget executions, whatever their status; nothing happens to those that are not there."""
        ...

    async def retry(self, execution_service_ids: Collection[int] | None = None) -> set[int]:
        """Let executions in error wait anew, to be looked up at once; all of them, or those among these ids.

        Returns:
            Those that were in error until now.
        """
        ...

    async def listed(
        self, *, limit: int, status: PendingStatus | None = None
    ) -> tuple[PendingExecution, ...]:
        """Return up to *limit* executions: those in error first, of each status those that wait longest."""
        ...

    async def counts(self) -> PendingCounts:
        """Count them; takes tens of milliseconds for 100000, so it is not for each request."""
        ...
