"""The executions we keep."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from globeco_allocation.domain.execution import AllocatedExecution, Execution


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer to keeping an execution.

    Attributes:
        id: Ours, rising, with gaps.
        new: False when an execution of its execution-service id was kept before.
    """

    id: int
    new: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Some executions, newest first, and how many there are in all."""

    executions: tuple[Execution, ...]
    total: int


class Executions(Protocol):
    """Executions, one for each execution-service id. Every method may raise `StoreUnavailableError`."""

    async def keep(self, allocated: Sequence[AllocatedExecution]) -> dict[int, Kept]:
        """Keep executions, all or none, each stamped so that it falls into exactly one batch window.

        Asking again changes nothing and uses up no ids. The execution-service ids in *allocated* differ from
        each other.

        Returns:
            One answer per execution-service id.

        Raises:
            StoreUnavailableError: no answer in time; they may be kept all the same: ask again.
        """
        ...

    async def known(self, execution_service_ids: Collection[int]) -> dict[int, Execution]:
        """Return the kept executions among these, by execution-service id."""
        ...

    async def get(self, execution_id: int) -> Execution | None:
        """Return the execution of this id of ours, or None. *execution_id* is any integer."""
        ...

    async def page(self, *, limit: int, offset: int) -> Page:
        """Return up to *limit* executions by descending id, leaving out the first *offset* of them."""
        ...
