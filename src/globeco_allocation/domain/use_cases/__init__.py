"""What the service does, as plain async code over the ports."""

from globeco_allocation.domain.use_cases.deliver import DeliverFile
from globeco_allocation.domain.use_cases.look_up_pending import LookUpPending, PendingRound, PendingTerms
from globeco_allocation.domain.use_cases.prepare import PrepareBatch
from globeco_allocation.domain.use_cases.receipts import (
    Created,
    Deferred,
    Failed,
    Receipt,
    Skipped,
    Unreadable,
)
from globeco_allocation.domain.use_cases.receive import DeferTerms, ReceiveExecutions
from globeco_allocation.domain.use_cases.send import SendBatch
from globeco_allocation.domain.use_cases.work_off import WorkOff

__all__ = [
    "Created",
    "DeferTerms",
    "Deferred",
    "DeliverFile",
    "Failed",
    "LookUpPending",
    "PendingRound",
    "PendingTerms",
    "PrepareBatch",
    "Receipt",
    "ReceiveExecutions",
    "SendBatch",
    "Skipped",
    "Unreadable",
    "WorkOff",
]
