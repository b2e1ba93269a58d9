"""A cluster of the test's own, and its Trade Service."""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.chaos.stage import open_stage
from tests.operations.cluster import Cluster, open_cluster
from tests.operations.runbook import Runbook
from tests.process.trade_service_process import TradeServiceProcess

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect

OpenCluster = Callable[[DatabaseAddress], Cluster]
OpenBook = Callable[[str, Cluster], Runbook]


@pytest.fixture
def trade_service() -> Generator[TradeServiceProcess]:
    with TradeServiceProcess() as process:
        yield process


@pytest.fixture
def cluster_on(tmp_path: Path, trade_service: TradeServiceProcess) -> Generator[OpenCluster]:
    """Have a cluster without replicas on a database."""
    with ExitStack() as stack:

        def open_one(database: DatabaseAddress) -> Cluster:
            stage = stack.enter_context(open_stage(database, tmp_path, trade_service.url))
            return stack.enter_context(open_cluster(stage, tmp_path))

        yield open_one


@pytest.fixture
def cluster(cluster_on: OpenCluster, database: DatabaseAddress) -> Cluster:
    """A cluster without replicas on a migrated database."""
    return cluster_on(database)


@pytest.fixture
def open_book() -> OpenBook:
    """Open a runbook in a cluster."""

    def open_one(page: str, cluster: Cluster) -> Runbook:
        def sql(text: str) -> None:
            with connect(cluster.stage.database, {}) as session:
                session.execute(text.encode())

        return Runbook(page, cluster.bin, sql, {"USER_NAME": "operator"})

    return open_one
