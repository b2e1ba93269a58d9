"""``dev``: the whole stack on a laptop."""

import argparse
from pathlib import Path

from globeco_allocation.entrypoints.dev import run as run_stack
from globeco_allocation.entrypoints.exit_codes import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dev` takes."""
    parser.description = (
        "Runs an embedded PostgreSQL, a simulated Trade Service that knows every id, a simulated accounting\n"
        "CLI and the service, until Ctrl-C. The data stay for the next time. Other settings of the service\n"
        "are taken from the environment."
    )
    parser.add_argument("--port", type=int, default=8089, help="of the service (%(default)s)")
    parser.add_argument(
        "--trade-service-port", type=int, default=8082, metavar="PORT", help="its stand-in's (%(default)s)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("dev-data"),
        metavar="DIR",
        help="where database and transaction files stay (%(default)s)",
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run the stack until told to stop."""
    ended = run_stack(
        arguments.folder.resolve(), port=arguments.port, trade_service_port=arguments.trade_service_port
    )
    return ExitCode.OK if ended == 0 else ExitCode.FAILED
