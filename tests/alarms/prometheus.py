"""A real Prometheus with our rules, in which minutes are seconds."""

import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import yaml
from tests.process.service_process import wait_until

FACTOR = 20
"""By so much ``for``, windows and the lengths of time in expressions are shorter than in the rules."""

RULES = Path(__file__).parents[2] / "deploy" / "prometheus"
FILES = ("recording.yaml", "alerts.yaml")

_WINDOW = re.compile(r"\[(\d+)([mh])\]")
_FOR = re.compile(r"^(\s+for: )(\d+)m$", re.MULTILINE)
_MINUTES = re.compile(r"\b60 \* (\d+)\b")


def scaled(rules: str) -> str:
    """Return rules with every length of time divided by `FACTOR`.

    >>> scaled("rate(x[5m]) + rate(y[1h]) > 60 * 30")
    'rate(x[15s]) + rate(y[180s]) > 90'
    """
    seconds = {"m": 60, "h": 3600}
    rules = _WINDOW.sub(lambda found: f"[{int(found[1]) * seconds[found[2]] // FACTOR}s]", rules)
    rules = _FOR.sub(lambda found: f"{found[1]}{max(1, int(found[2]) * 60 // FACTOR)}s", rules)
    return _MINUTES.sub(lambda found: str(60 * int(found[1]) // FACTOR), rules)


class Prometheus:
    """The server; made by `prometheus`."""

    def __init__(self, port: int) -> None:
        self._port = port

    def firing(self) -> set[tuple[str, str]]:
        """Return which alerts fire now: name and namespace, empty where it has none."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)) as asked:
            asked.request("GET", "/api/v1/alerts")
            found = json.loads(asked.getresponse().read())["data"]["alerts"]
        return {
            (one["labels"]["alertname"], one["labels"].get("namespace", ""))
            for one in found
            if one["state"] == "firing"
        }

    def answers(self) -> bool:
        """Tell whether it is ready."""
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)) as asked:
                asked.request("GET", "/-/ready")
                return asked.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False


@contextmanager
def prometheus(directory: Path, port: int, targets: Mapping[str, int]) -> Generator[Prometheus]:
    """Run it over services, given by namespace and port, with the rules scaled down."""
    directory.mkdir()
    for name in FILES:
        (directory / name).write_text(scaled((RULES / name).read_text()))
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": list(FILES),
        "scrape_configs": [
            {
                "job_name": "globeco-allocation-service",
                "static_configs": [
                    {
                        "targets": [f"127.0.0.1:{where}"],
                        "labels": {"namespace": namespace, "pod": f"{namespace}-0"},
                    }
                    for namespace, where in targets.items()
                ],
            }
        ],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    program = shutil.which("prometheus")
    assert program is not None
    command = [
        *(program, f"--config.file={directory / 'prometheus.yml'}"),
        *(f"--storage.tsdb.path={directory / 'data'}", f"--web.listen-address=127.0.0.1:{port}"),
    ]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stderr=log, stdout=log) as process:
        try:
            server = Prometheus(port)
            wait_until(server.answers, "Prometheus answers")
            yield server
        finally:
            process.terminate()
            process.wait(20)
