"""What is found out about the records of one call, step by step, and the receipts that follow from it."""

from dataclasses import dataclass, field

from globeco_allocation.domain.errors import LookupFailedError
from globeco_allocation.domain.execution import Execution, NewExecution, differing_fields
from globeco_allocation.domain.pending import PendingExecution, PendingStatus
from globeco_allocation.domain.use_cases.receipts import (
    ALREADY_EXISTS,
    STILL_OPEN,
    Created,
    Deferred,
    Failed,
    Receipt,
    Skipped,
    Unreadable,
)
from globeco_allocation.ports.executions import Kept
from globeco_allocation.ports.pending import Deferral


@dataclass(slots=True)
class Findings:
    """What is known of the ids of one call; each step of receiving adds its part.

    Attributes:
        candidates: The first report of each id that may become an execution.
        known: Executions that were kept before.
        waiting: Executions that were deferred before.
        failures: Lookups that failed.
        kept: What was kept now.
        deferred: What was deferred now.
    """

    candidates: dict[int, NewExecution]
    known: dict[int, Execution] = field(default_factory=dict[int, Execution])
    waiting: dict[int, PendingExecution] = field(default_factory=dict[int, PendingExecution])
    failures: dict[int, LookupFailedError] = field(default_factory=dict[int, LookupFailedError])
    kept: dict[int, Kept] = field(default_factory=dict[int, Kept])
    deferred: set[int] = field(default_factory=set[int])
    _created: set[int] = field(default_factory=set[int])

    def unsettled(self) -> list[NewExecution]:
        """Return the candidates that were neither kept nor deferred before."""
        settled = self.known.keys() | self.waiting.keys()
        return [one for key, one in self.candidates.items() if key not in settled]

    def deferrals(self) -> list[Deferral]:
        """Return what is to wait: lookups that may succeed later, and what was in error and is asked for."""
        reasons = {key: str(error) for key, error in self.failures.items() if error.passing}
        for key, one in self.waiting.items():
            if one.status is PendingStatus.ERROR:
                reasons[key] = one.reason
        return [Deferral(self.candidates[key], reason) for key, reason in reasons.items()]

    def receipt(self, record: NewExecution | Unreadable) -> Receipt:
        """Answer for a record; to be asked in the records' order, once for each."""
        key = record.execution_service_id
        if isinstance(record, Unreadable):
            return Failed(key, record.message)
        return Skipped(key, STILL_OPEN) if record.is_open else self._receipt(key, record)

    def _receipt(self, key: int, record: NewExecution) -> Receipt:
        if key in self.known:
            there = self.known[key]
            return Skipped(key, ALREADY_EXISTS, there.id, differing_fields(record, there))
        first = self.waiting[key].execution if key in self.waiting else self.candidates[key]
        if key in self.deferred:
            return Deferred(key, differing_fields(record, first))
        if key in self.failures:
            return Failed(key, str(self.failures[key]))
        if self.kept[key].new and key not in self._created:
            self._created.add(key)
            return Created(key, self.kept[key].id)
        return Skipped(key, ALREADY_EXISTS, self.kept[key].id, differing_fields(record, first))
