"""Portfolios as the Trade Service names them: retried, guarded by a circuit breaker, bounded."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import stamina
import structlog
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from globeco_allocation.adapters import log_events
from globeco_allocation.adapters.trade_service.breaker import BreakerState, CircuitBreaker, CircuitOpenError
from globeco_allocation.adapters.trade_service.client import TradeServiceClient, Watch, open_session
from globeco_allocation.adapters.trade_service.failures import (
    BreakerOpenError,
    HeldUpError,
    NotKnownYetError,
    Outcome,
    TradeServiceError,
    UnavailableError,
    UnusableAnswerError,
)
from globeco_allocation.adapters.trade_service.places import Places
from globeco_allocation.adapters.trade_service.running_time import running_time_limit
from globeco_allocation.domain.execution import check_portfolio_id

LONGEST_PAUSE_SECONDS = 5.0
"""Between two attempts, however many went before."""

_MOMENT_SECONDS = 0.05
"""In which whatever is due now will have happened."""

_log = structlog.get_logger("globeco_allocation.trade_service")


@asynccontextmanager
async def open_trade_service(
    url: str,
    *,
    timeout_seconds: float = 5.0,
    attempts: int = 3,
    base_delay_seconds: float = 0.1,
    lookups_at_once: int = 64,
    breaker_threshold: int = 5,
    breaker_open_seconds: float = 10.0,
    on_lookup: Callable[[Outcome, float], None] | None = None,
    on_retry: Callable[[], None] | None = None,
    on_breaker: Callable[[BreakerState], None] | None = None,
    headers: Callable[[], Mapping[str, str]] | None = None,
    watch: Watch | None = None,
) -> AsyncGenerator["TradeServicePortfolios"]:
    """Open the one HTTP session to the Trade Service; the end of the block closes it.

    The process's retry log of stamina is replaced, for its own would log arguments and the text of drivers.

    Args:
        url: Where the Trade Service is; may have a path of its own before ``/api/v2/executions``.
        timeout_seconds: The limit of each attempt, from connecting to the last byte.
        attempts: The most calls made for one lookup.
        base_delay_seconds: The shortest pause before the second attempt. It doubles with each further one,
            and up to *base_delay_seconds* are added at random.
        lookups_at_once: The most calls under way at the same time.
        breaker_threshold: So many failures in a row open the circuit breaker.
        breaker_open_seconds: For so long it stays open.
        on_lookup: Told the outcome and the seconds of each lookup.
        on_retry: Told of each lookup that is tried again.
        on_breaker: Told each new state of the circuit breaker, at the call that brings it about.
        headers: Asked before each call for headers to send with it, such as ``X-Correlation-ID``.
        watch: Watches each call.

    Raises:
        ValueError: *url* is not an absolute http or https URL.
    """

    def retried(details: RetryDetails) -> None:
        wait_seconds = round(details.wait_for, 3)
        _log.info(log_events.CALL_REPEATED, retry=details.retry_num, wait_seconds=wait_seconds)
        if on_retry is not None:
            on_retry()

    def changed(state: BreakerState) -> None:
        _log.warning(log_events.BREAKER_CHANGED, state=state)
        if on_breaker is not None:
            on_breaker(state)

    set_on_retry_hooks([retried])
    async with open_session(connections=lookups_at_once) as session:
        yield TradeServicePortfolios(
            TradeServiceClient(session, url, timeout_seconds=timeout_seconds, headers=headers, watch=watch),
            CircuitBreaker(threshold=breaker_threshold, open_seconds=breaker_open_seconds, on_change=changed),
            attempts=attempts,
            base_delay_seconds=base_delay_seconds,
            timeout_seconds=timeout_seconds,
            lookups_at_once=lookups_at_once,
            on_lookup=on_lookup,
        )


def lookup_budget(timeout_seconds: float, attempts: int, base_delay_seconds: float) -> float:
    """Return the longest that one lookup may take in all, in seconds.

    All its attempts, each to its own limit, and the longest pauses between them; waiting for a place among
    the lookups at once comes out of the same budget.

    >>> round(lookup_budget(5.0, 3, 0.1), 3)
    15.5
    """
    pauses = (
        min(LONGEST_PAUSE_SECONDS, base_delay_seconds * 2**number + base_delay_seconds)
        for number in range(attempts - 1)
    )
    return attempts * timeout_seconds + sum(pauses)


class TradeServicePortfolios:
    """The port ``Portfolios`` over the Trade Service (design, "Lookup failures").

    Asked again, after a pause: no connection, no answer in time, 429, 5xx, and an empty list. Nothing is
    asked again while the circuit breaker is open, or when the answer itself cannot be used. ``Retry-After``
    is not read: the client that waits for us is gone before any that is worth sending (contract: clients).

    However many lookups there are, at most ``lookups_at_once`` calls are under way (a place is held for the
    call, not for the pause after it), and each lookup ends within `lookup_budget`, 15.5 s with the defaults.
    A pause of our own process does not count: what was under way is asked again, and not taken for a failure
    of the Trade Service. When the circuit breaker lets one call find out whether the Trade Service is back,
    lookups wait for that call: if it ends well they go on, and if it fails so do they, at once.

    Against a server that hangs it is far less: the first failures, after one time limit, open the breaker,
    and what waits for a place or for its next attempt fails at once. For that a failed call keeps its place
    for a moment if places are short: calls that began with it fail in that moment, too, and no new call,
    with a time limit of its own, begins before they are counted.
    """

    def __init__(
        self,
        client: TradeServiceClient,
        breaker: CircuitBreaker,
        *,
        attempts: int,
        base_delay_seconds: float,
        timeout_seconds: float,
        lookups_at_once: int,
        on_lookup: Callable[[Outcome, float], None] | None = None,
    ) -> None:
        """See `open_trade_service`."""
        self._client = client
        self._breaker = breaker
        self._retrying = stamina.AsyncRetryingCaller(
            attempts=attempts,
            timeout=None,
            wait_initial=base_delay_seconds,
            wait_max=LONGEST_PAUSE_SECONDS,
            wait_jitter=base_delay_seconds,
        ).on(self._worth_another_attempt)
        self._budget_seconds = lookup_budget(timeout_seconds, attempts, base_delay_seconds)
        self._timeout_seconds = timeout_seconds
        self._places = Places(lookups_at_once, self._budget_seconds)
        self._on_lookup = on_lookup

    @property
    def breaker_state(self) -> BreakerState:
        """The state of the circuit breaker, as the next lookup will meet it."""
        return self._breaker.state

    async def portfolio_of(self, execution_service_id: int) -> str:
        """Return the portfolio id of an execution: 1 to 24 characters, without padding.

        Raises:
            LookupFailedError: no portfolio could be named: the last attempt's failure. ``passing`` is True
                for what is asked again and for an open breaker, False for an answer that cannot be used.
        """
        start = time.monotonic()
        try:
            portfolio_id = await self._look_up(_Lookup(execution_service_id))
        except TradeServiceError as error:
            self._report(error.outcome, start)
            raise
        except asyncio.CancelledError:
            self._report("cancelled", start)
            raise
        self._report("found", start)
        return portfolio_id

    def _report(self, outcome: Outcome, start: float) -> None:
        if self._on_lookup is not None:
            self._on_lookup(outcome, time.monotonic() - start)

    async def _look_up(self, lookup: "_Lookup") -> str:
        """Make one call; only when it fails, pay for the retries and the limit that they have in common.

        Nearly always the first call is the last, and it has its own limits, for its place and its answer.
        """
        try:
            return await self._attempt(lookup)
        except TradeServiceError as error:
            if not self._worth_another_attempt(error):
                raise
            lookup.failed = error
        left = max(self._budget_seconds - self._timeout_seconds - lookup.waited_seconds, 0)
        try:
            # A moment more, so that a last attempt ends by its own limit, which the breaker hears of.
            async with running_time_limit(left + _MOMENT_SECONDS):
                return await self._retrying(self._attempt, lookup)
        except TimeoutError as error:
            raise _too_late(lookup) from error

    async def _attempt(self, lookup: "_Lookup") -> str:
        if (failed := lookup.failed) is not None:
            lookup.failed = None
            raise failed
        try:
            self._breaker.check()  # before the queue: nobody waits for a place to be refused then
            async with self._places as waited_seconds:
                lookup.waited_seconds = waited_seconds
                portfolio_ids = await self._call(lookup)
        except CircuitOpenError:
            raise BreakerOpenError(lookup.execution_service_id) from None
        except TimeoutError as error:
            raise _too_late(lookup) from error
        return _agreed(lookup.execution_service_id, portfolio_ids)

    async def _call(self, lookup: "_Lookup") -> list[str | None]:
        if self._breaker.is_probing:
            async with running_time_limit(self._budget_seconds):
                await self._breaker.wait_for_probe()
        try:
            with self._breaker.admission(UnavailableError):
                return await self._client.portfolio_ids(lookup.execution_service_id)
        except UnavailableError:
            if self._places.crowded and self._breaker.state != "open":
                await asyncio.sleep(_MOMENT_SECONDS)
            raise

    def _worth_another_attempt(self, error: Exception) -> bool:
        # With the breaker open the next attempt would be refused anyway: the caller hears it sooner.
        return (
            isinstance(error, UnavailableError | HeldUpError | NotKnownYetError)
            and self._breaker.state != "open"
        )


@dataclass(slots=True)
class _Lookup:
    """One lookup.

    Attributes:
        execution_service_id: What is looked up.
        waited_seconds: How long its last attempt waited for a place.
        failed: How its first attempt failed, until the retries begin with that.
    """

    execution_service_id: int
    waited_seconds: float = 0.0
    failed: TradeServiceError | None = None


def _too_late(lookup: _Lookup) -> UnavailableError:
    return UnavailableError(
        f"the Trade Service did not answer in time for execution service id {lookup.execution_service_id}"
    )


def _agreed(execution_service_id: int, portfolio_ids: list[str | None]) -> str:
    """Return the one portfolio of all executions found for an id; there may be several."""
    agreed = {_checked(execution_service_id, portfolio_id) for portfolio_id in portfolio_ids}
    if not agreed:
        raise NotKnownYetError(execution_service_id)
    if len(agreed) > 1:
        raise UnusableAnswerError(
            f"the executions with execution service id {execution_service_id} in the Trade Service"
            " disagree on the portfolio"
        )
    return agreed.pop()


def _checked(execution_service_id: int, portfolio_id: str | None) -> str:
    if portfolio_id is None:
        raise UnusableAnswerError(
            f"the Trade Service names no portfolio for execution service id {execution_service_id}"
        )
    try:
        return check_portfolio_id(portfolio_id)
    except ValueError as error:
        raise UnusableAnswerError(
            f"the Trade Service's portfolio id for execution service id {execution_service_id} {error}"
        ) from error
