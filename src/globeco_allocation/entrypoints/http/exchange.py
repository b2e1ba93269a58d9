"""What is known of the request being handled, wherever it is handled."""

import time
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Exchange:
    """One request and its answer.

    Attributes:
        correlation_id: The caller's, or a new one.
        headers: The caller's, with lower-case names.
        arrived: When it arrived, on the monotonic clock.
        token_name: Whose token it bears; empty where tokens are not asked for.
    """

    correlation_id: str
    headers: Iterable[tuple[bytes, bytes]] = ()
    arrived: float = field(default_factory=time.monotonic)
    token_name: str = ""

    @property
    def seconds(self) -> float:
        """How long ago it arrived."""
        return time.monotonic() - self.arrived


_current: ContextVar[Exchange] = ContextVar("exchange")


def begin_exchange(exchange: Exchange) -> None:
    """Make *exchange* the current one of this context."""
    _current.set(exchange)


def exchange_if_any() -> Exchange | None:
    """Return the exchange that the caller works for; None where it works for nobody."""
    return _current.get(None)


def current_exchange() -> Exchange:
    """Return the exchange that the caller works for."""
    return _current.get()
