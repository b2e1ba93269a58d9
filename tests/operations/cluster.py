"""A cluster as far as the runbooks need one: replicas are real processes, and ``kubectl`` is a stand-in."""

import json
import os
import re
import shlex
import socketserver
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos.stage import Stage
from tests.operations import kubectl
from tests.operations.runbook import ROOT
from tests.process.service_process import ServiceProcess

DEPLOYMENT = "deploy/globeco-allocation-service"
CRON_JOB = "cronjob/globeco-allocation-service-send"
TOOLBOX = "docs/operations/toolbox.yaml"
CRON_JOB_MANIFEST = ROOT / "k8s" / "components" / "scheduled-send" / "cron-job.yaml"
SERVICE_URL = "http://globeco-allocation-service:8089"

Answer = dict[str, Any]


def _said(out: str = "", err: str = "", code: int = 0) -> Answer:
    return {"out": f"{out}\n" if out else "", "err": f"{err}\n" if err else "", "code": code}


class Cluster:
    """Replicas on a stage; made by `open_cluster`.

    Attributes:
        stage: Database, files and accounting.
        bin: The folder with the stand-in for ``kubectl``.
        settings: Of replicas that are started from now on.
        replicas: The ones that serve.
        go: What is to be done when the Go implementation is scaled or deleted.
    """

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self.bin = folder / "bin"
        self.settings: dict[str, str] = {}
        self.replicas: list[ServiceProcess] = []
        self.go: Callable[[], None] | None = None
        self.secrets: dict[str, bytes] = {}
        self._jobs: dict[str, subprocess.CompletedProcess[str]] = {}
        self._has_toolbox = False

    def start(self, count: int = 1) -> None:
        """Have so many replicas more."""
        self.replicas += [self.stage.replica(**self.settings) for _ in range(count)]

    def stop(self, replicas: Sequence[ServiceProcess]) -> None:
        """End replicas in order."""
        for one in replicas:
            one.signal()
            assert one.exit_code() == 0
        self.replicas = [one for one in self.replicas if one not in replicas]

    def roll_out(self) -> None:
        """Replace each replica: the new one is ready before the old one ends."""
        for old in tuple(self.replicas):
            self.start()
            self.stop([old])

    def carry_out(self, arguments: list[str], given: str) -> Answer:  # noqa: PLR0911 (a list)
        """Do what kubectl was asked for."""
        match [one for one in arguments if one not in {"-n", "globeco", "-i"}]:
            case ["exec", target, "--", *command]:
                return self._in_pod(target, command)
            case ["apply", "-k", "k8s/overlays/production"]:
                self.roll_out() if self.replicas else self.start(2)
                return _said("deployment.apps/globeco-allocation-service configured")
            case ["apply", "-f", file] if file == TOOLBOX:
                self._has_toolbox = True
                return _said("pod/allocation-toolbox created")
            case ["apply", "-f", "-"]:
                return self._secret(given)
            case ["delete", "-f", file] if file == TOOLBOX:
                self._has_toolbox = False
                return _said('pod "allocation-toolbox" deleted')
            case ["scale", target, replicas] if target == DEPLOYMENT:
                wanted = int(replicas.removeprefix("--replicas="))
                self.stop(self.replicas[wanted:])
                self.start(wanted - len(self.replicas))
                return _said("deployment.apps/globeco-allocation-service scaled")
            case ["rollout", "status", target, *_] if target == DEPLOYMENT:
                done = bool(self.replicas) and all(one.is_ready() for one in self.replicas)
                return _said('deployment "globeco-allocation-service" successfully rolled out', code=not done)
            case ["rollout", "restart" | "undo", target] | ["set", "image", target, _] if (
                target == DEPLOYMENT
            ):
                self.roll_out()
                return _said("deployment.apps/globeco-allocation-service restarted")
            case other:
                return self._of_other_things(other)

    def _of_other_things(self, arguments: list[str]) -> Answer:  # noqa: PLR0911 (a list)
        match arguments:
            case ["wait", "--for=delete", "pod", "-l", _, _]:
                return _said()
            case ["wait", "--for=condition=Ready", "pod/allocation-toolbox", *_]:
                return _said(code=not self._has_toolbox)
            case ["delete", target] if target == DEPLOYMENT and self.go is not None:
                self.go()
                return _said('deployment.apps "globeco-allocation-service" deleted')
            case ["get", "pods", "-l", _, "-o", "name"]:
                return _said("\n".join(f"pod/replica-{number}" for number in range(len(self.replicas))))
            case ["logs", "-l", _, *_]:
                lines = [
                    json.dumps(line, separators=(",", ":"))
                    for one in self.replicas
                    for line in tuple(one.log)
                ]
                return _said("\n".join(lines))
            case ["patch", "cronjob", "globeco-allocation-service-send", "-p", text]:
                assert isinstance(json.loads(text)["spec"]["suspend"], bool)
                return _said("cronjob.batch/globeco-allocation-service-send patched")
            case ["create", "secret", "generic", name, source, "--dry-run=client", "-o", "yaml"]:
                key, _, file = source.removeprefix("--from-file=").partition("=")
                return _said(json.dumps({"name": name, "key": key, "file": file}))
            case other:
                return self._of_jobs(other)

    def _of_jobs(self, arguments: list[str]) -> Answer:
        match arguments:
            case ["create", "job", name, source] if source == f"--from={CRON_JOB}":
                self._jobs[name] = self._ran(_arguments_of_the_cron_job())
                return _said(f"job.batch/{name} created")
            case ["wait", "--for=condition=complete", job, *_]:
                return _said(code=self._jobs[job.removeprefix("job/")].returncode)
            case ["logs", job] if job.startswith("job/"):
                return _said(self._jobs[job.removeprefix("job/")].stdout)
            case other:
                return _said(err=f"the stand-in does not know: kubectl {shlex.join(other)}", code=99)

    def _secret(self, given: str) -> Answer:
        told = json.loads(given)
        self.secrets[f"{told['name']}/{told['key']}"] = Path(told["file"]).read_bytes()
        mounted = self.stage.files.parent / "secrets" / told["name"] / told["key"]
        mounted.parent.mkdir(parents=True, exist_ok=True)
        mounted.write_bytes(Path(told["file"]).read_bytes())
        return _said(f"secret/{told['name']} configured")

    def _in_pod(self, target: str, command: list[str]) -> Answer:
        if target == "allocation-toolbox" and self._has_toolbox:
            return {"run": command, "environment": self._environment(None)}
        pods = {f"pod/replica-{number}": one for number, one in enumerate(self.replicas)}
        if self.replicas:
            pods[DEPLOYMENT] = self.replicas[0]
        if target not in pods:
            return _said(err=f"error: no pod of {target} is running", code=1)
        return {"run": command, "environment": self._environment(pods[target])}

    def _environment(self, replica: ServiceProcess | None) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        port = replica.url.rpartition(":")[2] if replica is not None else "8089"
        return {**self.stage.environment(**{"PORT": port, **self.settings}), "PATH": path, "HOME": "/"}

    def _ran(self, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """Run a command of the service in a pod of its own; the Service's name leads to a replica."""
        resolved = [self.replicas[0].url if one == SERVICE_URL else one for one in arguments]
        return subprocess.run(
            [sys.executable, "-m", "globeco_allocation", *resolved],
            env=self._environment(self.replicas[0]),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def _arguments_of_the_cron_job() -> list[str]:
    (found,) = re.findall(r"^ +args: (\[.*\])$", CRON_JOB_MANIFEST.read_text("utf-8"), re.MULTILINE)
    return json.loads(found)


@contextmanager
def open_cluster(stage: Stage, folder: Path) -> Generator[Cluster]:
    """Have a cluster on a stage, whose ``kubectl`` answers for as long as the block lasts."""
    cluster = Cluster(stage, folder)
    cluster.bin.mkdir()
    address = folder / "k"

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked = json.loads(self.rfile.readline())
            try:
                answer = cluster.carry_out(asked["arguments"], asked["stdin"])
            except Exception as error:  # noqa: BLE001 - the command fails, and with it the test
                answer = _said(err=f"{type(error).__name__}: {error}", code=98)
            self.wfile.write(json.dumps(answer).encode() + b"\n")

    script = cluster.bin / "kubectl"
    file = shlex.quote(str(Path(kubectl.__file__).resolve()))
    script.write_text(
        f'#!/bin/sh\nFAKE_KUBECTL="{address}" exec {shlex.quote(sys.executable)} -SE {file} "$@"\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    with socketserver.ThreadingUnixStreamServer(str(address), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield cluster
        finally:
            server.shutdown()
            thread.join(10)
