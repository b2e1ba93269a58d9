"""Real services, as in tests/process."""

from tests.process.conftest import start_service, trade_service

__all__ = ["start_service", "trade_service"]
