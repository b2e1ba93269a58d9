"""``globeco-allocation migrate``: the database's schema, brought up to date."""

import argparse
import math
import sys
import time
from typing import TYPE_CHECKING

from globeco_allocation.entrypoints.exit_codes import ExitCode

if TYPE_CHECKING:
    from globeco_allocation.adapters.postgres.address import DatabaseAddress

EPILOG = """\
It may run as often as wanted, beside other replicas, and may be killed at any moment. A database
that the Go implementation filled is adopted with every row.

exit codes: 0 up to date, 1 the database refuses us as we are set up, 2 the settings are wrong,
3 the database cannot be reached
"""

_PAUSE_SECONDS = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how long to wait."""
    parser.epilog = EPILOG
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="keep trying for so long while the database cannot be reached (default: try once)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Migrate, and say what was done."""
    from globeco_allocation.adapters.postgres.errors import (  # noqa: PLC0415 (not for --help)
        DatabaseRefusedError,
        DatabaseUnreachableError,
    )
    from globeco_allocation.entrypoints.commands.settings_or_exit import settings_or_exit  # noqa: PLC0415

    address = settings_or_exit().database
    try:
        _migrate(address, time.monotonic() + arguments.wait)
    except DatabaseUnreachableError as error:
        return _failed(error, ExitCode.TRY_AGAIN)
    except (DatabaseRefusedError, FileNotFoundError) as error:
        return _failed(error, ExitCode.FAILED)
    return ExitCode.OK


def _migrate(address: "DatabaseAddress", deadline: float) -> None:
    from globeco_allocation.adapters.postgres.errors import DatabaseUnreachableError  # noqa: PLC0415
    from globeco_allocation.adapters.postgres.migrate import migrate  # noqa: PLC0415

    while True:
        try:
            migrate(address, _report)
        except DatabaseUnreachableError as error:
            if time.monotonic() + _PAUSE_SECONDS > deadline:
                raise
            _report(f"{error}; trying again")
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _report(line: str) -> None:
    print(line, flush=True)


def _failed(error: Exception, code: ExitCode) -> int:
    print(f"globeco-allocation: {error}", file=sys.stderr)
    return code


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise argparse.ArgumentTypeError("must be a number of seconds, 0 or more")
    return seconds
