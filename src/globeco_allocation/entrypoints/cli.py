"""The command line ``globeco-allocation``: which commands there are, and what their exit codes mean."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from globeco_allocation import __version__
from globeco_allocation.entrypoints.exit_codes import MEANINGS, ExitCode

COMMANDS = {
    "serve": "run the HTTP service until SIGTERM or Ctrl-C",
    "migrate": "bring the database's schema up to date",
    "send": "have a running service send what became ready, and wait for the outcome",
    "smoke": "ask a running service, after a rollout, whether it works; sends and stores nothing",
    "batches": "see batches, deliver what is due, send again, settle by hand, verify files",
    "pending": "list what waits for its portfolio, or have what is in error looked up again",
    "handover": "find what the Go implementation left, or give the database back to it",
    "token": "make a token for API_TOKENS_FILE",
    "config": "check the settings, or show what can be set",
    "demo": "one real run of the main job, with everything it needs, on this machine",
    "dev": "the whole stack on this machine, in the foreground, on http://localhost:8089",
}
"""Each command, and what it does. The module of its name in ``commands`` carries it out."""

_DESCRIPTION = """\
Takes finished trade executions over HTTP, finds each one's portfolio, and sends them to
Portfolio Accounting in batches. Settings come from the environment: see `config check`."""

_EXAMPLES = """\
examples:
  globeco-allocation demo                      see it work; needs nothing but this
  globeco-allocation config check              every fault in the settings at once
  globeco-allocation migrate --wait 60         for a database that is still starting
  DB_HOST=localhost globeco-allocation serve   the service on port 8089
  globeco-allocation send                      send now, and say what came of it
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        Its exit code, see `globeco_allocation.entrypoints.exit_codes`.

    Raises:
        SystemExit: after ``--help`` and ``--version`` (0), and for a wrong command line (2).
    """
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        try:
            arguments = _parser(given).parse_args(given)
            return int(arguments.run(arguments))
        finally:
            _flush()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except (BrokenPipeError, _OutputLostError) as error:
        # Python would complain again while it closes what cannot be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, _OutputLostError):
            print(f"globeco-allocation: cannot write to standard output: {error}", file=sys.stderr)
        return ExitCode.FAILED


class _OutputLostError(Exception):
    """Standard output takes nothing any more."""


def _flush() -> None:
    """Write what was printed while somebody can still be told that it is lost.

    Raises:
        BrokenPipeError: whoever read it has gone.
        _OutputLostError: it cannot be written for another reason.
    """
    try:
        print(end="", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _OutputLostError(os.strerror(error.errno) if error.errno else str(error)) from error


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="globeco-allocation",
        description=_DESCRIPTION,
        epilog=f"{_EXAMPLES}\nexit codes:\n{_exit_codes()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    wanted = next((word for word in given if not word.startswith("-")), None)
    for name, about in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name == wanted:  # only its module is loaded: help must not wait for the other ones
            module = importlib.import_module(f"globeco_allocation.entrypoints.commands.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


def _exit_codes() -> str:
    return "\n".join(f"  {code.value:<4} {meaning}" for code, meaning in MEANINGS.items())
