"""Where the runner finds the Kubernetes API, and what it says when it does not."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.kubernetes.api_double import NAMESPACE, KubernetesDouble
from tests.kubernetes.job_runs import PATIENCE

from globeco_allocation.adapters.kubernetes_job import JobTemplate, KubernetesJobCli
from globeco_allocation.adapters.kubernetes_job.config import kube_config
from globeco_allocation.domain.errors import CliNotStartedError

TEMPLATE = JobTemplate(image="accounting-cli:1", claim="files", timeout_seconds=30)


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)


def runner(directory: Path) -> KubernetesJobCli:
    return KubernetesJobCli(TEMPLATE, directory, namespace=NAMESPACE, patience=PATIENCE)


async def test_outside_of_a_pod_the_file_of_kubeconfig_is_read(
    kubernetes: KubernetesDouble, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    async with runner(tmp_path) as cli:
        await cli.check()

    assert kubernetes.requests[0].verb == "list"


async def test_in_a_pod_its_service_account_is_used_and_the_servers_certificate_checked(
    secure_kubernetes: KubernetesDouble, service_account: Path, tmp_path: Path
) -> None:
    config = kube_config(service_account)
    async with KubernetesJobCli(TEMPLATE, tmp_path, namespace=NAMESPACE, config=config) as cli:
        await cli.check()

    assert secure_kubernetes.requests[0].status == 200


async def test_no_configuration_at_all_is_named(tmp_path: Path) -> None:
    with pytest.raises(CliNotStartedError, match="KUBECONFIG names no file"):
        async with runner(tmp_path):
            pass


async def test_a_pod_without_its_token_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")

    with pytest.raises(CliNotStartedError, match="service account token cannot be read"):
        async with runner(tmp_path):
            pass


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "clusters: []", "{clusters: [], contexts: [], current-context: one}"],
    ids=["empty", "broken", "list", "no-context", "unknown-context"],
)
async def test_a_kubeconfig_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    file = tmp_path / "config"
    file.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(file))

    with pytest.raises(CliNotStartedError, match="file that KUBECONFIG names cannot be used"):
        async with runner(tmp_path):
            pass


async def test_a_certificate_that_cannot_be_read_is_named(
    kubernetes: KubernetesDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kubernetes.write_kubeconfig(tmp_path / "config", tmp_path / "token", tmp_path / "missing.crt")
    monkeypatch.setenv("KUBECONFIG", str(file))

    with pytest.raises(CliNotStartedError, match="certificates"):
        async with runner(tmp_path):
            pass


async def test_a_kubeconfig_without_a_user_is_nobody(
    kubernetes: KubernetesDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config"
    file.write_text(
        f"current-context: one\nclusters: [{{name: two, cluster: {{server: '{kubernetes.url}'}}}}]\n"
        "contexts: [{name: one, context: {cluster: two}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(file))
    async with runner(tmp_path) as cli:
        with pytest.raises(CliNotStartedError, match="Forbidden"):
            await cli.check()


def test_lightkube_is_loaded_at_the_opening_alone() -> None:
    code = (
        "import sys, globeco_allocation.adapters.kubernetes_job;"
        "sys.exit(any(name.partition('.')[0] in {'lightkube', 'httpx2', 'yaml'} for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in sys.modules if name.startswith("globeco_allocation.adapters.kubernetes_job.")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("globeco_allocation.adapters.kubernetes_job.api", raising=False)
    monkeypatch.setitem(sys.modules, "lightkube", None)

    with pytest.raises(CliNotStartedError, match=r"install globeco-allocation\[kubernetes\]"):
        async with runner(tmp_path):
            pass
