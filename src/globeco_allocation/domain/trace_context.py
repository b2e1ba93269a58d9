"""Which trace a request belongs to (W3C Trace Context), handed on to whatever is done for it."""

import re
from dataclasses import dataclass

_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_FIRST_VERSION = "00"
_PARENT_LENGTH = 55

_LONGEST_STATE = 512
_STATE = re.compile(r"[\x20-\x7e]+=[\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace, as it goes from one program to the next.

    Attributes:
        parent: The ``traceparent``; empty where there is no trace.
        state: The ``tracestate`` that came with it.
    """

    parent: str = ""
    state: str = ""

    def headers(self) -> dict[str, str]:
        """Return the headers that hand it on.

        >>> TraceContext().headers()
        {}
        """
        return self._named("traceparent", "tracestate") if self.parent else {}

    def variables(self) -> dict[str, str]:
        """Return the environment variables that hand it on to a program."""
        return self._named("TRACEPARENT", "TRACESTATE") if self.parent else {}

    def _named(self, parent: str, state: str) -> dict[str, str]:
        return {parent: self.parent, state: self.state} if self.state else {parent: self.parent}


NO_TRACE = TraceContext()
"""Of what belongs to no trace."""


def trace_context(parent: str, state: str = "") -> TraceContext:
    """Take what a caller says of its trace; what the standard does not allow counts as not said.

    >>> trace_context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1").state
    'a=1'
    >>> trace_context("00-00000000000000000000000000000000-b7ad6b7169203331-01")
    TraceContext(parent='', state='')
    """
    known = parent[:_PARENT_LENGTH]
    if not _PARENT.fullmatch(known):
        return NO_TRACE
    rest = parent[_PARENT_LENGTH:]
    if rest and (parent.startswith(_FIRST_VERSION) or not rest.startswith("-")):
        return NO_TRACE
    # What a later version adds means nothing to us: it is not handed on.
    known = _FIRST_VERSION + known[len(_FIRST_VERSION) :]
    state = state.strip()
    return TraceContext(known, state if len(state) <= _LONGEST_STATE and _STATE.fullmatch(state) else "")
