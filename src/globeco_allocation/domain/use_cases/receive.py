"""Receive executions: judge each record alone, find its portfolio, keep it or let it wait."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from globeco_allocation.domain.errors import LookupFailedError
from globeco_allocation.domain.execution import AllocatedExecution, NewExecution
from globeco_allocation.domain.pending import PendingStatus
from globeco_allocation.domain.use_cases.findings import Findings
from globeco_allocation.domain.use_cases.receipts import Receipt, Unreadable
from globeco_allocation.ports.executions import Executions
from globeco_allocation.ports.pending import PendingExecutions
from globeco_allocation.ports.portfolios import Portfolios


@dataclass(frozen=True, slots=True)
class DeferTerms:
    """How records are deferred whose lookup fails for a passing reason (design, "Deferral").

    Attributes:
        pending: Where they wait.
        most: So many may wait there; a record beyond that fails.
        lookup_seconds: So long the lookups of one call take in all; one that is not answered by then has
            failed for a passing reason.
    """

    pending: PendingExecutions
    most: int = 100_000
    lookup_seconds: float = 0.3


class ReceiveExecutions:
    """Receives reported executions and answers for each of them, in their order.

    Known ids are found before the Trade Service is asked; lookups run side by side; what is left is kept at
    once, all or none (design, "Create").

    Args:
        executions: Where executions are kept.
        portfolios: Knows their portfolios.
        defer: None lets a record fail whose lookup fails, for whatever reason.
    """

    def __init__(
        self, executions: Executions, portfolios: Portfolios, defer: DeferTerms | None = None
    ) -> None:
        self._executions = executions
        self._portfolios = portfolios
        self._defer = defer

    async def __call__(self, records: Sequence[NewExecution | Unreadable]) -> list[Receipt]:
        """Receive *records*; repeats of an id, also within one call, change nothing.

        Raises:
            StoreUnavailableError: the database is away; ask again with the same records.
        """
        candidates: dict[int, NewExecution] = {}
        for record in records:
            if isinstance(record, NewExecution) and not record.is_open:
                candidates.setdefault(record.execution_service_id, record)
        findings = Findings(candidates)
        if candidates:
            findings.known = await self._executions.known(candidates.keys())
            if self._defer is not None:
                await self._find_waiting(findings, self._defer)
            await self._allocate(findings)
            if self._defer is not None:
                await self._defer_what_is_left(findings, self._defer)
        return [findings.receipt(record) for record in records]

    async def _find_waiting(self, findings: Findings, terms: DeferTerms) -> None:
        if new := [one.execution_service_id for one in findings.unsettled()]:
            findings.waiting = await terms.pending.among(new)
            findings.deferred = {
                key for key, one in findings.waiting.items() if one.status is PendingStatus.PENDING
            }

    async def _allocate(self, findings: Findings) -> None:
        """Look up what is new, and keep what was found."""
        found = await self._look_up_all(findings.unsettled())
        findings.failures = {key: one for key, one in found.items() if isinstance(one, LookupFailedError)}
        allocated = [one for one in found.values() if isinstance(one, AllocatedExecution)]
        findings.kept = await self._executions.keep(allocated) if allocated else {}
        lost_races = [key for key, answer in findings.kept.items() if not answer.new]
        if lost_races:
            findings.known |= await self._executions.known(lost_races)

    async def _look_up_all(
        self, new: Sequence[NewExecution]
    ) -> dict[int, AllocatedExecution | LookupFailedError]:
        until = None
        if self._defer is not None:
            until = asyncio.get_running_loop().time() + self._defer.lookup_seconds
        if len(new) == 1:  # nearly every call: a task for it would be in vain
            return {new[0].execution_service_id: await self._look_up(new[0], until)}
        async with asyncio.TaskGroup() as lookups:
            tasks = {
                execution.execution_service_id: lookups.create_task(self._look_up(execution, until))
                for execution in new
            }
        return {key: task.result() for key, task in tasks.items()}

    async def _look_up(
        self, execution: NewExecution, until: float | None
    ) -> AllocatedExecution | LookupFailedError:
        key = execution.execution_service_id
        try:
            if until is None:
                return AllocatedExecution(execution, await self._portfolios.portfolio_of(key))
            async with asyncio.timeout_at(until):
                return AllocatedExecution(execution, await self._portfolios.portfolio_of(key))
        except LookupFailedError as error:
            return error
        except TimeoutError:
            return LookupFailedError(
                f"the portfolio of execution service id {key} was not known at once", passing=True
            )

    async def _defer_what_is_left(self, findings: Findings, terms: DeferTerms) -> None:
        deferrals = findings.deferrals()
        if not deferrals:
            return
        deferred = await terms.pending.defer(deferrals, most=terms.most)
        findings.deferred |= deferred
        for one in deferrals:
            key = one.execution.execution_service_id
            if key not in deferred:
                findings.failures[key] = LookupFailedError(
                    f"{one.reason} (it cannot wait here: {terms.most} executions do already)", passing=True
                )
