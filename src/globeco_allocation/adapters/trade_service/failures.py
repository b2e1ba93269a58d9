"""Why the Trade Service named no portfolio, told apart by what follows from it.

Their messages are shown to callers: they name the execution, never an address or what a driver said.
"""

from typing import ClassVar, Literal

from globeco_allocation.domain.errors import LookupFailedError

Outcome = Literal["found", "not_found", "invalid", "unavailable", "breaker_open", "cancelled"]
"""How a lookup ended, as metrics count it; ``cancelled``: whoever asked did not wait for its end."""


class TradeServiceError(LookupFailedError):
    """A failed lookup, with the outcome under which it is counted."""

    outcome: ClassVar[Outcome]


class UnavailableError(TradeServiceError):
    """No connection, no answer in time, too busy or broken there: asked again, counted by the breaker."""

    outcome = "unavailable"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: try again later", passing=True)


class HeldUpError(TradeServiceError):
    """No answer in time, but it was we who stood still: asked again, and no sign of a failing host."""

    outcome = "unavailable"

    def __init__(self, execution_service_id: int) -> None:
        super().__init__(
            f"this service was held up while it asked the Trade Service for execution service id"
            f" {execution_service_id}: try again later",
            passing=True,
        )


class NotKnownYetError(TradeServiceError):
    """An empty list, which may be early (contract: Trade Service): asked again, though all is well there."""

    outcome = "not_found"

    def __init__(self, execution_service_id: int) -> None:
        super().__init__(
            f"the Trade Service does not know execution service id {execution_service_id} yet:"
            " try again later",
            passing=True,
        )


class UnusableAnswerError(TradeServiceError):
    """An answer that would be the same the next time, and names no portfolio to book on: final."""

    outcome = "invalid"

    def __init__(self, what: str) -> None:
        super().__init__(what, passing=False)


class BreakerOpenError(TradeServiceError):
    """The Trade Service failed again and again and is left alone for a while: not asked, not retried."""

    outcome = "breaker_open"

    def __init__(self, execution_service_id: int) -> None:
        super().__init__(
            f"the Trade Service is not asked for execution service id {execution_service_id}"
            " because it has been failing (its circuit breaker is open): try again later",
            passing=True,
        )
