"""The bodies that are answered, and their JSON: exact numbers, RFC 3339 times in UTC."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from globeco_allocation.domain.execution import Execution
from globeco_allocation.domain.money import plain
from globeco_allocation.domain.use_cases.receipts import Created, Deferred, Failed, Receipt
from globeco_allocation.entrypoints.http.reply import Reply
from globeco_allocation.entrypoints.send_report import SendReport
from globeco_allocation.ports.executions import Page

_encode = msgspec.json.Encoder().encode
_NULL = msgspec.Raw(b"null")


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """The root of all answer bodies: their names are in camel case."""


class ErrorAnswer(Answer, frozen=True):
    """Every 4xx and 5xx, but for Create's 400 with all records failed and /readyz's 503."""

    message: str
    status: int
    timestamp: datetime
    details: Any = msgspec.UNSET


class ExecutionAnswer(Answer, frozen=True):
    """One kept execution; amounts are JSON numbers, digit by digit what is kept."""

    id: int
    execution_service_id: int
    is_open: bool
    execution_status: str
    trade_type: str
    destination: str
    security_id: str
    portfolio_id: str | None
    ticker: str
    quantity: msgspec.Raw
    limit_price: msgspec.Raw
    received_timestamp: datetime
    sent_timestamp: datetime
    last_fill_timestamp: datetime | None
    quantity_filled: msgspec.Raw
    total_amount: msgspec.Raw
    average_price: msgspec.Raw
    version: int


class Pagination(Answer, frozen=True):
    """Where a page stands; ``current_page`` counts from 0."""

    total_elements: int
    total_pages: int
    current_page: int
    page_size: int
    has_next: bool
    has_previous: bool


class ExecutionListAnswer(Answer, frozen=True):
    """A page of executions."""

    executions: list[ExecutionAnswer]
    pagination: Pagination


class ResultAnswer(Answer, frozen=True):
    """What came of one record."""

    execution_service_id: int
    status: str
    error: str | msgspec.UnsetType = msgspec.UNSET
    execution_id: int | msgspec.UnsetType = msgspec.UNSET


class CreateAnswer(Answer, frozen=True):
    """What came of every record, in the request's order."""

    processed_count: int
    skipped_count: int
    error_count: int
    results: list[ResultAnswer]


class SendAnswer(Answer, frozen=True):
    """How far a batch is; ``job_name`` and ``job_status`` are empty where no Kubernetes Job runs."""

    processed_count: int
    file_name: str
    status: str
    message: str
    batch_id: int
    job_name: str
    job_status: str
    execution_mode: str


class HealthAnswer(Answer, frozen=True):
    """The process is alive."""

    status: str
    version: str


class ReadinessAnswer(Answer, frozen=True):
    """Whether the service can work, and what it looked at."""

    status: str
    checks: dict[str, str]


def json_reply(body: Answer, status: int, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer *body* as JSON."""
    return Reply(_encode(body), status, headers=headers)


def execution_answer(execution: Execution) -> ExecutionAnswer:
    """Show an execution as it is kept."""
    return ExecutionAnswer(
        id=execution.id,
        execution_service_id=execution.execution_service_id,
        is_open=execution.is_open,
        execution_status=execution.execution_status,
        trade_type=execution.trade_type,
        destination=execution.destination,
        security_id=execution.security_id,
        portfolio_id=execution.portfolio_id,
        ticker=execution.ticker,
        quantity=_number(execution.quantity),
        limit_price=_number(execution.limit_price),
        received_timestamp=execution.received_timestamp.astimezone(UTC),
        sent_timestamp=execution.sent_timestamp.astimezone(UTC),
        last_fill_timestamp=execution.last_fill_timestamp and execution.last_fill_timestamp.astimezone(UTC),
        quantity_filled=_number(execution.quantity_filled),
        total_amount=_number(execution.total_amount),
        average_price=_number(execution.average_price),
        version=execution.version,
    )


def execution_list_answer(page: Page, limit: int, offset: int) -> ExecutionListAnswer:
    """Show a page of executions that left out the first *offset*."""
    return ExecutionListAnswer(
        executions=[execution_answer(one) for one in page.executions],
        pagination=pagination(page.total, limit, offset),
    )


def pagination(total: int, limit: int, offset: int) -> Pagination:
    """Tell where a page stands that left out the first *offset*."""
    return Pagination(
        total_elements=total,
        total_pages=-(-total // limit),
        current_page=offset // limit,
        page_size=limit,
        has_next=offset + limit < total,
        has_previous=offset > 0,
    )


def create_answer(receipts: list[Receipt]) -> CreateAnswer:
    """Tell what came of each record."""
    results = [_result(one) for one in receipts]
    statuses = [one.status for one in results]
    return CreateAnswer(
        processed_count=statuses.count("created") + statuses.count("deferred"),
        skipped_count=statuses.count("skipped"),
        error_count=statuses.count("error"),
        results=results,
    )


def send_answer(report: SendReport) -> SendAnswer:
    """Tell how far a send is."""
    return SendAnswer(
        processed_count=report.processed_count,
        file_name=report.file_name,
        status=report.status.value,
        message=report.message,
        batch_id=report.batch_id,
        job_name=report.job_name,
        job_status=report.job_status,
        execution_mode=report.execution_mode,
    )


def _result(receipt: Receipt) -> ResultAnswer:
    key = receipt.execution_service_id
    if isinstance(receipt, Created):
        return ResultAnswer(key, "created", execution_id=receipt.execution_id)
    if isinstance(receipt, Deferred):
        return ResultAnswer(key, "deferred")
    if isinstance(receipt, Failed):
        return ResultAnswer(key, "error", error=receipt.message)
    known = msgspec.UNSET if receipt.execution_id is None else receipt.execution_id
    return ResultAnswer(key, "skipped", error=receipt.reason, execution_id=known)


def _number(amount: Decimal | None) -> msgspec.Raw:
    # A row that another program stored may hold NaN, which JSON cannot say.
    return _NULL if amount is None or not amount.is_finite() else msgspec.Raw(plain(amount).encode())
