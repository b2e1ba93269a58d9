import logging
from collections.abc import AsyncGenerator, Generator

import httpx
import pytest
import structlog
from tests.http.bench import Bench

from globeco_allocation.entrypoints import logs


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
async def client(bench: Bench) -> AsyncGenerator[httpx.AsyncClient]:
    async with bench.client() as client:
        yield client


@pytest.fixture(autouse=True)
def fresh_logging() -> Generator[None]:
    """Leave logging as it was found."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    structlog.reset_defaults()
    begun = logs.begin_request("")
    yield
    logs.end_request(begun)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)
