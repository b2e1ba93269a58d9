"""``globeco-allocation token``: a token for a caller, and the line by which the service knows it."""

import argparse
import sys

from globeco_allocation.entrypoints.exit_codes import ExitCode

EPILOG = """\
It prints two lines: the token, which the caller keeps as a secret, and the line for the file of
API_TOKENS_FILE, which holds nothing that could be used in its place. A running service reads that
file again within seconds; to withdraw a token, take its line out.

examples:
  globeco-allocation token portal send
  globeco-allocation token grafana read
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare whose token it is, and what it is good for."""
    parser.epilog = EPILOG
    parser.add_argument("name", type=_name, metavar="NAME", help="whose it is, as the log shows it")
    parser.add_argument(
        "right", choices=("read", "send"), metavar="RIGHT", help="read: every GET; send: everything"
    )


def run(arguments: argparse.Namespace) -> int:
    """Make a token."""
    from globeco_allocation.entrypoints.api_tokens import Right, line_of, new_token  # noqa: PLC0415

    token = new_token()
    print(token, line_of(arguments.name, Right(arguments.right), token), sep="\n")
    if sys.stdout.isatty():
        print("The first line is for the caller, the second one for API_TOKENS_FILE.", file=sys.stderr)
    return ExitCode.OK


def _name(text: str) -> str:
    from globeco_allocation.entrypoints.api_tokens import NAME  # noqa: PLC0415

    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError("must be 1 to 63 letters, digits, dots, underscores and hyphens")
    return text
