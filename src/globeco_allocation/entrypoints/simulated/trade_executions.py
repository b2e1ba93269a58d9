"""What the simulated Trade Service's answers hold (contract "Trade Service", "Answer")."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

Json = dict[str, Any]

_FIRST_TIMESTAMP = datetime(2026, 3, 2, 15, tzinfo=UTC)


def execution(execution_service_id: int, position: int, portfolio: Json | None, status: str = "SENT") -> Json:
    """Return one execution, every key in it.

    Args:
        execution_service_id: the id under which the Execution Service knows it.
        position: its place among the executions of that id, from 0.
        portfolio: its order's portfolio, or None for an order without one.
        status: its abbreviation; ``FULL`` is filled.
    """
    number = execution_service_id + position
    timestamp = _FIRST_TIMESTAMP + timedelta(seconds=position)
    return {
        "id": number,
        "executionTimestamp": f"{timestamp:%Y-%m-%dT%H:%M:%SZ}",
        "executionStatus": {"id": 2, "abbreviation": status, "description": status.title(), "version": 1},
        "blotter": {"id": 1, "abbreviation": "Default", "name": "Default", "version": 1},
        "tradeType": {"id": 1, "abbreviation": "BUY", "description": "Buy", "version": 1},
        "tradeOrder": {
            "id": number,
            "orderId": 1000 + number,
            "portfolio": portfolio,
            "security": {"securityId": "68336002fe95851f0a2aeda9", "ticker": "IBM"},
        },
        "destination": {"id": 1, "abbreviation": "ML", "description": "Merrill Lynch", "version": 1},
        "quantityOrdered": Decimal("100.00000000"),
        "quantityPlaced": Decimal("100.00000000"),
        "quantityFilled": Decimal("100.00000000" if status == "FULL" else "0E-8"),
        "limitPrice": None,
        "executionServiceId": execution_service_id,
        "version": 1,
    }


def page(found: list[Json], limit: int, number: int = 0) -> Json:
    """Return a page of what was *found*, at most *limit* executions, numbered from 0."""
    pages = -(-len(found) // limit)
    return {
        "executions": found[number * limit : (number + 1) * limit],
        "pagination": {
            "totalElements": len(found),
            "totalPages": pages,
            "currentPage": number,
            "pageSize": limit,
            "hasNext": number + 1 < pages,
            "hasPrevious": number > 0,
        },
    }
