"""What the service does, as plain async code over the ports."""

from globeco_allocation.domain.use_cases.deliver import DeliverFile
from globeco_allocation.domain.use_cases.receive import (
    Created,
    Failed,
    Receipt,
    ReceiveExecutions,
    Skipped,
    Unreadable,
)
from globeco_allocation.domain.use_cases.send import SendBatch

__all__ = [
    "Created",
    "DeliverFile",
    "Failed",
    "Receipt",
    "ReceiveExecutions",
    "SendBatch",
    "Skipped",
    "Unreadable",
]
