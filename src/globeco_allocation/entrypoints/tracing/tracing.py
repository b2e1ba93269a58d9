"""What the service's parts ask of tracing; without a collector it costs next to nothing."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from enum import Enum, auto
from typing import Final, Protocol

from globeco_allocation.domain.trace_context import NO_TRACE, TraceContext, trace_context
from globeco_allocation.entrypoints.http.exchange import exchange_if_any

Attributes = Mapping[str, str | int | bool]

_PARENT, _STATE = b"traceparent", b"tracestate"


class Kind(Enum):
    """Which side of a conversation a span tells of."""

    INTERNAL = auto()
    SERVER = auto()
    CLIENT = auto()


class Span(Protocol):
    """Something that goes on."""

    def note(self, attributes: Attributes) -> None:
        """Add what is known now. Neither personal data nor secrets, nor anything without a bound."""
        ...

    def rename(self, name: str) -> None:
        """Give it a better name; one of few."""
        ...

    def event(self, name: str) -> None:
        """Note that something happened now."""
        ...

    def failed(self, kind: str) -> None:
        """Note that it failed, with a word of few for why."""
        ...


class Tracing(Protocol):
    """Tells what goes on to whoever collects it."""

    @property
    def is_on(self) -> bool:
        """Whether anything is told at all."""
        ...

    def span(
        self,
        name: str,
        kind: Kind = Kind.INTERNAL,
        attributes: Attributes | None = None,
        *,
        parent: TraceContext | None = None,
        is_current: bool = True,
    ) -> AbstractContextManager[Span]:
        """Tell of what goes on within a context; what it raises counts as its failure.

        Args:
            name: One of few.
            kind: See `Kind`.
            attributes: See `Span.note`.
            parent: Of which place in a trace it is part; a new trace begins where that is empty. None: what
                goes on around it.
            is_current: Whether what goes on within the context is part of it.
        """
        ...

    def part(self, name: str, kind: Kind, attributes: Attributes) -> AbstractContextManager[Span]:
        """Do as `span`, but tell nothing of what is part of nothing."""
        ...

    def unwatched(self) -> AbstractContextManager[None]:
        """Tell nothing of the parts of what goes on within this context."""
        ...

    def carried(self) -> TraceContext:
        """Return the place in a trace that outgoing calls and whatever is done later are part of."""
        ...

    def running(self, grace_seconds: float) -> AbstractAsyncContextManager[None]:
        """Tell for as long as the context lasts; its end waits so long for what is not told yet."""
        ...


class _NoSpan:
    def note(self, attributes: Attributes) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def event(self, name: str) -> None:
        pass

    def failed(self, kind: str) -> None:
        pass


NO_SPAN: Final[Span] = _NoSpan()
"""Of what nobody is told."""

_NOTHING: Final[AbstractContextManager[Span]] = nullcontext(NO_SPAN)


class NoTracing:
    """Tells nobody. A caller's trace is handed on as it came."""

    is_on = False

    def span(
        self,
        name: str,
        kind: Kind = Kind.INTERNAL,
        attributes: Attributes | None = None,
        *,
        parent: TraceContext | None = None,
        is_current: bool = True,
    ) -> AbstractContextManager[Span]:
        """Do nothing."""
        del name, kind, attributes, parent, is_current
        return _NOTHING

    def part(self, name: str, kind: Kind, attributes: Attributes) -> AbstractContextManager[Span]:
        """Do nothing."""
        del name, kind, attributes
        return _NOTHING

    def unwatched(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()

    def carried(self) -> TraceContext:
        """Return the caller's place in a trace; only now are its headers looked through."""
        exchange = exchange_if_any()
        if exchange is not None:
            for name, _ in exchange.headers:
                if name == _PARENT:
                    return callers_trace(exchange.headers)
        return NO_TRACE

    def running(self, grace_seconds: float) -> AbstractAsyncContextManager[None]:
        """Do nothing."""
        del grace_seconds
        return nullcontext()


NO_TRACING: Final[Tracing] = NoTracing()


def callers_trace(headers: Iterable[tuple[bytes, bytes]]) -> TraceContext:
    """Return the place in a trace that a caller names, if it is a sane one.

    Args:
        headers: With lower-case names.
    """
    parents: list[bytes] = []
    states: list[bytes] = []
    for name, value in headers:
        if name == _PARENT:
            parents.append(value)
        elif name == _STATE:
            states.append(value)
    if len(parents) != 1:
        return NO_TRACE
    return trace_context(parents[0].decode("latin-1"), b",".join(states).decode("latin-1"))
