"""Records as the confirmation client posts them."""


def record(execution_service_id: int) -> dict[str, object]:
    """Return a filled execution."""
    return {
        "executionServiceId": execution_service_id,
        "isOpen": False,
        "executionStatus": "FULL",
        "tradeType": "BUY",
        "destination": "ML",
        "securityId": "68336002fe95851f0a2aeda9",
        "ticker": "IBM",
        "quantity": 100,
        "limitPrice": None,
        "receivedTimestamp": "2026-03-02T15:00:00.123456789Z",
        "sentTimestamp": "2026-03-02T15:00:01Z",
        "lastFillTimestamp": "2026-03-02T15:00:02Z",
        "quantityFilled": 100,
        "totalAmount": 3333.3333333333335,
        "averagePrice": 33.333333333333336,
    }


def records(count: int) -> list[dict[str, object]]:
    """Return so many of them, numbered from 1."""
    return [record(number) for number in range(1, count + 1)]
