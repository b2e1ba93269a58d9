"""Pending executions, in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.storable_text import storable
from globeco_allocation.domain.execution import NewExecution
from globeco_allocation.domain.pending import PendingCounts, PendingExecution, PendingStatus
from globeco_allocation.ports.pending import Deferral, Setback


class MemoryPendingExecutions:
    """The twin of `globeco_allocation.ports.pending.PendingExecutions`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._pending: dict[int, PendingExecution] = {}

    async def defer(self, deferrals: Sequence[Deferral], *, most: int) -> set[int]:
        """Keep executions as pending, as long as there is room; see the port."""
        self._database.answer()
        room = most - len(self._with(PendingStatus.PENDING))
        accepted: set[int] = set()
        for deferral in deferrals:
            key = deferral.execution.execution_service_id
            there = self._pending.get(key)
            if there is None or there.status is PendingStatus.ERROR:
                if room <= 0:
                    continue
                room -= 1
                execution = deferral.execution if there is None else there.execution
                self._pending[key] = self._waiting(execution, deferral.reason)
            accepted.add(key)
        return accepted

    async def among(self, execution_service_ids: Collection[int]) -> dict[int, PendingExecution]:
        """Return the pending ones among these; see the port."""
        self._database.answer()
        return {key: self._pending[key] for key in execution_service_ids if key in self._pending}

    async def claim(self, *, limit: int, lease: timedelta) -> tuple[PendingExecution, ...]:
        """Take executions that are due; see the port."""
        self._database.answer()
        now = self._database.clock.now()
        waiting = self._with(PendingStatus.PENDING)
        due = sorted((one for one in waiting if one.next_attempt <= now), key=lambda one: one.next_attempt)
        taken = tuple(replace(one, next_attempt=now + lease) for one in due[:limit])
        self._put(taken)
        return taken

    async def put_off(self, setbacks: Sequence[Setback]) -> None:
        """Record failed lookups; see the port."""
        self._database.answer()
        now = self._database.clock.now()
        for setback in setbacks:
            there = self._pending.get(setback.execution_service_id)
            if there is not None and there.status is PendingStatus.PENDING:
                self._put(
                    [
                        replace(
                            there,
                            attempts=there.attempts + 1,
                            next_attempt=now + setback.pause,
                            reason=storable(setback.reason),
                        )
                    ]
                )

    async def give_up(self, reasons: Mapping[int, str]) -> set[int]:
        """Turn pending executions into ``error``; see the port."""
        self._database.answer()
        given_up = [
            replace(
                one,
                attempts=one.attempts + 1,
                status=PendingStatus.ERROR,
                reason=storable(reasons[one.execution.execution_service_id]),
            )
            for one in self._with(PendingStatus.PENDING)
            if one.execution.execution_service_id in reasons
        ]
        self._put(given_up)
        return {one.execution.execution_service_id for one in given_up}

    async def remove(self, execution_service_ids: Collection[int]) -> None:
        """Forget executions; see the port."""
        self._database.answer()
        for key in execution_service_ids:
            self._pending.pop(key, None)

    async def retry(self, execution_service_ids: Collection[int] | None = None) -> set[int]:
        """Let executions in error wait anew; see the port."""
        self._database.answer()
        revived = {
            one.execution.execution_service_id: self._waiting(one.execution, one.reason)
            for one in self._with(PendingStatus.ERROR)
            if execution_service_ids is None or one.execution.execution_service_id in execution_service_ids
        }
        self._pending |= revived
        return set(revived)

    async def listed(
        self, *, limit: int, status: PendingStatus | None = None
    ) -> tuple[PendingExecution, ...]:
        """Return some executions, those in error first; see the port."""
        self._database.answer()
        found = [one for one in self._pending.values() if status in {None, one.status}]
        found.sort(
            key=lambda one: (
                one.status is PendingStatus.PENDING,
                one.deferred,
                one.execution.execution_service_id,
            )
        )
        return tuple(found[:limit])

    async def counts(self) -> PendingCounts:
        """Count them; see the port."""
        self._database.answer()
        return PendingCounts(len(self._with(PendingStatus.PENDING)), len(self._with(PendingStatus.ERROR)))

    def _with(self, status: PendingStatus) -> list[PendingExecution]:
        return [one for one in self._pending.values() if one.status is status]

    def _put(self, changed: Collection[PendingExecution]) -> None:
        self._pending |= {one.execution.execution_service_id: one for one in changed}

    def _waiting(self, execution: NewExecution, reason: str) -> PendingExecution:
        now = self._database.clock.now()
        return PendingExecution(execution, now, 0, now, PendingStatus.PENDING, storable(reason))
