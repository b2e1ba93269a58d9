"""``globeco-allocation batches``: see batches, deliver what is due, send again, settle by hand, verify."""

import argparse
import getpass
import os
from typing import TYPE_CHECKING

from globeco_allocation.entrypoints.commands.arguments import Subcommands, positive, seconds, words
from globeco_allocation.entrypoints.exit_codes import ExitCode

if TYPE_CHECKING:
    from globeco_allocation.adapters.postgres.pool import Pool
    from globeco_allocation.entrypoints.settings import Settings

EPILOG = """\
Everything works on the database of the settings; the service need not run. `deliver` also needs the
service's OUTPUT_DIR and accounting CLI, and `verify` looks into OUTPUT_DIR.

exit codes: 0 done; 1 it cannot be done, a delivery failed for good, or `verify` found a difference;
2 the settings or the command line are wrong; 3 the database (or the Kubernetes API) cannot be reached;
4 delivered, but records were refused; 5 not everything is delivered yet
"""

_CONNECTIONS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to do with batches."""
    parser.epilog = EPILOG
    what = Subcommands(parser)
    _add_views(what)

    deliver = what.add(
        "deliver",
        "write and deliver what is due, now and here",
        "That is what the running service does by itself; both may work side by side. Ctrl-C hands the work"
        " back: a run of the accounting CLI goes on, and whoever delivers next finds it.",
    )
    deliver.add_argument(
        "--wait",
        type=seconds,
        default=0,
        metavar="SECONDS",
        help="for so long, begin also what becomes due, such as another attempt (default: %(default)s)",
    )

    resend = what.add(
        "resend",
        "have a batch's failed and partial files delivered again",
        "They are queued behind all others. Portfolio Accounting refuses what it has, so nothing is booked"
        " twice.",
    )
    _takes_batch(resend)
    _add_resolve(what)

    verify = what.add(
        "verify",
        "make each file again from the database and compare",
        "Nothing is written. A file that is not in OUTPUT_DIR any more is no fault; a changed one is, and an"
        " execution of a batch's window that is in none of its files.",
    )
    verify.add_argument("batches", type=positive, nargs="*", metavar="BATCH", help="(default: all batches)")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for."""
    if arguments.what == "resolve":
        _check_resolve(arguments)
    from globeco_allocation.entrypoints.commands import (  # noqa: PLC0415 (not for --help)
        batch_decisions,
        batch_deliveries,
        batch_tables,
        batch_verification,
    )
    from globeco_allocation.entrypoints.commands.on_database import run_on_database  # noqa: PLC0415

    actions = {
        "list": batch_tables.list_batches,
        "show": batch_tables.show_batch,
        "deliver": batch_deliveries.deliver,
        "resend": batch_decisions.resend,
        "resolve": batch_decisions.resolve,
        "verify": batch_verification.verify,
    }
    action = actions[arguments.what]

    async def work(settings: "Settings", pool: "Pool") -> ExitCode:
        return await action(arguments, settings, pool)

    return run_on_database("batches", work, connections=_CONNECTIONS)


def _takes_batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("batch", type=positive, metavar="BATCH", help="its id")


def _add_views(what: Subcommands) -> None:
    listing = what.add("list", "print batches, newest first")
    listing.add_argument(
        "--limit", type=positive, default=20, metavar="N", help="how many (default: %(default)s)"
    )
    listing.add_argument("--json", action="store_true", help="print one JSON object")

    show = what.add("show", "print a batch, its files and what was rejected")
    _takes_batch(show)
    show.add_argument(
        "--rejects",
        type=positive,
        default=100,
        metavar="N",
        help="how many rejects of each file (default: %(default)s)",
    )
    show.add_argument("--json", action="store_true", help="print one JSON object")


def _add_resolve(what: Subcommands) -> None:
    resolve = what.add(
        "resolve",
        "settle records, files or the stop of all delivery by hand",
        "What is settled is not delivered by the service any more: it counts as done. Without --record, it is"
        " the batch's only file, or the one that --file names, or with --all each that is not delivered.",
    )
    resolve.add_argument("batch", type=positive, nargs="?", metavar="BATCH", help="the batch's id")
    resolve.add_argument("--file", metavar="NAME", help="one of its files")
    resolve.add_argument("--all", action="store_true", help="all its files that are not delivered")
    resolve.add_argument(
        "--record",
        action="append",
        default=[],
        type=words,
        metavar="SOURCE_ID",
        help="a rejected record of it, such as AC12; may be repeated",
    )
    resolve.add_argument("--stop", action="store_true", help="end the stop of all delivery after a collision")
    resolve.add_argument("--reason", required=True, type=words, help="why; kept with the decision")
    resolve.add_argument("--by", default=_user(), type=words, help="who decides (default: %(default)s)")
    resolve.set_defaults(refuse=resolve.error)


def _check_resolve(arguments: argparse.Namespace) -> None:
    """Refuse a command line that does not say for sure what is to be settled.

    Raises:
        SystemExit: it was refused.
    """
    of_batch = bool(arguments.file or arguments.all or arguments.record)
    if arguments.batch is None and (of_batch or not arguments.stop):
        arguments.refuse("name a BATCH" if of_batch else "name a BATCH, or --stop")
    if arguments.all and (arguments.file or arguments.record):
        arguments.refuse("--all goes without --file and --record")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return str(os.getuid())
