"""``globeco-allocation batches``: see batches, deliver what is due, send again, settle by hand, verify."""

import argparse
import getpass
import os
from typing import TYPE_CHECKING

from globeco_allocation.entrypoints.commands.on_database import run_on_database
from globeco_allocation.entrypoints.exit_codes import ExitCode

if TYPE_CHECKING:
    from globeco_allocation.adapters.postgres.pool import Pool
    from globeco_allocation.entrypoints.settings import Settings

EPILOG = """\
Everything works on the database of the settings; the service need not run. `deliver` and `verify` also
need its OUTPUT_DIR, and `deliver` the accounting CLI.

exit codes: 0 done; 1 it cannot be done, or `verify` found a difference; 2 the settings or the command
line are wrong; 3 the database cannot be reached; 4 delivered, but records were refused; 5 not delivered
yet
"""

_CONNECTIONS = 4
_LARGEST_ID = 2**31 - 1
_SECONDS_DIGITS = 7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to do with batches."""
    parser.epilog = EPILOG
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)

    listing = what.add_parser("list", help="print batches, newest first", allow_abbrev=False)
    listing.add_argument(
        "--limit", type=_positive, default=20, metavar="N", help="how many (default: %(default)s)"
    )
    listing.add_argument("--json", action="store_true", help="print one JSON object")

    show = what.add_parser("show", help="print a batch, its files and what was rejected", allow_abbrev=False)
    _takes_batch(show)
    show.add_argument(
        "--rejects",
        type=_positive,
        default=100,
        metavar="N",
        help="how many rejects of each file (default: %(default)s)",
    )
    show.add_argument("--json", action="store_true", help="print one JSON object")

    deliver = what.add_parser(
        "deliver", help="write and deliver what is due, now and here", allow_abbrev=False
    )
    deliver.add_argument(
        "--wait",
        type=_seconds,
        default=0,
        metavar="SECONDS",
        help="go on until everything has ended, for so long (default: what is due now)",
    )

    resend = what.add_parser(
        "resend", help="have a batch's failed and partial files delivered again", allow_abbrev=False
    )
    _takes_batch(resend)

    resolve = what.add_parser(
        "resolve", help="settle records, a file or the stop of all delivery by hand", allow_abbrev=False
    )
    resolve.add_argument("batch", type=_positive, nargs="?", metavar="BATCH", help="the batch's id")
    resolve.add_argument("--file", metavar="NAME", help="one of its files (if it has several)")
    resolve.add_argument(
        "--record", action="append", default=[], metavar="SOURCE_ID", help="such as AC12; may be repeated"
    )
    resolve.add_argument("--stop", action="store_true", help="end the stop of all delivery after a collision")
    resolve.add_argument("--reason", required=True, type=_words, help="kept with the decision")
    resolve.add_argument("--by", default=_user(), type=_words, help="who decides (default: %(default)s)")

    verify = what.add_parser(
        "verify", help="make each file again from the database and compare", allow_abbrev=False
    )
    verify.add_argument("batches", type=_positive, nargs="*", metavar="BATCH", help="(default: all batches)")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for."""
    from globeco_allocation.entrypoints.commands import batch_actions, batch_tables  # noqa: PLC0415 (not for --help)

    actions = {
        "list": batch_tables.list_batches,
        "show": batch_tables.show_batch,
        "deliver": batch_actions.deliver,
        "resend": batch_actions.resend,
        "resolve": batch_actions.resolve,
        "verify": batch_actions.verify,
    }
    action = actions[arguments.what]

    async def work(settings: "Settings", pool: "Pool") -> ExitCode:
        return await action(arguments, settings, pool)

    return run_on_database("batches", work, connections=_CONNECTIONS)


def _takes_batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("batch", type=_positive, metavar="BATCH", help="its id")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return str(os.getuid())


def _words(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must say something")
    return text.strip()


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _SECONDS_DIGITS:
        raise argparse.ArgumentTypeError("must be a whole number of seconds")
    return int(text)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _LARGEST_ID:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {_LARGEST_ID}")
    return int(text)
