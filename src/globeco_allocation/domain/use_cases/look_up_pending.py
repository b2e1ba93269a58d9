"""Look up what waits for its portfolio: keep what is found, put the rest off, give up where it must be."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from globeco_allocation.domain.errors import LookupFailedError
from globeco_allocation.domain.execution import AllocatedExecution, NewExecution
from globeco_allocation.domain.pending import PendingExecution, pause_after
from globeco_allocation.ports.clock import Clock
from globeco_allocation.ports.executions import Executions
from globeco_allocation.ports.pending import PendingExecutions, Setback
from globeco_allocation.ports.portfolios import Portfolios


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingTerms:
    """How pending executions are looked up.

    Attributes:
        max_age: What has waited for longer is given up when its next lookup fails, too.
        limit: So many are taken at once.
        lookups_at_once: So many lookups are under way at the same time; requests need theirs, too.
        lookup_seconds: A lookup that has not ended by then, counted from the first one's beginning, is put
            off.
        lease: How long what was taken is ours. It is longer than the lookups and the database may take; what
            a process took that died is looked up by another one when it is over (design: within 30 s).
    """

    max_age: timedelta = timedelta(days=1)
    limit: int = 100
    lookups_at_once: int = 16
    lookup_seconds: float = 10.0
    lease: timedelta = timedelta(seconds=25)


@dataclass(frozen=True, slots=True)
class PendingRound:
    """What came of one round of lookups.

    Attributes:
        taken: How many executions were looked at.
        kept: How many of them are executions now, or were before: a crash can leave them pending.
        put_off: Why those were put off whose lookup failed for a passing reason, by execution-service id.
        given_up: Why those were given up that need a person now, by execution-service id.
    """

    taken: int = 0
    kept: int = 0
    put_off: Mapping[int, str] = field(default_factory=dict[int, str])
    given_up: Mapping[int, str] = field(default_factory=dict[int, str])


class LookUpPending:
    """Works off what is pending, one round for each call; several processes may do so side by side.

    A round may break off anywhere: keeping an execution twice changes nothing, and what was taken comes back
    when its lease is over.

    Args:
        pending: What waits.
        executions: Where executions are kept.
        portfolios: Knows their portfolios.
        clock: Tells how long they have waited.
        terms: Limits.
    """

    def __init__(
        self,
        pending: PendingExecutions,
        executions: Executions,
        portfolios: Portfolios,
        clock: Clock,
        terms: PendingTerms,
    ) -> None:
        self._pending = pending
        self._executions = executions
        self._portfolios = portfolios
        self._clock = clock
        self._terms = terms
        self._places = asyncio.Semaphore(terms.lookups_at_once)

    async def __call__(self) -> PendingRound:
        """Take what is due, and look it up.

        Raises:
            StoreUnavailableError: the database is away; whatever was taken comes back.
        """
        taken = await self._pending.claim(limit=self._terms.limit, lease=self._terms.lease)
        if not taken:
            return PendingRound()
        known = await self._executions.known([one.execution.execution_service_id for one in taken])
        left = {
            one.execution.execution_service_id: one
            for one in taken
            if one.execution.execution_service_id not in known
        }
        found, failures = await self._look_up_all([one.execution for one in left.values()])
        await self._keep(found, known)
        put_off = {key: str(error) for key, error in failures.items() if self._may_pass(left[key], error)}
        await self._put_off(left, put_off)
        given_up = await self._give_up({key: str(failures[key]) for key in failures.keys() - put_off.keys()})
        return PendingRound(len(taken), len(known) + len(found), put_off, given_up)

    async def _keep(self, found: Sequence[AllocatedExecution], known: Collection[int]) -> None:
        """Make executions of those found, and only then forget that they waited."""
        if found:
            await self._executions.keep(found)
        if done := [*known, *(one.execution.execution_service_id for one in found)]:
            await self._pending.remove(done)

    async def _put_off(self, taken: Mapping[int, PendingExecution], reasons: Mapping[int, str]) -> None:
        if reasons:
            await self._pending.put_off(
                [
                    Setback(key, reason, pause_after(taken[key].attempts + 1))
                    for key, reason in reasons.items()
                ]
            )

    async def _give_up(self, reasons: Mapping[int, str]) -> dict[int, str]:
        given_up = await self._pending.give_up(reasons) if reasons else set[int]()
        return {key: reasons[key] for key in sorted(given_up)}

    def _may_pass(self, one: PendingExecution, error: LookupFailedError) -> bool:
        return error.passing and self._clock.now() - one.deferred <= self._terms.max_age

    async def _look_up_all(
        self, new: Sequence[NewExecution]
    ) -> tuple[list[AllocatedExecution], dict[int, LookupFailedError]]:
        until = asyncio.get_running_loop().time() + self._terms.lookup_seconds
        async with asyncio.TaskGroup() as lookups:
            tasks = [lookups.create_task(self._look_up(execution, until)) for execution in new]
        ended = [task.result() for task in tasks]
        found = [one for one in ended if isinstance(one, AllocatedExecution)]
        failures = {
            execution.execution_service_id: one
            for execution, one in zip(new, ended, strict=True)
            if isinstance(one, LookupFailedError)
        }
        return found, failures

    async def _look_up(self, execution: NewExecution, until: float) -> AllocatedExecution | LookupFailedError:
        key = execution.execution_service_id
        try:
            async with asyncio.timeout_at(until), self._places:
                return AllocatedExecution(execution, await self._portfolios.portfolio_of(key))
        except LookupFailedError as error:
            return error
        except TimeoutError:
            return LookupFailedError(
                f"no answer in time about execution service id {key}: it is asked for again", passing=True
            )
