"""``python -m tests.soak``: ten minutes of load and faults, and what came of them."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.play import play
from tests.soak.report import summary, write


def main() -> int:
    """Play a soak, and say what came of it.

    Returns:
        0 when all was as promised, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long there is load (%(default)s)")
    parser.add_argument("--report", type=Path, metavar="DIR", help="where soak.md and soak.png are written")
    arguments = parser.parse_args()
    begun = time.monotonic()

    def tell(line: str) -> None:
        print(f"[{time.monotonic() - begun:4.0f} s] {line}", flush=True)

    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        outcome = play(Path(directory), arguments.seconds, tell)
    print(f"\n{summary(outcome)}\n")
    if arguments.report is not None:
        write(outcome, arguments.report)
        print(f"written: {arguments.report / 'soak.md'}")
    for fault in outcome.faults:
        print(f"NOT AS PROMISED: {fault}", file=sys.stderr)
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
