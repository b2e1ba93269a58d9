"""``demo``: one real run of the main job."""

import argparse
from pathlib import Path

from globeco_allocation.entrypoints.demo.run import run as run_demo
from globeco_allocation.entrypoints.exit_codes import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `demo` takes."""
    parser.description = (
        "Starts an embedded PostgreSQL, a simulated Trade Service and the service as real processes, posts\n"
        "a few hundred executions (some open, some known already, some bad), sends the batch to a simulated\n"
        "accounting CLI, and prints what came of every record. Takes some seconds and no fixed port."
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo-output"),
        metavar="DIR",
        help="makes a folder in it for the transaction file, the log and the ledger (%(default)s)",
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run the demonstration; a failed one says why."""
    return ExitCode.OK if run_demo(arguments.output.resolve()) == 0 else ExitCode.FAILED
