"""A Kubernetes API on a real socket, and what a caller needs to talk to it.

A test takes `kubernetes` and `kubeconfig`, gives the latter to its caller, and then says what happens:
`kubernetes.cluster` ends, kills and hinders Jobs, `kubernetes.faults` strikes requests, `kubernetes.watches`
ends and drops watches, `stop` and `start` take the server away. At its end, `assert_one_job_an_attempt` and
`assert_lanes_kept` judge all that ever ran.
"""

import shutil
import ssl
import subprocess
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from lightkube import AsyncClient, KubeConfig
from tests.kubernetes.api_double import LANE, LANES, NAMESPACE, KubernetesDouble
from tests.kubernetes.job_runs import JobRuns

JobBody = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Authority:
    """A certificate for 127.0.0.1 that vouches for itself, and the server's context with it."""

    certificate: Path
    context: ssl.SSLContext


@pytest.fixture
async def kubernetes() -> AsyncGenerator[KubernetesDouble]:
    """The API over plain HTTP, with one namespace; its Jobs run until the test ends them."""
    async with KubernetesDouble() as double:
        yield double


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """Where the caller reads its token; the kubeconfig names it."""
    return tmp_path / "token"


@pytest.fixture
def kubeconfig(kubernetes: KubernetesDouble, tmp_path: Path, token_file: Path) -> Path:
    """A kubeconfig for `kubernetes`, with the token that it accepts."""
    return kubernetes.write_kubeconfig(tmp_path / "kubeconfig", token_file)


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncGenerator[AsyncClient]:
    """The real client, which waits a second for an answer."""
    timeout = httpx2.Timeout(1.0)
    client = AsyncClient(config=KubeConfig.from_file(kubeconfig), trust_env=False, timeout=timeout)
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate made for this run, for an API over HTTPS as a pod finds it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    certificate, key = (tmp_path_factory.mktemp("authority") / name for name in ("ca.crt", "ca.key"))
    wanted = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -subj /CN=kubernetes"
    address = "-addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, *wanted.split(), *address.split(), *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return Authority(certificate, context)


@pytest.fixture
async def secure_kubernetes(authority: Authority) -> AsyncGenerator[KubernetesDouble]:
    """The API over HTTPS."""
    async with KubernetesDouble(tls=authority.context) as double:
        yield double


@pytest.fixture
def service_account(
    secure_kubernetes: KubernetesDouble,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """What a pod is given to reach `secure_kubernetes`: token, namespace, authority; and the environment."""
    directory = tmp_path / "serviceaccount"
    directory.mkdir()
    (directory / "token").write_text(secure_kubernetes.token)
    (directory / "namespace").write_text(NAMESPACE)
    shutil.copy(authority.certificate, directory / "ca.crt")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(secure_kubernetes.port))
    return directory


@pytest.fixture
def job_body() -> JobBody:
    """Makes a Job, as JSON, that is valid; `spec` adds to its own."""

    def make(name: str, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:  # noqa: ANN401
        container = {
            "name": "cli",
            "image": "accounting:1",
            "args": ["process", "--file", "/data/t.csv"],
            "env": [{"name": "GLOBECO_PA_SERVER_HOST", "value": "accounting"}],
            "volumeMounts": [{"name": "files", "mountPath": "/data"}],
        }
        pod = {
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [{"name": "files", "persistentVolumeClaim": {"claimName": "files"}}],
        }
        return {
            "metadata": {"name": name, "labels": labels or {LANE: "0", LANES: "1"}},
            "spec": {"backoffLimit": 0, "template": {"spec": pod}} | spec,
        }

    return make


@pytest.fixture
def runs(kubernetes: KubernetesDouble, kubeconfig: Path, tmp_path: Path) -> JobRuns:
    """Runs of the Job runner on `kubernetes`."""
    directory = tmp_path / "files"
    directory.mkdir()
    return JobRuns(kubernetes, kubeconfig, directory)
