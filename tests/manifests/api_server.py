"""A real Kubernetes API server, where its programs are: it stores and judges, and runs nothing."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lightkube import KubeConfig
from lightkube.config.kubeconfig import SingleConfig
from tests.kubernetes.objects import Json

PROGRAMS: Final = ("etcd", "kube-apiserver", "kubectl")
_TOKEN: Final = "of-the-administrator"
_WITHIN: Final = 60.0


@dataclass(frozen=True)
class ApiServer:
    """A running one.

    Attributes:
        kubectl_program: Its client.
        port: On 127.0.0.1.
        directory: For files of ours.
    """

    kubectl_program: Path
    port: int
    directory: Path

    def kubectl(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator."""
        command = [str(self.kubectl_program), "--kubeconfig", str(self._kubeconfig(_TOKEN)), *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=60)

    def does(self, *arguments: str, given: object = None) -> str:
        """Run kubectl as the administrator, on a document if one is given, and return what it prints.

        Raises:
            AssertionError: it failed; with what it says.
        """
        done = self.kubectl(*arguments, given="" if given is None else json.dumps(given))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def config_of(self, service_account: str, namespace: str) -> SingleConfig:
        """Return what a pod of a service account would find."""
        token = self.does("create", "token", service_account, "--namespace", namespace).strip()
        config = KubeConfig.from_file(self._kubeconfig(token)).get()
        assert config is not None
        return config

    def _kubeconfig(self, token: str) -> Path:
        file = self.directory / f"{hash(token):x}.json"
        cluster = {"server": f"https://127.0.0.1:{self.port}", "insecure-skip-tls-verify": True}
        config: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "caller", "user": {"token": token}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "caller"}}],
        }
        file.write_text(json.dumps(config))
        return file


def why_not() -> str:
    """Tell why there can be no server; empty when there can."""
    directory = os.environ.get("KUBEBUILDER_ASSETS", "")
    if not directory or not all((Path(directory) / name).is_file() for name in PROGRAMS):
        return (
            f"KUBEBUILDER_ASSETS names no directory with {', '.join(PROGRAMS)}"
            " (`setup-envtest use 1.33` fetches them)"
        )
    return "" if shutil.which("openssl") else "openssl is not installed, which makes the server's keys"


@contextmanager
def api_server(directory: Path) -> Generator[ApiServer]:
    """Run one until the end of the context."""
    etcd, server, kubectl = (Path(os.environ["KUBEBUILDER_ASSETS"]) / name for name in PROGRAMS)
    store, peers, port = _free_ports(3)
    key = directory / "service-accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    tokens = directory / "tokens.csv"
    tokens.write_text(f'{_TOKEN},administrator,administrator,"system:masters"\n')
    storing = [
        *(str(etcd), "--data-dir", str(directory / "etcd")),
        *("--listen-client-urls", f"http://127.0.0.1:{store}"),
        *("--advertise-client-urls", f"http://127.0.0.1:{store}"),
        *("--listen-peer-urls", f"http://127.0.0.1:{peers}"),
    ]
    serving = [
        *(str(server), "--etcd-servers", f"http://127.0.0.1:{store}"),
        *(
            "--bind-address",
            "127.0.0.1",
            "--secure-port",
            str(port),
            "--cert-dir",
            str(directory / "certificates"),
        ),
        *("--service-cluster-ip-range", "10.0.0.0/24", "--authorization-mode", "RBAC"),
        *("--service-account-issuer", "https://kubernetes.default.svc"),
        *("--service-account-key-file", str(key), "--service-account-signing-key-file", str(key)),
        *("--token-auth-file", str(tokens)),
    ]
    with _running(storing, directory / "etcd.log"), _running(serving, directory / "server.log"):
        found = ApiServer(kubectl, port, directory)
        _wait_for(found)
        yield found


def pod_of(name: str, labels: dict[str, str], spec: Json) -> Json:
    """Return a bare pod, which the server judges itself, as it does not what makes pods."""
    about = {"name": name, "namespace": "globeco", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec}


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in listeners]
    for one in listeners:
        one.close()
    return ports


@contextmanager
def _running(command: list[str], log: Path) -> Generator[None]:
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield
        finally:
            process.kill()


def _wait_for(server: ApiServer) -> None:
    end = time.monotonic() + _WITHIN
    while server.kubectl("get", "--raw", "/readyz").returncode != 0:
        assert time.monotonic() < end, (server.directory / "server.log").read_text()[-2000:]
        time.sleep(0.2)
