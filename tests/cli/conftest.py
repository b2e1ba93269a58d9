from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import structlog
from tests.cli.office import Office

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.domain import AllocatedExecution


@pytest.fixture
def office(
    database: DatabaseAddress,
    tmp_path: Path,
    allocate: Callable[..., AllocatedExecution],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Generator[Office]:
    yield Office(database, tmp_path, allocate, monkeypatch, capfd)
    structlog.reset_defaults()  # a command sets up its logs
