"""``python -m bench``: measure everything, and write the page; ``--smoke`` only makes sure that it works."""

import argparse
import importlib
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path

from bench.database import connected
from bench.findings import Finding
from bench.measures import exporting, receiving, scaling, showing, starting
from bench.place import FULL, SMOKE, Place, opened
from bench.processes import BenchError
from globeco_allocation.adapters.postgres.address import DatabaseAddress

LONGEST_SECONDS = 600

MEASURES: dict[str, Callable[[Place], Generator[Finding]]] = {
    "receiving": receiving.measure,
    "showing": showing.measure,
    "exporting": exporting.measure,
    "starting": starting.measure,
    "scaling": scaling.measure,
}


def main() -> int:
    """Measure; the exit code tells whether all could be measured, not whether the goals were met."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="little of everything, and no page")
    parser.add_argument("--only", choices=MEASURES, action="append", help="some of it, and no page")
    parser.add_argument("--into", type=Path, default=Path("docs"), help="the folder of the page")
    given = parser.parse_args()
    signal.alarm(LONGEST_SECONDS)  # whatever hangs
    start = time.monotonic()

    def say(what: str) -> None:
        print(f"  {time.monotonic() - start:5.0f} s  {what}", file=sys.stderr, flush=True)

    findings: list[Finding] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        try:
            with opened(SMOKE if given.smoke else FULL, Path(directory), say) as place:
                for name in given.only or MEASURES:
                    say(f"measures {name}")
                    for finding in MEASURES[name](place):
                        findings.append(finding)
                        say(_line(finding))
                postgres = _version(place.database_server)
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    if not given.smoke and not given.only:
        page = importlib.import_module("bench.page")  # with matplotlib, which nothing else needs
        page.write(given.into, findings, FULL, postgres)
        say(f"wrote {given.into / 'performance.md'}")
    return 0


def _line(finding: Finding) -> str:
    mark = "  " if finding.met else "! "
    sign = "at least" if finding.at_least else "at most"
    goal = f"{sign} {finding.goal:g}"
    return f"{mark}{finding.work}: {finding.figure}, {finding.limit}: {finding.ratio:.2f}, {goal}"


def _version(server: DatabaseAddress) -> str:
    with connected(server) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return str(row[0]) if row else "?"


if __name__ == "__main__":
    sys.exit(main())
