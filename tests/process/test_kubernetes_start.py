"""A deployment of today's settings, before an API server on a real socket."""

import asyncio
from pathlib import Path

import pytest
from tests.kubernetes.api_double import NAMESPACE, KubernetesDouble
from tests.kubernetes.pods import simulated_accounting
from tests.process.conftest import StartService
from tests.process.records import records
from tests.process.service_process import ServiceProcess, wait_until

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.entrypoints.simulated.accounting_books import read_books

CLAIM = "globeco-efs-pvc"
CHART = {
    "KUBERNETES_BATCH_ENABLED": "true",
    "KUBERNETES_BATCH_NAMESPACE": NAMESPACE,
    "KUBERNETES_BATCH_JOB_TIMEOUT_SECONDS": "1800",
    "KUBERNETES_BATCH_JOB_RETRY_LIMIT": "2",
    "KUBERNETES_BATCH_NFS_PVC_NAME": CLAIM,
    "CLI_COMMAND": "docker run --rm -it cli process --file /data/transactions.csv --output-dir /data",
}


async def test_a_deployment_of_today_starts_and_delivers_by_jobs(
    start_service: StartService, database: DatabaseAddress, trade_service: str, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.sqlite3"
    async with KubernetesDouble() as kubernetes:
        kubernetes.cluster.claims = {CLAIM: tmp_path / "files"}
        kubernetes.cluster.handler = simulated_accounting({"SIMULATED_ACCOUNTING_LEDGER": str(ledger)})
        config = kubernetes.write_kubeconfig(tmp_path / "kubeconfig", tmp_path / "token")

        def use() -> tuple[int, dict[str, object]]:
            service = start_service(
                database, TRADE_SERVICE_URL=trade_service, KUBECONFIG=str(config), **CHART
            )
            wait_until(service.is_ready, "ready")
            service.post("/api/v1/executions", records(2))
            return service.post("/api/v1/executions/send", {})

        status, answer = await asyncio.to_thread(use)
        kubernetes.assert_one_job_an_attempt()

    # The Job tells no counts: a second run confirms that every record is known.
    assert (status, answer["status"], answer["processedCount"]) == (200, "success", 2)
    assert (answer["executionMode"], answer["jobStatus"]) == ("kubernetes", "Complete")
    assert answer["jobName"] in {job["metadata"]["name"] for job in kubernetes.store.created}
    assert set(read_books(ledger).statuses) == {"AC1", "AC2"}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"KUBECONFIG": "/nowhere/kubeconfig"}, "the file that KUBECONFIG names cannot be used"),
        ({}, "this is no pod (KUBERNETES_SERVICE_HOST is not set), and KUBECONFIG names no file"),
    ],
)
def test_a_start_without_a_usable_cluster_ends_with_its_reason(
    start_service: StartService, database: DatabaseAddress, settings: dict[str, str], reason: str
) -> None:
    service: ServiceProcess = start_service(database, **CHART, **settings)

    assert service.exit_code() == ExitCode.FAILED
    assert service.stderr == f"globeco-allocation: no Kubernetes Job can be started: {reason}\n"
    assert [line["message"] for line in service.log] == ["cannot serve"]
