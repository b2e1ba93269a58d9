"""Receive executions: judge each record alone, find its portfolio, keep it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from globeco_allocation.domain.errors import LookupFailedError
from globeco_allocation.domain.execution import AllocatedExecution, Execution, NewExecution, differing_fields
from globeco_allocation.ports.executions import Executions, Kept
from globeco_allocation.ports.portfolios import Portfolios

STILL_OPEN = "execution is still open"
ALREADY_EXISTS = "execution already exists"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is no execution.

    Attributes:
        execution_service_id: As far as it could be read; else 0.
        message: What is wrong with it, naming the field.
    """

    execution_service_id: int
    message: str


@dataclass(frozen=True, slots=True)
class Created:
    """The execution is kept, under this id of ours."""

    execution_service_id: int
    execution_id: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """The execution was not kept, and need not be.

    Attributes:
        execution_service_id: The record's.
        reason: `STILL_OPEN` or `ALREADY_EXISTS`.
        execution_id: Our id of the one that exists.
        differing: The fields in which this report contradicts the kept one; it is never overwritten.
    """

    execution_service_id: int
    reason: str
    execution_id: int | None = None
    differing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The execution was not kept; the message says why."""

    execution_service_id: int
    message: str


Receipt = Created | Skipped | Failed


class ReceiveExecutions:
    """Receives reported executions and answers for each of them, in their order.

    Known ids are found before the Trade Service is asked; lookups run side by side; what is left is kept at
    once, all or none (design, "Create").
    """

    def __init__(self, executions: Executions, portfolios: Portfolios) -> None:
        self._executions = executions
        self._portfolios = portfolios

    async def __call__(self, records: Sequence[NewExecution | Unreadable]) -> list[Receipt]:
        """Receive *records*; repeats of an id, also within one call, change nothing.

        Raises:
            StoreUnavailableError: the database is away; ask again with the same records.
        """
        candidates: dict[int, NewExecution] = {}
        for record in records:
            if isinstance(record, NewExecution) and not record.is_open:
                candidates.setdefault(record.execution_service_id, record)
        known = await self._executions.known(candidates.keys()) if candidates else {}
        allocated, failures = await self._allocate(
            [new for key, new in candidates.items() if key not in known]
        )
        kept = await self._executions.keep(allocated) if allocated else {}
        lost_races = [key for key, answer in kept.items() if not answer.new]
        if lost_races:
            known = known | await self._executions.known(lost_races)
        findings = _Findings(candidates, known, failures, kept)
        return [findings.receipt(record) for record in records]

    async def _allocate(
        self, new: Sequence[NewExecution]
    ) -> tuple[list[AllocatedExecution], dict[int, LookupFailedError]]:
        async with asyncio.TaskGroup() as lookups:
            tasks = [lookups.create_task(self._look_up(execution)) for execution in new]
        found = [task.result() for task in tasks]
        allocated = [one for one in found if isinstance(one, AllocatedExecution)]
        failures = {
            execution.execution_service_id: one
            for execution, one in zip(new, found, strict=True)
            if isinstance(one, LookupFailedError)
        }
        return allocated, failures

    async def _look_up(self, execution: NewExecution) -> AllocatedExecution | LookupFailedError:
        try:
            portfolio_id = await self._portfolios.portfolio_of(execution.execution_service_id)
        except LookupFailedError as error:
            return error
        return AllocatedExecution(execution, portfolio_id)


@dataclass(frozen=True, slots=True)
class _Findings:
    """What was found out about the ids of one call; it answers for the records in their order."""

    candidates: dict[int, NewExecution]
    known: dict[int, Execution]
    failures: dict[int, LookupFailedError]
    kept: dict[int, Kept]
    created: set[int] = field(default_factory=set[int])

    def receipt(self, record: NewExecution | Unreadable) -> Receipt:
        key = record.execution_service_id
        if isinstance(record, Unreadable):
            return Failed(key, record.message)
        if record.is_open:
            return Skipped(key, STILL_OPEN)
        if key in self.known:
            there = self.known[key]
            return Skipped(key, ALREADY_EXISTS, there.id, differing_fields(record, there))
        if key in self.failures:
            return Failed(key, str(self.failures[key]))
        if self.kept[key].new and key not in self.created:
            self.created.add(key)
            return Created(key, self.kept[key].id)
        first = self.candidates[key]
        return Skipped(key, ALREADY_EXISTS, self.kept[key].id, differing_fields(record, first))
