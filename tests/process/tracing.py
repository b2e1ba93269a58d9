"""A service that tells a collector what it does."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

from tests.process.collector import Collector

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"

_OPENER = build_opener(ProxyHandler({}))

_NOTE_AND_RUN = """
import json, os, runpy, sys
with open("seen-by-the-cli.jsonl", "a") as seen:
    seen.write(json.dumps(dict(os.environ)) + "\\n")
sys.argv[0] = "accounting_cli"
runpy.run_module("globeco_allocation.entrypoints.simulated.accounting_cli", run_name="__main__")
"""


def tells(collector: Collector, **more: str) -> dict[str, str]:
    """Return the settings of a service that tells *collector* at once."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50", **more}


def post(url: str, body: object, headers: Mapping[str, str]) -> tuple[int, dict[str, str]]:
    """POST a body with headers of one's own; return the status and the answer's headers."""
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})  # noqa: S310
    with _OPENER.open(request, timeout=30) as answer:
        return answer.status, dict(answer.headers)


def noting_cli(directory: Path) -> tuple[str, Callable[[], list[dict[str, str]]]]:
    """Return a CLI_COMMAND that notes each run's environment, and what was noted so far."""
    program = directory / "noting_cli.py"
    program.write_text(_NOTE_AND_RUN)
    command = (
        f"{sys.executable} {program} process --file {{output_dir}}/{{filename}} --output-dir {{output_dir}} "
        "--batch-size 1 --skip-sort"
    )

    def seen() -> list[dict[str, str]]:
        lines = (directory / "files" / "seen-by-the-cli.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    return command, seen
