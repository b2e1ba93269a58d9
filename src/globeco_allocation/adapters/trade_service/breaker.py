"""A circuit breaker around one host: purgatory's state machine, with what it gets wrong put right."""

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Literal

from purgatory.domain.model import CLOSED, HALF_OPENED, OPENED, Context, HalfOpenedState
from purgatory.typing import StateName

BreakerState = Literal["closed", "open", "half-open"]
"""``closed``: calls pass. ``open``: none does. ``half-open``: one at a time may try."""

_STATES: dict[StateName, BreakerState] = {CLOSED: "closed", OPENED: "open", HALF_OPENED: "half-open"}


class CircuitOpenError(Exception):
    """This call may not be made now."""


class CircuitBreaker:
    """Lets calls pass until *threshold* of them failed in a row, then none for a while, then one at a time.

    That one, the probe, decides: its success closes the circuit, its failure opens it again. Whoever comes
    meanwhile may wait for it. Used from one event loop.

    purgatory counts and changes states. Used as its documentation shows, it would also

    - raise one and the same exception object for every refusal, which gathers tracebacks and their locals,
    - take a cancelled call for a failure,
    - take an excluded exception for a success,
    - let every caller in while half-open,
    - measure by the wall clock, whose step backwards would keep the circuit open.

    So refusals, probes and the clock are ours, and purgatory hears only of real successes and failures.
    """

    def __init__(
        self,
        *,
        threshold: int,
        open_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[BreakerState], None] | None = None,
    ) -> None:
        """Start closed.

        Args:
            threshold: So many failures in a row open the circuit.
            open_seconds: For so long it stays open.
            clock: Seconds that never go back.
            on_change: Told each new state at the call that brings it about.
        """
        self._circuit = Context("trade-service", threshold=threshold, ttl=open_seconds)
        self._open_seconds = open_seconds
        self._clock = clock
        self._on_change = on_change
        self._opened_at = 0.0
        self._probe_over: asyncio.Event | None = None

    @property
    def state(self) -> BreakerState:
        """What the next call will meet; a circuit whose open time is over is half-open."""
        if self._circuit.state == OPENED and self._clock() - self._opened_at >= self._open_seconds:
            return "half-open"
        return _STATES[self._circuit.state]

    def check(self) -> None:
        """Do nothing if a call may be made now, or once the probe under way has ended well; admit nobody.

        Raises:
            CircuitOpenError: no call may be made before the open time is over.
        """
        if self.state == "open":
            raise CircuitOpenError

    @property
    def is_probing(self) -> bool:
        """Whether a probe is under way."""
        return self._probe_over is not None

    async def wait_for_probe(self) -> None:
        """Return as soon as no probe is under way, whatever came of it; `admission` tells.

        Of those who wait for a probe that decided nothing (it was cancelled, say), the first is admitted as
        the next one and the others wait on. The bound of a wait is the caller's.
        """
        while self._probe_over is not None:
            await self._probe_over.wait()

    @contextmanager
    def admission(self, failure: type[Exception]) -> Generator[None]:
        """Admit one call for the length of the block, and learn from how it ends.

        The block's end is a success, a *failure* is one; any other exception, a cancellation among them, says
        nothing about the host and counts as neither.

        Raises:
            CircuitOpenError: the call may not be made now; the block is not entered.
        """
        state = self.state
        if state == "open" or self._probe_over is not None:
            raise CircuitOpenError
        probe = asyncio.Event() if state == "half-open" else None
        self._probe_over = probe
        try:
            if probe is not None and self._circuit.state == OPENED:
                self._circuit.set_state(HalfOpenedState())
                self._settle(OPENED)
            yield
        except failure as error:
            self._learn(error, probe=probe is not None)
            raise
        else:
            self._learn(None, probe=probe is not None)
        finally:
            if probe is not None:
                self._probe_over = None
                probe.set()

    def _learn(self, error: Exception | None, *, probe: bool) -> None:
        # A call that was admitted before the circuit opened may end while the probe is under way.
        if self._circuit.state == HALF_OPENED and not probe:
            return
        before = self._circuit.state
        if error is None:
            self._circuit.handle_end_request()
        else:
            self._circuit.handle_exception(error)
        if self._circuit.messages:
            self._settle(before)

    def _settle(self, before: StateName) -> None:
        self._circuit.messages.clear()  # nobody listens, and they would pile up
        after = self._circuit.state
        if after == before:
            return
        if after == OPENED:
            self._opened_at = self._clock()
        if self._on_change is not None:
            self._on_change(_STATES[after])
