"""``globeco-allocation handover``: over from the Go implementation, and back to it."""

import argparse
import sys
from typing import TYPE_CHECKING

from globeco_allocation.entrypoints.commands.arguments import Subcommands
from globeco_allocation.entrypoints.commands.tables import count, instant, table
from globeco_allocation.entrypoints.exit_codes import ExitCode

if TYPE_CHECKING:
    from globeco_allocation.adapters.postgres.address import DatabaseAddress
    from globeco_allocation.adapters.postgres.handover import Findings

EPILOG = """\
Both work on the server of the settings, and the service need not run. How to move over and back:
docs/operations/moving-from-go.md.

exit codes: 0 done; 1 nothing was found, something is in the way, or the database refuses us as we are set
up; 2 the settings or the command line are wrong; 3 the server cannot be reached
"""

_TITLES = ("DATABASE", "MADE BY", "EXECUTIONS", "UNSENT", "WITHOUT STAMP", "LAST BATCH", "CONNECTED")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to do."""
    parser.epilog = EPILOG
    what = Subcommands(parser)
    what.add(
        "find",
        "list the databases of the server that hold executions",
        "Nothing is changed. Started with an empty DATABASE_PASSWORD, the Go implementation overlooks"
        " DATABASE_NAME, so that its data may be in database postgres.",
    )
    back = what.add(
        "back",
        "take out what is ours, so that the Go implementation can go on",
        "Refused while anything is under way that only this service would end. Executions and batches stay;"
        " what became of the files is forgotten.",
    )
    back.add_argument("--check", action="store_true", help="only say whether it could be done")


def run(arguments: argparse.Namespace) -> int:
    """Find, or give back."""
    from globeco_allocation.adapters.postgres.errors import (  # noqa: PLC0415 (not for --help)
        DatabaseRefusedError,
        DatabaseUnreachableError,
    )
    from globeco_allocation.entrypoints.commands.settings_or_exit import settings_or_exit  # noqa: PLC0415

    address = settings_or_exit().database
    try:
        return _find(address) if arguments.what == "find" else _back(address, only_check=arguments.check)
    except DatabaseUnreachableError as error:
        return _failed(str(error), ExitCode.TRY_AGAIN)
    except (DatabaseRefusedError, FileNotFoundError) as error:
        return _failed(str(error), ExitCode.FAILED)


def _find(address: "DatabaseAddress") -> ExitCode:
    from globeco_allocation.adapters.postgres.handover import find  # noqa: PLC0415 (not for --help)

    found, closed = find(address)
    if closed:
        print(f"Not let into: {', '.join(closed)}.")
    if not found:
        return _failed(f"no database on {address.host} holds executions that we may see", ExitCode.FAILED)
    print(*table(_TITLES, [_cells(one) for one in found]), sep="\n")
    if address.name in {one.database for one in found}:
        print(f"The settings (DB_NAME) name {address.name}.")
    else:
        print(f"The settings (DB_NAME) name {address.name}, WHICH HOLDS NONE.")
    return ExitCode.OK


def _cells(one: "Findings") -> tuple[str, ...]:
    made_by = "Go" if one.from_go else "this service"
    return (
        one.database,
        f"{made_by}, adopted" if one.from_go and one.ours else made_by,
        *(str(number) for number in (one.executions, one.unsent, one.unstamped)),
        instant(one.last_start) if one.last_start else "none",
        ", ".join(f"{who} ({number})" for who, number in one.sessions) or "nobody",
    )


def _back(address: "DatabaseAddress", *, only_check: bool) -> ExitCode:
    from globeco_allocation.adapters.postgres.handover import (  # noqa: PLC0415 (not for --help)
        find,
        hindrances,
        refused_records,
    )
    from globeco_allocation.adapters.postgres.migrate import rollback  # noqa: PLC0415

    in_the_way = hindrances(address)
    if in_the_way:
        return _failed(f"database {address.name!r} cannot be given back yet:", ExitCode.FAILED, *in_the_way)
    refused = refused_records(address)
    if refused:
        batches = ", ".join(map(str, refused))
        told = "What was refused is forgotten with our tables; keep it first: `batches show BATCH --json`"
        print(f"{told}, of batch {batches}.")
    if only_check:
        print("Nothing is in the way.")
        return ExitCode.OK
    rollback(address, lambda line: print(line, flush=True))
    (here,) = [one for one in find(address)[0] if one.database == address.name]
    print(f"Given back. The Go implementation's next send takes {count(here.unsent, 'execution')}.")
    if not here.from_go:
        print("It never worked here (no table schema_migrations): it may want to make its tables, and fail.")
    return ExitCode.OK


def _failed(reason: str, code: ExitCode, *more: str) -> ExitCode:
    print(f"globeco-allocation: {reason}", *(f"  {one}" for one in more), sep="\n", file=sys.stderr)
    return code
