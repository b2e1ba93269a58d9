"""Values that most unit tests start from."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from globeco_allocation.domain import (
    Batch,
    ClaimTerms,
    Execution,
    ExecutionFields,
    FileQuantity,
    NewExecution,
    Window,
)

REPORT = NewExecution(
    execution_service_id=27,
    is_open=False,
    execution_status="FULL",
    trade_type="BUY",
    destination="ML",
    security_id="68336002fe95851f0a2aeda9",
    ticker="IBM",
    quantity=Decimal(100),
    limit_price=None,
    received_timestamp=datetime(2026, 3, 2, 15, 0, 0, tzinfo=UTC),
    sent_timestamp=datetime(2026, 3, 2, 15, 0, 1, tzinfo=UTC),
    last_fill_timestamp=datetime(2026, 3, 2, 15, 0, 2, tzinfo=UTC),
    quantity_filled=Decimal(100),
    total_amount=Decimal("5012.5"),
    average_price=Decimal("50.125"),
)
PORTFOLIO = "683b6b9620f302c879a5fef4"


@pytest.fixture
def make_report() -> Callable[..., NewExecution]:
    """A sound report, with the fields given by name put in their place."""

    def make(**changes: Any) -> NewExecution:  # noqa: ANN401 (any field, also a wrong value)
        return replace(REPORT, **changes)

    return make


@pytest.fixture
def make_kept() -> Callable[..., Execution]:
    """A kept execution that says what the report says, with the fields given by name put in their place."""

    def make(**changes: Any) -> Execution:  # noqa: ANN401 (any field)
        said = {field.name: getattr(REPORT, field.name) for field in fields(ExecutionFields)}
        ours: dict[str, Any] = {
            "id": 1,
            "trade_date": REPORT.trade_date,
            "portfolio_id": PORTFOLIO,
            "ready_to_send_timestamp": datetime(2026, 3, 2, 15, 1, tzinfo=UTC),
        }
        return Execution(**(said | ours | changes))

    return make


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """A batch that starts at *start*, an hour after the one before it."""

    def make(
        batch_id: int = 7,
        start: datetime = datetime(2026, 3, 2, 16, 0, tzinfo=UTC),
        quantity: FileQuantity = FileQuantity.ORDERED,
    ) -> Batch:
        return Batch(batch_id, Window(start - timedelta(hours=1), start), ClaimTerms(file_quantity=quantity))

    return make
