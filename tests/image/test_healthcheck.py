"""The image's health check: 0 for a service that answers 200, else 1, and a word about it."""

import os
import subprocess
import sys
from collections.abc import Generator

import pytest
from tests.http_double import Handler, serving
from tests.image.files import ROOT

SCRIPT = ROOT / "deploy" / "image" / "healthcheck.py"
STATUSES = {"/healthz": 200, "/readyz": 503}


class _Service(Handler):
    def take(self) -> None:
        self.answer(STATUSES.get(self.path, 404))


@pytest.fixture(scope="module")
def port() -> Generator[int]:
    """The port of a service that is alive and not ready."""
    with serving(_Service) as port:
        yield port


def _asked(*arguments: str, **environment: str) -> tuple[int, str]:
    command = [sys.executable, "-I", "-S", str(SCRIPT), *arguments]
    inherited = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    done = subprocess.run(
        command, env=inherited | environment, check=False, capture_output=True, text=True, timeout=30
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_living_service_is_healthy_also_while_it_is_not_ready(port: int) -> None:
    assert _asked(PORT=str(port)) == (0, "/healthz: HTTP/1.0 200 OK\n")
    assert _asked("/readyz", PORT=str(port))[0] == 1


@pytest.mark.parametrize("address", ["", "0.0.0.0", "127.0.0.1"])  # noqa: S104 (what a setting holds)
def test_it_asks_where_the_service_listens(port: int, address: str) -> None:
    assert _asked(PORT=f" {port} ", BIND_ADDRESS=address)[0] == 0


def test_a_service_that_listens_elsewhere_is_not_healthy(port: int) -> None:
    code, said = _asked(PORT=str(port), BIND_ADDRESS="127.0.0.2")

    assert code == 1
    assert "refused" in said


def test_a_port_that_is_none_is_told_and_not_healthy() -> None:
    assert _asked(PORT="http")[0] == 1
    assert _asked(PORT="808900")[0] == 1
