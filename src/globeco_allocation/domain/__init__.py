"""The rules of the allocation service, in the standard library alone.

Values and rules are here; what the service does with them over its ports is in
`globeco_allocation.domain.use_cases`.

>>> from datetime import UTC, datetime
>>> trade_date(datetime(2025, 6, 3, 3, 59, 59, tzinfo=UTC)).isoformat()
'2025-06-02'
"""

from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow, PrintedCounts
from globeco_allocation.domain.batch import FILE_FORMAT_VERSION, Batch, ClaimTerms, FileQuantity
from globeco_allocation.domain.delivery import (
    Delivery,
    DeliveryStatus,
    Outcome,
    RecordVerdict,
    Reject,
    WrittenFile,
)
from globeco_allocation.domain.errors import (
    AllocationError,
    CliNotStartedError,
    DeliveryStepError,
    Fault,
    FileNotWrittenError,
    InvalidExecutionError,
    LookupFailedError,
    StoreUnavailableError,
    WindowTakenError,
)
from globeco_allocation.domain.execution import (
    AllocatedExecution,
    Execution,
    ExecutionFields,
    NewExecution,
    TradeType,
    check_portfolio_id,
    differing_fields,
)
from globeco_allocation.domain.instant import parse_instant, to_instant
from globeco_allocation.domain.money import fixed, plain, to_money
from globeco_allocation.domain.source_id import execution_id_of, source_id
from globeco_allocation.domain.trade_date import trade_date
from globeco_allocation.domain.transaction_file import HEADER, file_name, row_formatter
from globeco_allocation.domain.verdict import Judge
from globeco_allocation.domain.window import (
    BEFORE_FIRST_START,
    FIRST_START,
    TICK,
    Window,
    next_start,
    ready_stamp,
)

__all__ = [
    "BEFORE_FIRST_START",
    "FILE_FORMAT_VERSION",
    "FIRST_START",
    "HEADER",
    "TICK",
    "AccountingRun",
    "AllocatedExecution",
    "AllocationError",
    "Batch",
    "ClaimTerms",
    "CliNotStartedError",
    "Delivery",
    "DeliveryStatus",
    "DeliveryStepError",
    "ErrorRow",
    "Execution",
    "ExecutionFields",
    "Fault",
    "FileNotWrittenError",
    "FileQuantity",
    "InvalidExecutionError",
    "Judge",
    "LookupFailedError",
    "NewExecution",
    "Outcome",
    "PrintedCounts",
    "RecordVerdict",
    "Reject",
    "StoreUnavailableError",
    "TradeType",
    "Window",
    "WindowTakenError",
    "WrittenFile",
    "check_portfolio_id",
    "differing_fields",
    "execution_id_of",
    "file_name",
    "fixed",
    "next_start",
    "parse_instant",
    "plain",
    "ready_stamp",
    "row_formatter",
    "source_id",
    "to_instant",
    "to_money",
    "trade_date",
]
