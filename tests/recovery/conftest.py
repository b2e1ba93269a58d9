from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import structlog
from tests.recovery.place import Place

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.domain import AllocatedExecution


@pytest.fixture
def place(
    database: DatabaseAddress,
    tmp_path: Path,
    allocate: Callable[..., AllocatedExecution],
) -> Generator[Place]:
    yield Place(database, tmp_path, allocate)
    structlog.reset_defaults()  # a command sets up its logs
