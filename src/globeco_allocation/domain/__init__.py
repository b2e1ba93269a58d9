"""The rules of the allocation service, in the standard library alone.

Values and rules are here; what the service does with them over its ports is in
`globeco_allocation.domain.use_cases`.

>>> from datetime import UTC, datetime
>>> trade_date(datetime(2025, 6, 3, 3, 59, 59, tzinfo=UTC)).isoformat()
'2025-06-02'
"""

from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow, PrintedCounts, RunOrder
from globeco_allocation.domain.batch import (
    FILE_FORMAT_VERSION,
    FILE_MAX_RECORDS,
    Batch,
    ClaimTerms,
    Extent,
    FileQuantity,
)
from globeco_allocation.domain.delivery import (
    Delivery,
    DeliveryStatus,
    DeliveryStop,
    Knowledge,
    Outcome,
    PlannedFile,
    RecordVerdict,
    Reject,
    Resolution,
    Settlement,
    WrittenFile,
)
from globeco_allocation.domain.errors import (
    AllocationError,
    CliNotStartedError,
    DeliveryStepError,
    Fault,
    FileNotWrittenError,
    InvalidExecutionError,
    LeaseLostError,
    LookupFailedError,
    RunNotFollowedError,
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
from globeco_allocation.domain.judging import EarlierAttempts, Judge, Judgement, Next
from globeco_allocation.domain.lane import MOST_LANES, lane_of
from globeco_allocation.domain.lease import LEASE_TIME, Holder, Lease, Leased
from globeco_allocation.domain.money import fixed, plain, to_money
from globeco_allocation.domain.retry import RetryTerms
from globeco_allocation.domain.source_id import execution_id_of, source_id
from globeco_allocation.domain.trade_date import trade_date
from globeco_allocation.domain.transaction_file import (
    HEADER,
    RenderedRows,
    file_name,
    plan_files,
    render,
    row_formatter,
)
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
    "FILE_MAX_RECORDS",
    "FIRST_START",
    "HEADER",
    "LEASE_TIME",
    "MOST_LANES",
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
    "DeliveryStop",
    "EarlierAttempts",
    "ErrorRow",
    "Execution",
    "ExecutionFields",
    "Extent",
    "Fault",
    "FileNotWrittenError",
    "FileQuantity",
    "Holder",
    "InvalidExecutionError",
    "Judge",
    "Judgement",
    "Knowledge",
    "Lease",
    "LeaseLostError",
    "Leased",
    "LookupFailedError",
    "NewExecution",
    "Next",
    "Outcome",
    "PlannedFile",
    "PrintedCounts",
    "RecordVerdict",
    "Reject",
    "RenderedRows",
    "Resolution",
    "RetryTerms",
    "RunNotFollowedError",
    "RunOrder",
    "Settlement",
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
    "lane_of",
    "next_start",
    "parse_instant",
    "plain",
    "plan_files",
    "ready_stamp",
    "render",
    "row_formatter",
    "source_id",
    "to_instant",
    "to_money",
    "trade_date",
]
