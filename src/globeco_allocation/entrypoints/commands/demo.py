"""``demo``: one real run of the main job."""

import argparse
from pathlib import Path

EPILOG = """\
It needs the extra with the embedded database: pip install 'globeco-allocation[embedded]'

exit codes: 0 every record ended as it should; 1 not so, or it could not run; 130 Ctrl-C, 143 SIGTERM,
129 the terminal was closed: everything that it started has ended by then
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `demo` takes."""
    parser.description = (
        "Starts an embedded PostgreSQL, a simulated Trade Service and the service as real processes, posts\n"
        "a few hundred executions (some open, some known already, some bad), sends the batch to a simulated\n"
        "accounting CLI, and prints what came of every record. Takes some seconds and no fixed port."
    )
    parser.epilog = EPILOG
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo-output"),
        metavar="DIR",
        help="makes a folder in it for the transaction file, the log and the ledger (%(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demonstration; a failed one says why."""
    from globeco_allocation.entrypoints.demo.run import run as run_demo  # noqa: PLC0415 (not for --help)

    return run_demo(arguments.output.resolve())
