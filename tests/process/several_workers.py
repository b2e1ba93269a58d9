"""Looking at the workers of a service."""

import urllib.request
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from tests.process.service_process import PATIENCE_SECONDS, ServiceProcess, wait_until
from tests.processes import has_ended

from globeco_allocation.entrypoints.metrics.shared import PREFIX


def workers_of(service: ServiceProcess) -> list[psutil.Process]:
    """Return the workers that run now."""
    return [one for one in service.children("serve") if not has_ended(one)]


def logged_times(service: ServiceProcess, message: str) -> int:
    """Count the lines of the log with this message."""
    return sum(line.get("message") == message for line in tuple(service.log))


def wait_until_all_are_ready(service: ServiceProcess, count: int = 2) -> None:
    """Wait until each worker listens, and knows that the database is ready."""
    for message in ("listening", "database ready"):
        wait_until(lambda message=message: logged_times(service, message) >= count, f"{count} x {message}")
    wait_until(service.is_ready, "ready")


def are_gone(processes: list[psutil.Process]) -> bool:
    """Tell whether none of them runs any more."""
    return all(map(has_ended, processes))


def connections_of(worker: psutil.Process, port: int) -> int:
    """Count the callers that are connected to a worker."""
    with suppress(psutil.Error):
        found = worker.net_connections("tcp")
        return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr[1] == port for one in found)
    return 0


def ask_until_each_has_answered(service: ServiceProcess, path: str) -> list[bytes]:
    """GET a path over connections that stay open, until every worker has some; return the answers.

    Each is answered before the next one is opened: so each worker with a connection has answered on it.
    """
    place = urlsplit(service.url)
    answers: list[bytes] = []
    with ExitStack() as stack:

        def ask() -> bool:
            connection = HTTPConnection(place.netloc, timeout=PATIENCE_SECONDS)
            stack.callback(connection.close)
            connection.request("GET", path)
            answers.append(connection.getresponse().read())
            return all(connections_of(one, place.port or 0) for one in workers_of(service))

        wait_until(ask, "each worker has answered")
    return answers


def scrape(service: ServiceProcess) -> str:
    """Return what one of the workers shows as the service's metrics."""
    with urllib.request.urlopen(f"{service.url}/metrics", timeout=PATIENCE_SECONDS) as answer:  # noqa: S310
        return answer.read().decode()


def metrics_directories(temporary: Path) -> list[Path]:
    """Return where workers count, below the directory that ``TMPDIR`` names."""
    return list(temporary.glob(f"{PREFIX}*"))
