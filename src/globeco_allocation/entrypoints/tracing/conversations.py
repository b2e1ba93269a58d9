"""Spans of the conversations with others, by OpenTelemetry's conventions for HTTP and databases."""

import itertools
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Final

from yarl import URL

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.entrypoints.tracing.tracing import Kind, Span, Tracing

_METHOD: Final = "GET"
_FIRST_FAILURE: Final = 400

# What a statement does to which table or function: what it changes, else what it reads.
_CHANGES = re.compile(r"(?<!FOR )(?<!KEY )\b(INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)")
_READS = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)")

attempts: ContextVar[Iterator[int]] = ContextVar("attempts")
"""Numbers the calls of the lookup that is going on."""


class SeenCall:
    """A call of the Trade Service that is told of."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def answered(self, status: int) -> None:
        """Note the answer's status."""
        self._span.note({"http.response.status_code": status})
        if status >= _FIRST_FAILURE:
            self._span.failed(str(status))


class TradeServiceCalls:
    """Tells of each call of the Trade Service."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    @contextmanager
    def __call__(self, url: URL) -> Generator[SeenCall]:
        """Tell of one call of this address; what is looked up stays out of it."""
        attributes: dict[str, str | int] = {
            "http.request.method": _METHOD,
            "server.address": url.host or "",
            "server.port": url.port or 0,
            "url.full": str(url),
        }
        if again := next(attempts.get(itertools.repeat(0))):
            attributes["http.request.resend_count"] = again
        with self._tracing.part(_METHOD, Kind.CLIENT, attributes) as span:
            yield SeenCall(span)


class SeenStatement:
    """A statement that is told of."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def sent(self, callers: int) -> None:
        """Note that it goes to the database now, and for how many callers."""
        self._span.event("sent")
        self._span.note({"globeco_allocation.callers": callers})


class Statements:
    """Tells of each use of the database that is part of something."""

    def __init__(self, tracing: Tracing, address: DatabaseAddress) -> None:
        self._tracing = tracing
        self._attributes: dict[str, str | int] = {
            "db.system.name": "postgresql",
            "db.namespace": address.name,
            "server.address": address.host,
            "server.port": address.port,
        }

    @contextmanager
    def __call__(self, sql: str) -> Generator[SeenStatement]:
        """Tell of one use; neither its arguments nor its rows."""
        operation, target = summary(sql)
        name = f"{operation} {target}".strip()
        attributes = {**self._attributes, "db.operation.name": operation, "db.query.summary": name}
        with self._tracing.part(name, Kind.CLIENT, attributes) as span:
            yield SeenStatement(span)


@lru_cache(maxsize=256)
def summary(sql: str) -> tuple[str, str]:
    """Return what a statement does, and to what.

    >>> summary("WITH x AS (SELECT 1 FROM a FOR UPDATE) UPDATE batch_claim SET b = 1")
    ('UPDATE', 'batch_claim')
    >>> summary("SELECT id FROM keep_executions($1)")
    ('SELECT', 'keep_executions')
    """
    if change := _CHANGES.search(sql):
        return change[1].split()[0], change[2]
    read = _READS.search(sql)
    return "SELECT", read[1] if read else ""
