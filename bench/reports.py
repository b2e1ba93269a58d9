"""Execution records as the confirmation client posts them, made cheaply."""

from collections.abc import Iterable

PORTFOLIO_ID = "683b6b9620f302c879a5fef4"

# Digits and lengths as in recorded requests: times with binary noise, amounts from binary floats.
_RECORD = (
    b'{"executionServiceId":%d,"isOpen":false,"executionStatus":"FULL","tradeType":"BUY","destination":"ML",'
    b'"securityId":"68336002fe95851f0a2aeda9","ticker":"IBM","quantity":1000,"limitPrice":null,'
    b'"receivedTimestamp":"2026-03-02T15:00:00.099999904Z","sentTimestamp":"2026-03-02T15:00:01.25Z",'
    b'"lastFillTimestamp":"2026-03-02T15:00:02.437999963Z","quantityFilled":1000,'
    b'"totalAmount":33333.333333333336,"averagePrice":33.333333333333336}'
)


def report_body(keys: Iterable[int]) -> bytes:
    """Return the body that reports the executions of these execution service ids."""
    return b"[" + b",".join([_RECORD % key for key in keys]) + b"]"
