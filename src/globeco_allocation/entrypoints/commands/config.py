"""``globeco-allocation config``: what the settings are, and what they may be."""

import argparse
import os
import sys

from globeco_allocation.entrypoints.exit_codes import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to do with the settings."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    what.add_parser(
        "check", help="print every fault at once (exit code 2), else each setting and where it comes from"
    )
    what.add_parser("table", help="print what can be set as a Markdown table")


def run(arguments: argparse.Namespace) -> int:
    """Check or show the settings."""
    return _check() if arguments.what == "check" else _table()


def _check() -> int:
    from globeco_allocation.entrypoints.settings import declared  # noqa: PLC0415 (not for --help)
    from globeco_allocation.entrypoints.settings.reading import read_settings  # noqa: PLC0415
    from globeco_allocation.entrypoints.settings.report import (  # noqa: PLC0415
        effective_settings,
        unusable_settings,
    )

    reading = read_settings(declared(), os.environ)
    if reading.faults:
        print(unusable_settings(reading.faults), file=sys.stderr)
        return ExitCode.USAGE
    print(effective_settings(reading))
    return ExitCode.OK


def _table() -> int:
    from globeco_allocation.entrypoints.settings.report import settings_table  # noqa: PLC0415

    print(settings_table())
    return ExitCode.OK
