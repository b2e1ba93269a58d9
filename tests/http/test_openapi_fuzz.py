"""Requests made from the OpenAPI document, valid and not: no 5xx, and no answer that is not declared."""

import asyncio
import os
import threading
from collections.abc import Generator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks
from tests.http.bench import Bench

from globeco_allocation.entrypoints.http.openapi import document
from globeco_allocation.entrypoints.http.options import HttpOptions

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
"""For each operation, beside those that cover every keyword of its schemas; some 15 s in all."""

# Its generic types are given without their arguments, which a strict type checker cannot follow.
_checks: Any = checks
_openapi_checks: Any = openapi_checks
CHECKS: list[Any] = [
    _checks.not_a_server_error,
    _openapi_checks.status_code_conformance,
    _openapi_checks.content_type_conformance,
    _openapi_checks.response_headers_conformance,
    _openapi_checks.response_schema_conformance,
    _openapi_checks.unsupported_method,
    _openapi_checks.allow_header_conformance,
]
schema: Any = schemathesis.openapi.from_dict(document(HttpOptions()))


@pytest.fixture(scope="module")
def served() -> Generator[str]:
    """The app behind a real server in a thread of its own; yields its address."""
    ports: list[int] = []
    is_up, may_end = threading.Event(), threading.Event()

    async def serve() -> None:
        async with Bench(with_cli=False).server() as port:
            ports.append(port)
            is_up.set()
            await asyncio.to_thread(may_end.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert is_up.wait(10)
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        may_end.set()
        thread.join(10)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_every_answer_is_declared(
    case: Any,  # noqa: ANN401 (see above)
    served: str,
) -> None:
    case.call_and_validate(base_url=served, checks=CHECKS, timeout=10)
