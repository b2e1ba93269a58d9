"""How portfolios are looked up, and what becomes of an execution without one."""

from dataclasses import dataclass

from globeco_allocation.entrypoints.settings.setting import number, setting, truth, web_address, whole_number


@dataclass(frozen=True, kw_only=True)
class TradeServiceSettings:
    """How the service asks the Trade Service."""

    trade_service_url: str = setting(
        "TRADE_SERVICE_URL", "http://globeco-trade-service:8082", web_address(), "Where the Trade Service is"
    )
    trade_service_timeout_seconds: float = setting(
        "TRADE_SERVICE_TIMEOUT_SECONDS",
        "5",
        number(0.05, 300),
        "Longest wait for one attempt",
        unit="seconds",
    )
    trade_service_max_lookups: int = setting(
        "TRADE_SERVICE_MAX_LOOKUPS", "64", whole_number(1, 1000), "Most lookups at once in one process"
    )
    trade_service_breaker_failures: int = setting(
        "TRADE_SERVICE_BREAKER_FAILURES", "5", whole_number(1, 1000), "Failures that open the circuit breaker"
    )
    trade_service_breaker_open_seconds: float = setting(
        "TRADE_SERVICE_BREAKER_OPEN_SECONDS",
        "10",
        number(0.1, 3600),
        "How long an open breaker fails every lookup at once",
        unit="seconds",
    )
    trade_service_defer: bool = setting(
        "TRADE_SERVICE_DEFER",
        "false",
        truth(),
        "Whether an execution waits here while the Trade Service is away; else its record fails",
    )
    trade_service_defer_max_records: int = setting(
        "TRADE_SERVICE_DEFER_MAX_RECORDS",
        "100000",
        whole_number(1, 10_000_000),
        "Most executions that wait; a record beyond that fails",
    )
    trade_service_defer_max_age_seconds: int = setting(
        "TRADE_SERVICE_DEFER_MAX_AGE_SECONDS",
        "86400",
        whole_number(1, 31_536_000),
        "An execution that waits for longer is given up: an error is logged, and a person must look",
        unit="seconds",
    )
    retry_max_attempts: int = setting(
        "RETRY_MAX_ATTEMPTS", "3", whole_number(1, 10), "Attempts of a lookup, the first one counted"
    )
    retry_base_delay_ms: int = setting(
        "RETRY_BASE_DELAY_MS",
        "100",
        whole_number(1, 60_000),
        "Pause before a lookup's second attempt; it doubles from there, with jitter",
        unit="milliseconds",
    )
