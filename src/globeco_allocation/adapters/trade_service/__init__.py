"""The Trade Service over HTTP: which portfolio an execution belongs to."""

from globeco_allocation.adapters.trade_service.portfolios import TradeServicePortfolios, open_trade_service

__all__ = ["TradeServicePortfolios", "open_trade_service"]
