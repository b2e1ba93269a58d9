"""Containers of the image, PostgreSQL 17 and the simulated Trade Service, on one network."""

import json
import os
import secrets
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

AS_DEPLOYED = (
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--memory=100m",
    "--memory-swap=100m",
    "--pids-limit=256",
)
"""What the deployment allows the service; there is no /tmp, and /dev/shm is the engine's."""

SIMULATED_CLI = (
    "python3 -m globeco_allocation.entrypoints.simulated.accounting_cli process "
    "--file {output_dir}/{filename} --output-dir {output_dir} --batch-size 1 --skip-sort"
)

_SIMULATED_TRADE_SERVICE = "globeco_allocation.entrypoints.simulated.trade_service"
_POSTGRES = "postgres:17"
_BOUND_SECONDS = 60.0


class UnusableEngineError(Exception):
    """The test cannot be made here; the message says why."""


def image_under_test() -> str:
    """Return the image that TEST_IMAGE names.

    Raises:
        UnusableEngineError: it names none, or no engine has it.
    """
    image = os.environ.get("TEST_IMAGE", "")
    if not image:
        raise UnusableEngineError("TEST_IMAGE names no image; build one: docker build -t candidate .")
    if shutil.which("docker") is None:
        raise UnusableEngineError("there is no docker command")
    for needed in (image, _POSTGRES):
        if docker("image", "inspect", needed, check=False).returncode:
            raise UnusableEngineError(f"the Docker engine does not answer, or has no image {needed}")
    return image


def docker(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Call docker, within a bound."""
    return subprocess.run(
        ["docker", *words], check=check, capture_output=True, text=True, timeout=_BOUND_SECONDS
    )


@dataclass(frozen=True)
class Stack:
    """A network with a database and a Trade Service, on which containers of the image run."""

    image: str
    network: str

    @property
    def settings(self) -> dict[str, str]:
        """What the service needs to know."""
        return {
            "DB_HOST": "database",
            "DB_PASSWORD": "secret",
            "TRADE_SERVICE_URL": "http://trade-service:8082",
            "CLI_COMMAND": SIMULATED_CLI,
        }

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run one command of the image as deployed, to its end."""
        words = ["run", "--rm", f"--network={self.network}", *AS_DEPLOYED]
        return docker(*words, *_environment(self.settings | settings), self.image, *command, check=False)

    @contextmanager
    def service(self, **settings: str) -> Generator["Container"]:
        """Run the image as deployed, without a command, until the block ends."""
        words = [f"--network={self.network}", "--publish=127.0.0.1::8089", *AS_DEPLOYED]
        with container([*words, *_environment(self.settings | settings), self.image]) as started:
            yield started


@dataclass(frozen=True)
class Container:
    """A container that was started."""

    name: str

    @property
    def url(self) -> str:
        """Where its port is published."""
        return f"http://{docker('port', self.name, '8089/tcp').stdout.split()[0]}"

    def ask(self, path: str, body: object | None = None) -> tuple[int, Any]:
        """GET *path*, or POST *body* to it; return the status, 0 for none, and the JSON of the answer."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 (http)
            self.url + path, content, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return 0, None

    def inspect(self, template: str) -> str:
        """Return what the engine knows of it."""
        return docker("inspect", "--format", template, self.name).stdout.strip()

    def wait_until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for a condition, within a bound; say what the container logged when it does not come."""
        deadline = time.monotonic() + _BOUND_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                logged = docker("logs", self.name, check=False)
                raise AssertionError(f"not {what} in time; {logged.stdout[-3000:]}{logged.stderr[-3000:]}")
            time.sleep(0.02)

    def wait_until_ready(self) -> None:
        """Wait until requests can be served."""
        self.wait_until("ready", lambda: self.ask("/readyz")[0] == 200)

    def most_resident_kibibytes(self) -> int:
        """Return the peak resident memory of the service's process so far."""
        status = docker("exec", self.name, "cat", "/proc/1/status").stdout
        return int(status.split("VmHWM:")[1].split()[0])


@contextmanager
def running_stack(image: str) -> Generator[Stack]:
    """Start the neighbours; everything ends with the block."""
    network = f"image-test-{secrets.token_hex(4)}"
    docker("network", "create", network)
    with ExitStack() as stack:
        stack.callback(docker, "network", "rm", network, check=False)
        near = f"--network={network}"
        database = stack.enter_context(
            container([near, "--network-alias=database", "--env=POSTGRES_PASSWORD=secret", _POSTGRES])
        )
        trade = ["--network-alias=trade-service", "--entrypoint=python3", near, *AS_DEPLOYED, image]
        stack.enter_context(container([*trade, "-m", _SIMULATED_TRADE_SERVICE, "--host", "0.0.0.0"]))  # noqa: S104
        question = ("pg_isready", "-h", "127.0.0.1", "-U", "postgres")
        database.wait_until(
            "ready", lambda: docker("exec", database.name, *question, check=False).returncode == 0
        )
        yield Stack(image, network)


@contextmanager
def container(words: Sequence[str]) -> Generator[Container]:
    """Run a container in the background; it and its volumes are gone after the block."""
    name = f"image-test-{secrets.token_hex(4)}"
    docker("run", "--detach", f"--name={name}", *words)
    try:
        yield Container(name)
    finally:
        docker("rm", "--force", "--volumes", name, check=False)


def _environment(settings: dict[str, str]) -> list[str]:
    return [f"--env={name}={value}" for name, value in settings.items()]
