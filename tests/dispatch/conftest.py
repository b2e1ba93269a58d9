from collections.abc import Generator

import pytest
import structlog
from tests.dispatch.cluster import Cluster


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture(autouse=True)
def fresh_log_context() -> Generator[None]:
    yield
    structlog.contextvars.clear_contextvars()
